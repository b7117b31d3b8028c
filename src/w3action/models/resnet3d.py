"""3D ResNets: `(B, 3, T, H, W)` -> `(B, C, T', H', W')` and the masks of each block. Frames meet in the convolutions.

| builder | kernels of a block | maps of a 32 x 224 x 224 clip |
|---|---|---|
| `i3d_resnet50` | 3x1x1 or 1x1x1, 1x3x3, 1x1x1 | `(B, 2048, 16, 14, 14)` |
| `i3d_resnet18` | 3x3x3, 3x3x3 | `(B, 512, 16, 7, 7)` |
| `r2plus1d_18`, `_34` | 1x3x3 then 3x1x1, twice | `(B, 512, 4, 14, 14)` |
| `r2plus1d_50` | 1x1x1, 1x3x3 then 3x1x1, 1x1x1 | `(B, 2048, 4, 14, 14)` |

Nothing is folded into the batch: an attention sees the block's own `(B, C, T, H, W)`. A network that strides in time
gives masks of as many frames as each stage has. Parameters are named as torchvision names them in a 2D ResNet
(without `fc`); `inflate_state_dict` makes 3D weights of 2D ones, `from_torchvision_r2plus1d` renames Kinetics ones.

Sources: "Quo Vadis, Action Recognition?" (Carreira and Zisserman, CVPR 2017), section 2.4, for inflation; "Videos as
Space-Time Region Graphs" (Wang and Gupta, ECCV 2018), Table 1, and "Non-local Neural Networks" (Wang et al., CVPR
2018), section 4.2, for I3D on a ResNet; "A Closer Look at Spatiotemporal Convolutions for Action Recognition" (Tran
et al., CVPR 2018), Table 1 and section 3.5, for R(2+1)D. What differs stands at the builders.
"""

import re
from collections.abc import Mapping
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from w3action.layers import Masks
from w3action.models.backbone import Backbone, run_blocks, start_convolutions_
from w3action.models.resnet import Residual
from w3action.models.slots import Fillers, Position, Slots
from w3action.models.weights import check_fit

Triple = tuple[int, int, int]  # time, height, width
STEM_CHANNELS = 64
FACTORISED_STEM_CHANNELS = 45  # M of the 7x7 stem; the public R(2+1)D has 45 where the formula would give 83


class BasicBlock(Residual):
    """Two 3x3 convolutions that are `temporal` frames deep, around a shortcut.

    `factorised` makes each a (2+1)D convolution. As in torchvision both have the same M, that of the block's
    input and output channels.
    """

    expansion = 1

    def __init__(
        self, in_channels: int, width: int, *, stride: Triple, slots: Slots, temporal: int = 3, factorised: bool = False
    ):
        super().__init__()
        self.slots = slots
        middle = middle_channels(in_channels, width) if factorised else None
        self.conv1 = conv3d(in_channels, width, (temporal, 3), stride=stride, middle=middle)
        self.bn1 = nn.BatchNorm3d(width)
        self.conv2 = conv3d(width, width, (temporal, 3), middle=middle)
        self.bn2 = nn.BatchNorm3d(width)
        self.downsample = shortcut(in_channels, width, stride)

    def branch(self, x: Tensor) -> Tensor:
        """Compute the residual branch, up to its last batch norm."""
        return self.bn2(self.conv2(self.bn1(self.conv1(x)).relu_()))


class Bottleneck(Residual):
    """1x1, 3x3, 1x1 convolutions around a shortcut; the first is `temporal` frames deep.

    `factorised` looks at time in the middle instead: its 3x3 convolution is a (2+1)D one, the first is one frame deep.
    """

    expansion = 4

    def __init__(
        self, in_channels: int, width: int, *, stride: Triple, slots: Slots, temporal: int = 3, factorised: bool = False
    ):
        super().__init__()
        self.slots = slots
        depths, middle = ((1, temporal), middle_channels(width, width)) if factorised else ((temporal, 1), None)
        self.conv1 = conv3d(in_channels, width, (depths[0], 1))
        self.bn1 = nn.BatchNorm3d(width)
        self.conv2 = conv3d(width, width, (depths[1], 3), stride=stride, middle=middle)
        self.bn2 = nn.BatchNorm3d(width)
        self.conv3 = conv3d(width, 4 * width, (1, 1))
        self.bn3 = nn.BatchNorm3d(4 * width)
        self.downsample = shortcut(in_channels, 4 * width, stride)

    def branch(self, x: Tensor) -> Tensor:
        """Compute the residual branch, up to its last batch norm."""
        x = self.bn1(self.conv1(x)).relu_()
        x = self.bn2(self.conv2(x)).relu_()
        return self.bn3(self.conv3(x))


def slots_at(fillers: Fillers, position: Position, *, out_channels: int) -> Slots:
    """Build a block's slots.

    Raises:
        ValueError: a temporal operation is given; the convolutions look at time themselves.
    """
    slots = fillers.at(position, in_channels=out_channels, out_channels=out_channels)
    if slots.temporal is not None:
        raise ValueError(
            f"the temporal operation {type(slots.temporal).__name__} is given to a network of 3D convolutions, which "
            'takes none; use "none"'
        )
    return slots


def conv3d(
    in_channels: int,
    out_channels: int,
    kernel: tuple[int, int],
    *,
    stride: Triple = (1, 1, 1),
    middle: int | None = None,
) -> nn.Module:
    """Build a convolution of `kernel` (t, d), t frames deep and d x d wide; padded, so that stride 1 keeps the size.

    With `middle` it is a (2+1)D convolution: 1 x d x d to `middle` channels, batch norm, ReLU, t x 1 x 1.
    """
    t, d = kernel
    if middle is None:
        padding = (t // 2, d // 2, d // 2)
        return nn.Conv3d(in_channels, out_channels, (t, d, d), stride=stride, padding=padding, bias=False)
    return nn.Sequential(
        conv3d(in_channels, middle, (1, d), stride=(1, *stride[1:])),
        nn.BatchNorm3d(middle),
        nn.ReLU(inplace=True),
        conv3d(middle, out_channels, (t, 1), stride=(stride[0], 1, 1)),
    )


def middle_channels(in_channels: int, out_channels: int, *, t: int = 3, d: int = 3) -> int:
    """Return M_i of section 3.5: as many parameters as a t x d x d convolution has, or just fewer."""
    return t * d**2 * in_channels * out_channels // (d**2 * in_channels + t * out_channels)


def shortcut(in_channels: int, out_channels: int, stride: Triple) -> nn.Sequential | None:
    """Build the projection beside a branch that changes shape."""
    if stride == (1, 1, 1) and in_channels == out_channels:
        return None
    return nn.Sequential(conv3d(in_channels, out_channels, (1, 1), stride=stride), nn.BatchNorm3d(out_channels))


class Stages3d(nn.Module):
    """A stem, then `layer1`, `layer2`, ..., each a list of blocks; SlowFast has two of them.

    Args:
        block: BasicBlock or Bottleneck.
        width: channels of the stem and of the first stage's blocks; each stage has twice as many as the one before.
        stem: how many frames deep the 7x7 stem looks; it strides in space alone.
        kernels: how many frames deep each block looks, stage by stage; an odd number, 1 looks at single frames.
        strides: of the first block of each stage.
        pool: a 1x3x3 max pool of stride (1, 2, 2) behind the stem.
        factorised: (2+1)D convolutions, in the stem too.
        lateral_channels: of the maps that are concatenated before each stage.
        fillers: what stands in the slots; no temporal operation.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        *,
        width: int = STEM_CHANNELS,
        stem: int,
        kernels: tuple[tuple[int, ...], ...],
        strides: tuple[Triple, ...],
        pool: bool,
        factorised: bool = False,
        lateral_channels: tuple[int, ...] = (0, 0, 0, 0),
        fillers: Fillers,
    ):
        super().__init__()
        middle = FACTORISED_STEM_CHANNELS if factorised else None
        self.conv1 = conv3d(3, width, (stem, 7), stride=(1, 2, 2), middle=middle)
        self.bn1 = nn.BatchNorm3d(width)
        self.maxpool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), padding=(0, 1, 1)) if pool else nn.Identity()
        self.num_blocks_by_stage = tuple(len(stage) for stage in kernels)
        channels = width
        for stage, depths in enumerate(kernels):
            channels += lateral_channels[stage]
            blocks, stage_width = nn.ModuleList(), width * 2**stage
            for i, depth in enumerate(depths):
                position = Position(stage, i, self.num_blocks_by_stage)
                slots = slots_at(fillers, position, out_channels=stage_width * block.expansion)
                stride = strides[stage] if i == 0 else (1, 1, 1)
                shape = {"stride": stride, "temporal": depth, "factorised": factorised}
                blocks.append(block(channels, stage_width, slots=slots, **shape))
                channels = stage_width * block.expansion
            self.add_module(f"layer{stage + 1}", blocks)
        self.num_features = channels

    def stem(self, clips: Float[Tensor, "b c_in t h w"]) -> Float[Tensor, "b c t h2 w2"]:
        """Compute the maps before the first stage."""
        return self.maxpool(self.bn1(self.conv1(clips)).relu_())

    def stage(self, x: Float[Tensor, "b c t h w"], stage: int) -> tuple[Float[Tensor, "b c2 t2 h2 w2"], list[Masks]]:
        """Run the blocks of a stage (from 0) and collect their masks."""
        return run_blocks(self.get_submodule(f"layer{stage + 1}").children(), x)


class ResNet3d(Stages3d, Backbone):
    """The family; arguments as in `Stages3d`, whose pool brings I3D's second: 3x1x1, behind the first stage."""

    def __init__(self, block: type[BasicBlock] | type[Bottleneck], *, pool: bool, **arguments: Any):
        super().__init__(block, pool=pool, **arguments)
        self.maxpool2 = nn.MaxPool3d((3, 1, 1), (2, 1, 1), padding=(1, 0, 0)) if pool else nn.Identity()
        start_convolutions_(self)

    def forward(self, clips: Float[Tensor, "b c_in t h w"]) -> tuple[Float[Tensor, "b c t2 h2 w2"], list[list[Masks]]]:
        """Return the last features and, stage by stage, the masks of each attention."""
        x = self.stem(clips)
        masks: list[list[Masks]] = []
        for stage in range(len(self.num_blocks_by_stage)):
            x, stage_masks = self.stage(x, stage)
            masks.append(stage_masks)
            if stage == 0:
                x = self.maxpool2(x)
        return x, masks


def i3d_resnet50(fillers: Fillers) -> ResNet3d:
    """I3D on a ResNet-50: 27.2 M parameters without the classifier, T/2 frames of H/16 x W/16.

    The reading of Table 1 whose count is nearest to the published 153 GFLOPs: 152.5 at 32 frames of 224x224. The
    first 1x1 convolution is 3x1x1 in about one of two blocks (section 4.2 of Non-local; as its public code has it, in
    all three of res2, in blocks 0, 2, 4 of res3 and res4, and in the second of res5), and res5 keeps the 14x14
    places of res4, for the region graph. With a strided res5 it would be 113.6, with 3x1x1 in every block 170.6.
    """
    kernels = ((3, 3, 3), (3, 1, 3, 1), (3, 1, 3, 1, 3, 1), (1, 3, 1))
    strides = ((1, 1, 1), (1, 2, 2), (1, 2, 2), (1, 1, 1))
    return ResNet3d(Bottleneck, kernels=kernels, strides=strides, stem=5, pool=True, fillers=fillers)


def i3d_resnet18(fillers: Fillers) -> ResNet3d:
    """I3D on a ResNet-18, the "3D R18" of the W3 paper's Table 8: every 3x3 convolution is a 3x3x3 one.

    33.2 M parameters without the classifier, T/2 frames of H/32 x W/32. The paper names no layers; the stem and the
    two max pools are those of `i3d_resnet50`, so that ImageNet weights inflate.
    """
    strides = ((1, 1, 1), (1, 2, 2), (1, 2, 2), (1, 2, 2))
    return ResNet3d(BasicBlock, kernels=((3, 3),) * 4, strides=strides, stem=5, pool=True, fillers=fillers)


def r2plus1d_18(fillers: Fillers) -> ResNet3d:
    """R(2+1)D-18: 31.3 M parameters without the classifier, T/8 frames of H/16 x W/16; torchvision's, number by number.

    M is computed once a block, from its input and output channels, as torchvision's weights have it. Computed for
    each convolution, as the formula reads, M would be 1.25 times as large in the second convolution of the three
    strided blocks, and the network would have 33.2 M, as many as the 3D ResNet-18 that it is to match.
    """
    return r2plus1d(BasicBlock, (2, 2, 2, 2), fillers)


def r2plus1d_34(fillers: Fillers) -> ResNet3d:
    """R(2+1)D-34: 61.6 M parameters without the classifier, T/8 frames of H/16 x W/16; M as in `r2plus1d_18`."""
    return r2plus1d(BasicBlock, (3, 4, 6, 3), fillers)


def r2plus1d_50(fillers: Fillers) -> ResNet3d:
    """R(2+1)D-50: bottlenecks whose 3x3 convolution is a (2+1)D one; 46.2 M parameters, T/8 frames of H/16 x W/16.

    The paper has no bottlenecks (its deepest network has 34 layers); M is its formula for the 3x3x3 convolution.
    """
    return r2plus1d(Bottleneck, (3, 4, 6, 3), fillers)


def r2plus1d(block: type[BasicBlock] | type[Bottleneck], num_blocks: tuple[int, ...], fillers: Fillers) -> ResNet3d:
    """Build an R(2+1)D: no pooling, every stage but the first strides in time and space."""
    return ResNet3d(
        block,
        kernels=tuple((3,) * count for count in num_blocks),
        strides=((1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2)),
        stem=3,
        pool=False,
        factorised=True,
        fillers=fillers,
    )


def inflate_state_dict(state_2d: Mapping[str, Tensor], expected_3d: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Make the weights of an I3D of those of the 2D ResNet it was inflated from.

    A kernel is repeated over time and divided by its number of frames, so that a clip of equal frames gives the 2D
    network's features (but for the zeros beyond the first and the last frame). All else is copied. Weights that
    are 3D already pass as they are.

    Args:
        state_2d: torchvision's names, without the classifier.
        expected_3d: the 3D network's state dict, without its slots.

    Raises:
        WeightsError: keys are missing, unexpected or mis-shaped; the message lists them.
    """
    state_3d = {}
    for key, value in state_2d.items():
        wanted = expected_3d.get(key)
        if wanted is not None and value.ndim == 4 and wanted.ndim == 5:
            num_frames = wanted.shape[2]
            value = value[:, :, None].repeat(1, 1, num_frames, 1, 1) / num_frames  # (out, in, t, h, w)
        state_3d[key] = value
    check_fit(state_3d, expected_3d, origin="the inflated 2D weights", target="the 3D network")
    return state_3d


def from_torchvision_r2plus1d(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename torchvision's R(2+1)D-18 weights (Kinetics-400) to ours; a state dict of ours passes as it is.

    Args:
        state: torchvision's names, without the classifier.
        expected: our network's state dict, without its slots.

    Raises:
        WeightsError: keys are missing, unexpected or mis-shaped; the message lists them.
    """
    theirs = any(key.startswith("stem.") for key in state)
    renamed = {torchvision_r2plus1d_key(key) if theirs else key: value for key, value in state.items()}
    check_fit(renamed, expected, origin="the R(2+1)D weights", target="the 3D network")
    return renamed


def torchvision_r2plus1d_key(key: str) -> str:
    """Return our name for a key of torchvision's, where a block's convolution and norm stand in one Sequential.

    `stem.{0,1,3}` -> `conv1.{0,1,3}`, `stem.4` -> `bn1`; `convN.0.{0,1,3}` -> `convN.{0,1,3}`, `convN.1` -> `bnN`.
    """
    key = re.sub(r"^stem\.", "conv1.", re.sub(r"^stem\.4\.", "bn1.", key))
    return re.sub(r"\.conv(\d)\.0\.", r".conv\1.", re.sub(r"\.conv(\d)\.1\.", r".bn\1.", key))
