"""SlowFast on a ResNet-50: `(B, 3, T, H, W)` -> `(B, 2304, T/alpha, H/32, W/32)` and the masks of the slow blocks.

The clip is what the fast pathway sees. The slow pathway sees T/alpha frames spread from its first to its last, as in
the public code, with eight times the channels. Before each stage a lateral convolution of stride alpha in time brings
the fast maps to the slow pathway's frames, with twice their channels, and the two are concatenated:

    slow  1x7x7, 64   1x1x1 in res2 and res3, 3x1x1 in res4 and res5   T/alpha frames    256, 512, 1024, 2048 channels
    fast  5x7x7, 8    3x1x1 in every block                             T frames          32, 64, 128, 256 channels

The last maps are the slow ones (2048 channels) and the fast ones averaged over each alpha frames (256 channels). Of a
T that alpha does not divide, the last slow frame stands for the frames that are left.

The attention stands in the slow pathway's blocks, which carry what and where; the fast pathway's slots are empty. So
masks have T/alpha frames.

Source: "SlowFast Networks for Video Recognition" (Feichtenhofer et al., ICCV 2019), Table 1 and section 3. Counts are
the published ones, 36.1 (4x16) and 65.7 GFLOPs (8x8) for 32 frames of 256x256; at 224x224 they are 27.6 and 50.3.
What differs: the paper pools each pathway over all of space and time; here the fast maps are pooled to the slow
frames and the head does the rest, which is the same average where alpha divides T. As in the public code a lateral
convolution has a batch norm and a ReLU, and looks at 7 frames where alpha is 4 (the text has 5 for both; the published
65.7 is the count with 7, with 5 it is 65.3). The last batch norm of a block starts at 1, not at 0 as there, so that an
attention on the residual branch has features to see.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from w3action.layers import Masks
from w3action.models.backbone import Backbone, start_convolutions_
from w3action.models.resnet3d import Bottleneck, Stages3d, conv3d
from w3action.models.slots import Fillers

NUM_BLOCKS = (3, 4, 6, 3)
SLOW_WIDTH = 64
CHANNEL_RATIO = 8  # 1 / beta
LATERAL_RATIO = 2  # channels of a lateral convolution's output, to those of its input


def pathway(width: int, *, depths: tuple[int, ...], **arguments: Any) -> Stages3d:
    """Build one ResNet-50 of the two: `depths` are how many frames deep the blocks of each stage look."""
    kernels = tuple((depth,) * count for depth, count in zip(depths, NUM_BLOCKS, strict=True))
    strides = ((1, 1, 1), (1, 2, 2), (1, 2, 2), (1, 2, 2))
    return Stages3d(Bottleneck, width=width, kernels=kernels, strides=strides, pool=True, **arguments)


class SlowFast(Backbone):
    """The two pathways.

    Args:
        alpha: fast frames to a slow one.
        lateral: fast frames that a lateral convolution looks at, an odd number.
        fillers: what stands in the slots of the slow pathway; no temporal operation.
    """

    num_blocks_by_stage = NUM_BLOCKS

    def __init__(self, *, alpha: int, lateral: int = 5, fillers: Fillers):
        super().__init__()
        if alpha < 1:
            raise ValueError(f"alpha is {alpha}; it must be at least 1 (8 and 4 in the paper)")
        self.alpha = alpha
        width = SLOW_WIDTH // CHANNEL_RATIO
        fast_channels = (width, *(Bottleneck.expansion * width * 2**stage for stage in range(3)))  # before each stage
        lateral_channels = tuple(LATERAL_RATIO * channels for channels in fast_channels)
        self.slow = pathway(SLOW_WIDTH, stem=1, depths=(1, 1, 3, 3), lateral_channels=lateral_channels, fillers=fillers)
        self.fast = pathway(width, stem=5, depths=(3, 3, 3, 3), fillers=Fillers())
        self.laterals = nn.ModuleList(to_slow(channels, kernel=lateral, alpha=alpha) for channels in fast_channels)
        self.num_features = self.slow.num_features + self.fast.num_features
        start_convolutions_(self)

    def forward(self, clips: Float[Tensor, "b c_in t h w"]) -> tuple[Float[Tensor, "b c t2 h2 w2"], list[list[Masks]]]:
        """Return the last features of both pathways and, stage by stage, the masks of each attention."""
        num_frames = clips.shape[2]
        spread = torch.linspace(0, num_frames - 1, -(-num_frames // self.alpha), device=clips.device).long()
        slow, fast = self.slow.stem(clips[:, :, spread]), self.fast.stem(clips)  # first and last frame are both seen
        masks: list[list[Masks]] = []
        for stage, bring in enumerate(self.laterals):
            slow = torch.cat([slow, bring(fast)], dim=1)  # (B, C + 2 C/8, T/alpha, H, W)
            slow, stage_masks = self.slow.stage(slow, stage)
            fast, _ = self.fast.stage(fast, stage)
            masks.append(stage_masks)
        pooled = [frames.mean(dim=2) for frames in fast.split(self.alpha, dim=2)]  # the last of those that are left
        return torch.cat([slow, torch.stack(pooled, dim=2)], dim=1), masks


def to_slow(channels: int, *, kernel: int, alpha: int) -> nn.Sequential:
    """Build the way from the fast maps to the slow pathway: T frames in, ceil(T/alpha) out."""
    out_channels = LATERAL_RATIO * channels
    return nn.Sequential(
        conv3d(channels, out_channels, (kernel, 1), stride=(alpha, 1, 1)),
        nn.BatchNorm3d(out_channels),
        nn.ReLU(inplace=True),
    )


def slowfast_4x16_resnet50(fillers: Fillers) -> SlowFast:
    """SlowFast 4x16: of 32 frames (every second one of 64) the slow pathway sees 4."""
    return SlowFast(alpha=8, fillers=fillers)


def slowfast_8x8_resnet50(fillers: Fillers) -> SlowFast:
    """SlowFast 8x8: of 32 frames (every second one of 64) the slow pathway sees 8."""
    return SlowFast(alpha=4, lateral=7, fillers=fillers)
