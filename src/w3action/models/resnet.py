"""ResNet as a frame backbone with slots: `(B, 3, T, H, W)` -> `(B, C, T, H/32, W/32)` and the masks of each block.

Parameters are named as torchvision names them (without `fc`), so ImageNet weights load as they are.

Source: "Deep Residual Learning for Image Recognition" (He et al., CVPR 2016); stride in the 3x3 convolution of
a bottleneck, as torchvision has it.
"""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn

from w3action.layers import Masks
from w3action.models.backbone import Backbone, run_blocks, start_convolutions_
from w3action.models.slots import Fillers, Position, Slots, fold, unfold


class Residual(nn.Module):
    """A branch around a shortcut. A subclass builds `slots`, its branch and `downsample`, and computes the branch.

    It is called with frames folded into the batch, `(B*T, C, H, W)`, and their number T, or with clips that were never
    folded, `(B, C, T, H, W)`, alone.
    """

    expansion: int  # output channels, to the block's width
    branch: Callable[..., Tensor]  # up to its last batch norm, with its temporal operations
    downsample: nn.Module | None
    slots: Slots
    ends_in_relu = True

    def forward(self, x: Tensor, *num_frames: int) -> tuple[Tensor, Masks | None]:
        """Return the block's output and the masks of its attention."""
        y = self.branch(x, *num_frames)
        identity = x if self.downsample is None else self.downsample(x)
        close = self.slots.close if num_frames else self.slots.close_clips
        return close(y, identity, *num_frames, relu=self.ends_in_relu)


class BasicBlock(Residual):
    """Two 3x3 convolutions around a shortcut."""

    expansion = 1

    def __init__(self, in_channels: int, width: int, *, stride: int, slots: Slots):
        super().__init__()
        self.slots = slots
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = shortcut(in_channels, width, stride)

    def branch(self, x: Tensor, num_frames: int) -> Tensor:
        """Compute the residual branch; frames meet before its first convolution, and before its second if asked for."""
        x = self.bn1(self.conv1(self.slots.before(x, num_frames))).relu_()
        return self.bn2(self.conv2(self.slots.amid(x, num_frames)))


class Bottleneck(Residual):
    """1x1, 3x3, 1x1 convolutions around a shortcut."""

    expansion = 4

    def __init__(self, in_channels: int, width: int, *, stride: int, slots: Slots):
        super().__init__()
        self.slots = slots
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = shortcut(in_channels, 4 * width, stride)

    def branch(self, x: Tensor, num_frames: int) -> Tensor:
        """Compute the residual branch; frames meet before its first convolution."""
        x = self.bn1(self.conv1(self.slots.before(x, num_frames))).relu_()
        x = self.bn2(self.conv2(x)).relu_()
        return self.bn3(self.conv3(x))


def shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Sequential | None:
    """Build the projection beside a branch that changes shape."""
    if stride == 1 and in_channels == out_channels:
        return None
    conv = nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels))


class ResNet(Backbone):
    """The backbone: a stem, then `layer1`, `layer2`, ..., each a list of blocks.

    Args:
        block: BasicBlock or Bottleneck.
        num_blocks: residual blocks in each stage.
        widths: of the blocks of each stage.
        stem: channels of the first convolution and the size of its kernel; its stride is 2.
        pool: max pooling behind the stem; without it the first stage halves the resolution as the others do.
        meet_twice: frames meet before the second convolution of each block too.
        he_start: convolutions start as He's do; False keeps PyTorch's own start.
        fillers: what stands in the slots.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        num_blocks: tuple[int, ...],
        *,
        widths: tuple[int, ...] = (64, 128, 256, 512),
        stem: tuple[int, int] = (64, 7),
        pool: bool = True,
        meet_twice: bool = False,
        he_start: bool = True,
        fillers: Fillers,
    ):
        super().__init__()
        channels, kernel = stem
        self.conv1 = nn.Conv2d(3, channels, kernel, stride=2, padding=kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1) if pool else nn.Identity()
        self.num_blocks_by_stage = num_blocks
        for stage, (count, width) in enumerate(zip(num_blocks, widths, strict=True)):
            blocks, out_channels = nn.ModuleList(), width * block.expansion
            for i in range(count):
                slots = fillers.at(
                    Position(stage, i, num_blocks),
                    in_channels=channels,
                    out_channels=out_channels,
                    between_channels=width if meet_twice else None,
                )
                keeps_size = i > 0 or (stage == 0 and pool)
                blocks.append(block(channels, width, stride=1 if keeps_size else 2, slots=slots))
                channels = out_channels
            self.add_module(f"layer{stage + 1}", blocks)
        self.num_features = channels
        if he_start:
            start_convolutions_(self)

    def forward(self, clips: Float[Tensor, "b c_in t h w"]) -> tuple[Float[Tensor, "b c t h2 w2"], list[list[Masks]]]:
        """Return the last features and, stage by stage, the masks of each attention."""
        num_frames = clips.shape[2]
        x = self.maxpool(self.bn1(self.conv1(fold(clips))).relu_())
        masks: list[list[Masks]] = []
        for stage in range(len(self.num_blocks_by_stage)):
            x, stage_masks = run_blocks(self.get_submodule(f"layer{stage + 1}").children(), x, num_frames)
            masks.append(stage_masks)
        return unfold(x, num_frames), masks


def resnet18(fillers: Fillers) -> ResNet:
    """ResNet-18, 11.2 M parameters without the classifier."""
    return ResNet(BasicBlock, (2, 2, 2, 2), fillers=fillers)


def resnet34(fillers: Fillers) -> ResNet:
    """ResNet-34, 21.3 M parameters without the classifier."""
    return ResNet(BasicBlock, (3, 4, 6, 3), fillers=fillers)


def resnet50(fillers: Fillers) -> ResNet:
    """ResNet-50, 23.5 M parameters without the classifier."""
    return ResNet(Bottleneck, (3, 4, 6, 3), fillers=fillers)


def resnet101(fillers: Fillers) -> ResNet:
    """ResNet-101, 42.5 M parameters without the classifier."""
    return ResNet(Bottleneck, (3, 4, 23, 3), fillers=fillers)


def small(fillers: Fillers) -> ResNet:
    """Narrow ResNet-8, 0.3 M parameters: for demos, tests, first experiments with frames of about 64 pixels.

    It has few blocks, so each lets frames meet twice, and no max pooling, so that they first meet at half the
    input's resolution. The total stride is 16. It starts from PyTorch's own weights: with AdamW it learns faster
    from them than from He's larger ones.
    """
    narrow = {"widths": (32, 64, 128), "stem": (24, 5), "pool": False}
    return ResNet(BasicBlock, (1, 1, 1), **narrow, meet_twice=True, he_start=False, fillers=fillers)
