"""C3D: `(B, 3, T, H, W)` -> `(B, 4096, T/16, H', W')`, `(B, 4096, 1, 1, 1)` for 16 frames of 112x112; and the masks.

Eight 3x3x3 convolutions with a bias and a ReLU, no batch norm, no shortcut, in five stages, each with a max
pool behind it, of 1x2x2 behind the first and of 2x2x2 behind the others; then two layers of 4096 units:

    conv1a 64 | conv2a 128 | conv3a 256, conv3b 256 | conv4a 512, conv4b 512 | conv5a 512, conv5b 512 | fc6, fc7

Stages are those of equal resolution. There are no residual blocks, so an attention stands at every convolution:
"residual" in front of its ReLU, "output" behind it.

Source: "Learning Spatiotemporal Features with 3D Convolutional Networks" (Tran et al., ICCV 2015), section 3.3 and
Figure 3. What differs: fc6 is a 1x4x4 convolution and fc7 a 1x1x1 one, which at 16 x 112 x 112 are the published
layers, and at other sizes look at every window of 4x4 places; maps smaller than 4x4 (frames under 97 pixels) are
padded with zeros. Pools round up, as in Caffe, where C3D was written: 7x7 places give 4x4, and a short clip keeps a
frame. The dropout behind fc7 is the head's. The convolutions start as He's do, since no batch norm holds the
features' size; the public start is N(0, 0.01). The count is 38.5 GFLOPs for 16 frames of 112x112.
"""

from jaxtyping import Float
from torch import Tensor, nn

from w3action.layers import Masks
from w3action.models.backbone import Backbone, run_blocks, start_convolutions_
from w3action.models.resnet3d import slots_at
from w3action.models.slots import Fillers, Position, Slots

CHANNELS_BY_STAGE = ((64,), (128,), (256, 256), (512, 512), (512, 512))
NUM_FEATURES = 4096
FC6_SIZE = 4  # places a side that fc6 looks at


class ConvReLU(nn.Module):
    """A 3x3x3 convolution and its ReLU, with a slot in front of it or behind it."""

    def __init__(self, in_channels: int, out_channels: int, *, slots: Slots):
        super().__init__()
        self.slots = slots
        self.conv = nn.Conv3d(in_channels, out_channels, 3, padding=1)

    def forward(self, x: Float[Tensor, "b c t h w"]) -> tuple[Float[Tensor, "b c2 t h w"], Masks | None]:
        """Return the layer's output and the masks of its attention."""
        x, inside = self.slots.attend_clips(self.conv(x), "residual")
        x, behind = self.slots.attend_clips(x.relu(), "output")
        return x, inside or behind


class C3D(Backbone):
    """The backbone.

    Args:
        fully_connected: conv5b's pool, fc6 and fc7; without them the maps of conv5b come out,
            `(B, 512, T/8, H/16, W/16)`, for heads that look at places and steps: of 16 frames the pool leaves one step.
        dropout: between fc6 and fc7.
        fillers: what stands in the slots; no temporal operation.
    """

    num_blocks_by_stage = tuple(len(stage) for stage in CHANNELS_BY_STAGE)

    def __init__(self, *, fully_connected: bool = True, dropout: float = 0.5, fillers: Fillers):
        super().__init__()
        self.fully_connected = fully_connected
        in_channels = 3
        for stage, widths in enumerate(CHANNELS_BY_STAGE):
            for i, width in enumerate(widths):
                slots = slots_at(fillers, Position(stage, i, self.num_blocks_by_stage), out_channels=width)
                self.add_module(layer_name(stage, i), ConvReLU(in_channels, width, slots=slots))
                in_channels = width
        self.num_features = NUM_FEATURES if fully_connected else in_channels
        if fully_connected:
            self.fc6 = nn.Conv3d(in_channels, NUM_FEATURES, (1, FC6_SIZE, FC6_SIZE))
            self.fc7 = nn.Conv3d(NUM_FEATURES, NUM_FEATURES, 1)
            self.dropout = nn.Dropout(dropout)
        start_convolutions_(self, mode="fan_in")  # no batch norm holds the features' size

    def forward(self, clips: Float[Tensor, "b c_in t h w"]) -> tuple[Float[Tensor, "b c t2 h2 w2"], list[list[Masks]]]:
        """Return fc7's features, or the last pool's, and, stage by stage, the masks of each attention."""
        x, masks = clips, []
        for stage, count in enumerate(self.num_blocks_by_stage):
            x, stage_masks = run_blocks((self.get_submodule(layer_name(stage, i)) for i in range(count)), x)
            masks.append(stage_masks)
            if not self.fully_connected and stage + 1 == len(self.num_blocks_by_stage):
                return x, masks
            x = nn.functional.max_pool3d(x, (1 if stage == 0 else 2, 2, 2), ceil_mode=True)
        missing = [max(FC6_SIZE - size, 0) for size in x.shape[3:]]
        x = nn.functional.pad(x, (0, missing[1], 0, missing[0]))
        x = self.dropout(self.fc6(x).relu())
        return self.fc7(x).relu(), masks


def layer_name(stage: int, index: int) -> str:
    """Return the paper's name of a convolution: conv1a, ..., conv5b."""
    return f"conv{stage + 1}{'ab'[index]}"


def c3d(fillers: Fillers) -> C3D:
    """C3D, 78.0 M parameters without the classifier, 50.3 M of them in fc6 and fc7."""
    return C3D(fillers=fillers)


def c3d_convolutions(fillers: Fillers) -> C3D:
    """C3D in front of its last pool, 27.7 M parameters."""
    return C3D(fully_connected=False, fillers=fillers)
