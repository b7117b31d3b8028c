"""VGG16 as a frame backbone: `(B, 3, T, H, W)` -> `(B, 512, T, H // 32, W // 32)` and the masks of each stage.

13 convolutions of 3x3 with ReLU, in five stages that each end with max pooling. Parameters are named as torchvision
names them (`features.N`, without `classifier`), so ImageNet weights load as they are.

There are no residual blocks, so a stage counts as one (`num_blocks_by_stage` is five ones): its attention stands behind
its pooling, on the stage's whole output. "residual" and "output" are therefore the same place. A temporal operation is
refused: without a shortcut around it, a shift would throw away what it moves.

What differs from the VGG16 rows of the EgoGesture tables: they read the fully connected layers, which fix the frame
size at 224; here any frame of 32 pixels or more gives maps, and a head pools them.

Source: "Very Deep Convolutional Networks for Large-Scale Image Recognition" (Simonyan and Zisserman, ICLR 2015),
Table 1, column D.
"""

from jaxtyping import Float
from torch import Tensor, nn

from w3action.layers import Masks
from w3action.models.backbone import Backbone, start_convolutions_
from w3action.models.slots import Fillers, Position, Slots, fold, unfold

# Column D: channels of the convolutions, stage by stage.
WIDTHS_BY_STAGE = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
STRIDE = 32


class AttendedPool(nn.Module):
    """The end of a stage: max pooling by 2, then the attention."""

    def __init__(self, slots: Slots):
        super().__init__()
        self.pool = nn.MaxPool2d(2)
        self.slots = slots

    def forward(self, x: Tensor, num_frames: int) -> tuple[Tensor, Masks | None]:
        """Map `(B*T, C, H, W)` to the stage's output and the masks of its attention."""
        return self.slots.attend(self.pool(x), num_frames, self.slots.place)


class VGG16(Backbone):
    """The backbone.

    Raises:
        ValueError: `fillers` hold a temporal operation; in a call, frames under 32 pixels.
    """

    num_features = 512
    num_blocks_by_stage = (1,) * len(WIDTHS_BY_STAGE)

    def __init__(self, *, fillers: Fillers):
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for stage, widths in enumerate(WIDTHS_BY_STAGE):
            for width in widths:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
                channels = width
            position = Position(stage, 0, self.num_blocks_by_stage)
            slots = fillers.at(position, in_channels=channels, out_channels=channels)
            if slots.temporal is not None:
                raise ValueError(
                    f"VGG16 has no residual branch for a temporal operation; given is {type(slots.temporal).__name__}; "
                    "take 'none', and a head that relates frames"
                )
            layers.append(AttendedPool(slots))
        self.features = nn.ModuleList(layers)
        start_convolutions_(self)

    def forward(self, clips: Float[Tensor, "b c_in t h w"]) -> tuple[Float[Tensor, "b c t h2 w2"], list[list[Masks]]]:
        """Return the last features and, stage by stage, the masks of each attention."""
        num_frames, height, width = clips.shape[2:]
        if min(height, width) < STRIDE:
            raise ValueError(f"frames are {width}x{height} pixels; VGG16 needs at least {STRIDE}x{STRIDE}")
        x = fold(clips)
        masks: list[list[Masks]] = []
        for layer in self.features:
            if isinstance(layer, AttendedPool):
                x, stage_masks = layer(x, num_frames)
                masks.append([] if stage_masks is None else [stage_masks])
            else:
                x = layer(x)
        return unfold(x, num_frames), masks


def vgg16(fillers: Fillers) -> VGG16:
    """VGG16, 14.7 M parameters without the classifier."""
    return VGG16(fillers=fillers)
