"""ResNet as a frame backbone with slots: `(B, 3, T, H, W)` -> `(B, C, T, H/32, W/32)` and the masks of each block.

Parameters are named as torchvision names them (without `fc`), so ImageNet weights load as they are.

Source: "Deep Residual Learning for Image Recognition" (He et al., CVPR 2016); stride in the 3x3 convolution of
a bottleneck, as torchvision has it.
"""

from jaxtyping import Float
from torch import Tensor, nn

from w3action.layers import Masks
from w3action.models.backbone import Backbone
from w3action.models.slots import Fillers, Position, Slots, fold, unfold


class BasicBlock(nn.Module):
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

    def branch(self, x: Tensor) -> Tensor:
        """Compute the residual branch, up to its last batch norm."""
        x = self.bn1(self.conv1(x)).relu_()
        return self.bn2(self.conv2(x))

    def forward(self, x: Tensor, num_frames: int) -> tuple[Tensor, Masks | None]:
        """Map `(B*T, C, H, W)` to the block's output and the masks of its attention."""
        return residual(self, x, num_frames)


class Bottleneck(nn.Module):
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

    def branch(self, x: Tensor) -> Tensor:
        """Compute the residual branch, up to its last batch norm."""
        x = self.bn1(self.conv1(x)).relu_()
        x = self.bn2(self.conv2(x)).relu_()
        return self.bn3(self.conv3(x))

    def forward(self, x: Tensor, num_frames: int) -> tuple[Tensor, Masks | None]:
        """Map `(B*T, C, H, W)` to the block's output and the masks of its attention."""
        return residual(self, x, num_frames)


def residual(block: BasicBlock | Bottleneck, x: Tensor, num_frames: int) -> tuple[Tensor, Masks | None]:
    """Run a block: temporal operation, branch, attention, addition."""
    y = block.branch(block.slots.before(x, num_frames))
    y, inside = block.slots.attend(y, num_frames, "residual")
    identity = x if block.downsample is None else block.downsample(x)
    y, behind = block.slots.attend((y + identity).relu_(), num_frames, "output")
    return y, inside or behind


def shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Sequential | None:
    """Build the projection beside a branch that changes shape."""
    if stride == 1 and in_channels == out_channels:
        return None
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), nn.BatchNorm2d(out_channels)
    )


class ResNet(Backbone):
    """The backbone.

    Args:
        block: BasicBlock or Bottleneck.
        num_blocks: residual blocks in each stage.
        fillers: what stands in the slots.
        width: channels of the first stage's 3x3 convolutions; they double with each stage.
        small_input: for frames of about 64 pixels: a 3x3 stem without max pooling, so that the first shift sees
            half the resolution, and a total stride of 16, not 32.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        num_blocks: tuple[int, ...],
        *,
        fillers: Fillers,
        width: int = 64,
        small_input: bool = False,
    ):
        super().__init__()
        kernel = 3 if small_input else 7
        self.conv1 = nn.Conv2d(3, width, kernel, stride=2, padding=kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.Identity() if small_input else nn.MaxPool2d(3, stride=2, padding=1)
        channels = width
        strides = (2, 2, 2, 1) if small_input else (1, 2, 2, 2)
        self.num_blocks_by_stage = num_blocks
        for stage, count in enumerate(num_blocks):
            stage_width = width * 2**stage
            blocks = nn.ModuleList()
            for i in range(count):
                slots = fillers.at(Position(stage, i, num_blocks), out_channels=stage_width * block.expansion)
                stride = strides[stage] if i == 0 else 1
                blocks.append(block(channels, stage_width, stride=stride, slots=slots))
                channels = stage_width * block.expansion
            self.add_module(f"layer{stage + 1}", blocks)
        self.num_features = channels
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d) and ".slots." not in name:  # a layer in a slot starts its own way
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, clips: Float[Tensor, "b 3 t h w"]) -> tuple[Float[Tensor, "b c t h2 w2"], list[list[Masks]]]:
        """Return the last features and, stage by stage, the masks of each attention."""
        num_frames = clips.shape[2]
        x = self.maxpool(self.bn1(self.conv1(fold(clips))).relu_())
        masks: list[list[Masks]] = []
        for stage in range(len(self.num_blocks_by_stage)):
            masks.append([])
            for block in self.get_submodule(f"layer{stage + 1}").children():
                x, block_masks = block(x, num_frames)
                if block_masks is not None:
                    masks[-1].append(block_masks)
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
    """A narrow ResNet-10 with a small stem, for 64-pixel frames: demos, tests, first experiments."""
    return ResNet(BasicBlock, (1, 1, 1, 1), fillers=fillers, width=24, small_input=True)
