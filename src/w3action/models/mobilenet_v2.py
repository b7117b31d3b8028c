"""MobileNetV2 as a frame backbone with slots: `(B, 3, T, H, W)` -> `(B, 1280, T, H/32, W/32)` and the masks.

Only blocks with a residual connection have slots (10 of 17), as in the public TSM: features 3, 5, 6, 8, 9, 10, 12,
13, 15, 16. Stages are those of equal resolution: strides 4, 8, 16, 32. Parameters are named as torchvision
names them (without `classifier`), so ImageNet weights load as they are.

Source: "MobileNetV2: Inverted Residuals and Linear Bottlenecks" (Sandler et al., CVPR 2018), Table 2.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from w3action.layers import Masks
from w3action.models.backbone import Backbone, start_convolutions_
from w3action.models.slots import Fillers, Position, Slots, fold, unfold

# Table 2: expansion, output channels, repetitions, stride of the first, stage (-1: before the first stage).
ROWS = (
    (1, 16, 1, 1, -1),
    (6, 24, 2, 2, 0),
    (6, 32, 3, 2, 1),
    (6, 64, 4, 2, 2),
    (6, 96, 3, 1, 2),
    (6, 160, 3, 2, 3),
    (6, 320, 1, 1, 3),
)
RESIDUAL_BLOCKS_BY_STAGE = (1, 2, 5, 2)
NUM_FEATURES = 1280


class InvertedResidual(nn.Module):
    """Expand, convolve each channel by itself, project; with a shortcut where the shape allows it."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int, expansion: int, slots: Slots | None):
        super().__init__()
        hidden = in_channels * expansion
        layers: list[nn.Module] = [] if expansion == 1 else [conv_norm_relu6(in_channels, hidden, 1)]
        layers += [
            conv_norm_relu6(hidden, hidden, 3, stride=stride, groups=hidden),
            nn.Conv2d(hidden, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        ]
        self.conv = nn.Sequential(*layers)
        self.slots = slots

    def forward(self, x: Tensor, num_frames: int) -> tuple[Tensor, Masks | None]:
        """Map `(B*T, C, H, W)` to the block's output and the masks of its attention."""
        if self.slots is None:
            return self.conv(x), None
        return self.slots.close(self.conv(self.slots.before(x, num_frames)), x, num_frames, relu=False)


class StridedDepthwise(nn.Conv2d):
    """A strided convolution of each channel by itself, in float32 where PyTorch's gradient is slow otherwise.

    On a CPU its backward pass in bfloat16 takes 2 to 12 times as long as in float32 (torch 2.15): a fifth of a
    training step.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Convolve; under autocast the output has its type, as ever."""
        has_gradient = torch.is_grad_enabled() and self.weight.requires_grad
        if input.device.type != "cpu" or not torch.is_autocast_enabled("cpu") or not has_gradient:
            return super().forward(input)
        with torch.autocast("cpu", enabled=False):
            y = super().forward(input.float())
        return y.to(torch.get_autocast_dtype("cpu"))


def conv_norm_relu6(
    in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Build a convolution with batch norm and ReLU6."""
    kind = StridedDepthwise if groups > 1 and stride > 1 else nn.Conv2d
    conv = kind(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.ReLU6(inplace=True))


class MobileNetV2(Backbone):
    """The backbone, at width 1.0."""

    num_features = NUM_FEATURES
    num_blocks_by_stage = RESIDUAL_BLOCKS_BY_STAGE

    def __init__(self, *, fillers: Fillers):
        super().__init__()
        features: list[nn.Module] = [conv_norm_relu6(3, 32, 3, stride=2)]
        self.stage_by_feature: dict[int, int] = {}
        channels, residuals_so_far = 32, [0, 0, 0, 0]
        for expansion, out_channels, repetitions, first_stride, stage in ROWS:
            for i in range(repetitions):
                stride = first_stride if i == 0 else 1
                slots = None
                if stride == 1 and channels == out_channels:
                    position = Position(stage, residuals_so_far[stage], RESIDUAL_BLOCKS_BY_STAGE)
                    slots = fillers.at(position, in_channels=channels, out_channels=out_channels)
                    self.stage_by_feature[len(features)] = stage
                    residuals_so_far[stage] += 1
                features.append(
                    InvertedResidual(channels, out_channels, stride=stride, expansion=expansion, slots=slots)
                )
                channels = out_channels
        features.append(conv_norm_relu6(channels, NUM_FEATURES, 1))
        self.features = nn.ModuleList(features)
        start_convolutions_(self)

    def forward(self, clips: Float[Tensor, "b c_in t h w"]) -> tuple[Float[Tensor, "b c t h2 w2"], list[list[Masks]]]:
        """Return the last features and, stage by stage, the masks of each attention."""
        num_frames = clips.shape[2]
        first, *blocks, last = self.features
        x = first(fold(clips))
        masks: list[list[Masks]] = [[] for _ in RESIDUAL_BLOCKS_BY_STAGE]
        for index, block in enumerate(blocks, start=1):
            x, block_masks = block(x, num_frames)
            if block_masks is not None:
                masks[self.stage_by_feature[index]].append(block_masks)
        return unfold(last(x), num_frames), masks


def mobilenet_v2(fillers: Fillers) -> MobileNetV2:
    """MobileNetV2, 2.2 M parameters without the classifier."""
    return MobileNetV2(fillers=fillers)
