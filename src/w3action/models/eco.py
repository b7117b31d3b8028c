"""ECO: frames through the beginning of a BN-Inception, then a 3D ResNet over all of them.

    trunk, frame by frame:   BN-Inception's stem, blocks 3a, 3b and the start of 3c     (B, 96, T, H/8, W/8)
    3D network:              3x3x3 convolutions, 128, 256 and 512 channels              (B, 512, T/4, H/32, W/32)
    ECO-Lite                 gives the 3D network's maps                                (B, 512, T/4, H/32, W/32)
    ECO-Full                 also takes the rest of BN-Inception, averaged over the
                             frames, and joins it to each of the 3D maps                (B, 1536, T/4, H/32, W/32)

Clips are `(B, 3, T, H, W)`; every halving rounds up, so T = 1 and odd sizes have maps.

Slots: those of BN-Inception's blocks (see bn_inception.py), and every residual block of the 3D network but the first,
which is a convolution alone. Stages are BN-Inception's (strides 8, 16, 32; of ECO-Lite the first alone), then the 3D
network's (8, 16, 32), which see T, T/2 and T/4 frames.

Source: "ECO: Efficient Convolutional Network for Online Video Understanding" (Zolfaghari et al., ECCV 2018), section
3; that the 3D network activates before its convolutions, and that its strided shortcuts are 3x3x3 convolutions, is
from the authors' network files.

What differs: the paper pools the 3D stream to 512 numbers and the 2D stream to 1024 before it joins them. Here they
are joined as maps, so that an attention's masks can refine them; an average over frames and places gives the paper's
1536 numbers. No convolution has a bias: the batch norms cancel it. The paper's "ECO_en Lite" of 92 frames is four
ECO-Lite networks, of 16, 20, 24 and 32 frames, their scores averaged.
"""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from w3action.layers import Masks
from w3action.models.backbone import Backbone, run_blocks, start_convolutions_
from w3action.models.bn_inception import NUM_FEATURES, ROWS, InceptionBlock, double_start, inception_blocks, stem
from w3action.models.slots import Fillers, Position, Slots, fold, unfold

SHARED = ROWS[:2]  # blocks 3a and 3b
WHERE_STREAMS_PART = ROWS[2]  # inside 3c
SHARED_CHANNELS = 320  # of 3b's output
TRUNK_CHANNELS = WHERE_STREAMS_PART.double[1]
# The 3D network: stage by stage its width and its residual blocks.
STAGES = ((128, 1), (256, 2), (512, 2))

conv3d = partial(nn.Conv3d, kernel_size=3, padding=1, bias=False)  # (in_channels, out_channels, stride=1)


class Block3D(nn.Module):
    """A residual block that activates before its convolutions: `(B, C, T, H, W)` sums in and out.

    The shortcut of a block that changes the shape starts from the activated input, any other from the sum itself.
    """

    def __init__(self, in_channels: int, width: int, *, stride: int, slots: Slots):
        super().__init__()
        self.slots = slots
        self.bn1 = nn.BatchNorm3d(in_channels)
        self.conv1 = conv3d(in_channels, width, stride=stride)
        self.bn2 = nn.BatchNorm3d(width)
        self.conv2 = conv3d(width, width)
        self.downsample = conv3d(in_channels, width, stride=stride) if stride > 1 else None

    def forward(self, x: Tensor) -> tuple[Tensor, Masks | None]:
        """Map sums to the block's sum and the masks of its attention."""
        activated = self.bn1(x).relu_()
        y = activated if self.slots.temporal is None else self.slots.temporal(activated)
        y = self.conv2(self.bn2(self.conv1(y)).relu_())
        return self.slots.close_clips(y, x if self.downsample is None else self.downsample(activated), relu=False)


class Network3D(nn.Module):
    """The 3D part of a ResNet-18: `(B, 96, T, H, W)` -> `(B, 512, T/4, H/4, W/4)` and the masks by stage."""

    def __init__(self, *, fillers: Fillers, first_stage: int, counts: tuple[int, ...]):
        super().__init__()
        channels = STAGES[0][0]
        self.conv1 = conv3d(TRUNK_CHANNELS, channels)
        self.stages = nn.ModuleList()
        for stage, (width, count) in enumerate(STAGES):
            blocks = nn.ModuleList()
            for i in range(count):
                position = Position(first_stage + stage, i, counts)
                slots = fillers.at(position, in_channels=channels, out_channels=width)
                blocks.append(Block3D(channels, width, stride=1 if channels == width else 2, slots=slots))
                channels = width
            self.stages.append(blocks)
        self.last_norm = nn.BatchNorm3d(channels)

    def forward(self, x: Tensor) -> tuple[Tensor, list[list[Masks]]]:
        """Return the activated maps and, stage by stage, the masks of each attention."""
        x = self.conv1(x)
        masks: list[list[Masks]] = []
        for stage in self.stages:
            x, stage_masks = run_blocks(stage.children(), x)
            masks.append(stage_masks)
        return self.last_norm(x).relu_(), masks


class ECO(Backbone):
    """The backbone.

    Args:
        full: the 2D stream beside the 3D network (ECO-Full); without it ECO-Lite.
        fillers: what stands in the slots.
    """

    def __init__(self, *, full: bool, fillers: Fillers):
        super().__init__()
        self.rows = ROWS if full else SHARED
        self.num_stages_2d = 1 + self.rows[-1].stage
        counts_2d = tuple(sum(row.stage == stage for row in self.rows) for stage in range(self.num_stages_2d))
        self.num_blocks_by_stage = counts_2d + tuple(count for _, count in STAGES)
        self.num_features = STAGES[-1][0] + (NUM_FEATURES if full else 0)
        self.stem = stem()
        self.blocks = inception_blocks(self.rows, fillers=fillers, counts=self.num_blocks_by_stage)
        self.trunk_end = None if full else double_start(SHARED_CHANNELS, WHERE_STREAMS_PART)
        self.network3d = Network3D(fillers=fillers, first_stage=self.num_stages_2d, counts=self.num_blocks_by_stage)
        start_convolutions_(self)

    def forward(self, clips: Float[Tensor, "b c_in t h w"]) -> tuple[Float[Tensor, "b c t2 h2 w2"], list[list[Masks]]]:
        """Return the last features and, stage by stage, the masks of each attention."""
        num_frames = clips.shape[2]
        x = self.stem(fold(clips))
        middle = None
        masks: list[list[Masks]] = [[] for _ in range(self.num_stages_2d)]
        for row in self.rows:
            block = self.blocks[row.name]
            assert isinstance(block, InceptionBlock)
            x, start = block.start(x, num_frames)
            if row == WHERE_STREAMS_PART:
                middle = start
            x, block_masks = block.finish(x, start, num_frames)
            if block_masks is not None:
                masks[row.stage].append(block_masks)
        if self.trunk_end is not None:
            middle = self.trunk_end(x)
        assert middle is not None
        maps, masks_3d = self.network3d(unfold(middle, num_frames))
        if self.trunk_end is None:
            mean = unfold(x, num_frames).mean(dim=2, keepdim=True)  # (B, 1024, 1, H/32, W/32)
            maps = torch.cat([maps, mean.expand(-1, -1, maps.shape[2], -1, -1)], dim=1)
        return maps, masks + masks_3d


def eco_lite(fillers: Fillers) -> ECO:
    """ECO-Lite, 37.3 M parameters without the classifier."""
    return ECO(full=False, fillers=fillers)


def eco_full(fillers: Fillers) -> ECO:
    """ECO-Full ("ECO" in the tables of others), 46.9 M parameters without the classifier."""
    return ECO(full=True, fillers=fillers)
