"""BN-Inception as a frame backbone with slots: `(B, 3, T, H, W)` -> `(B, 1024, T, H/32, W/32)` and the masks.

An inception block looks at its input in four ways and joins what they see by channels:

    1x1    |    1x1 -> 3x3    |    1x1 -> 3x3 -> 3x3    |    3x3 pool -> 1x1

every convolution with batch norm and ReLU. The blocks that halve the resolution (3c, 4e) have stride 2 in the last
3x3 of both branches, no 1x1 branch, and their max pool is joined as it is.

Slots: a block has no shortcut, hence no residual branch. The temporal operation acts on its input, before all four
branches; the attention acts on its output, whatever place it asks for. Stages are those of equal resolution: strides
8, 16, 32.

Source: "Batch Normalization" (Ioffe & Szegedy, ICML 2015), Figure 5, with the widths of the network that TSN, TRN and
ECO start from: its blocks 4c and 4d project what they pool to 128 channels, not to the figure's 96. What differs here:
convolutions have no bias (the batch norm behind would cancel it), and maps of odd size are halved upwards in both
branches and pool, where the published network cannot join them.
"""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from w3action.layers import Masks
from w3action.models.backbone import Backbone, start_convolutions_
from w3action.models.slots import Fillers, Position, Slots, fold, unfold


class Row(NamedTuple):
    """An inception block in the table; widths of 0 mean that there is no such branch."""

    name: str
    stage: int
    one: int
    three: tuple[int, int]  # 1x1, 3x3
    double: tuple[int, int]  # 1x1, both 3x3
    pool: Literal["average", "max", "halve"]  # of a block that halves: its maximum, joined as it is
    project: int


ROWS = (
    Row("3a", 0, 64, (64, 64), (64, 96), "average", 32),
    Row("3b", 0, 64, (64, 96), (64, 96), "average", 64),
    Row("3c", 1, 0, (128, 160), (64, 96), "halve", 0),
    Row("4a", 1, 224, (64, 96), (96, 128), "average", 128),
    Row("4b", 1, 192, (96, 128), (96, 128), "average", 128),
    Row("4c", 1, 160, (128, 160), (128, 160), "average", 128),
    Row("4d", 1, 96, (128, 192), (160, 192), "average", 128),
    Row("4e", 2, 0, (128, 192), (192, 256), "halve", 0),
    Row("5a", 2, 352, (192, 320), (160, 224), "average", 128),
    Row("5b", 2, 352, (192, 320), (192, 224), "max", 128),
)
STEM_CHANNELS = 192
NUM_FEATURES = 1024


def conv_norm_relu(in_channels: int, out_channels: int, kernel: int, *, stride: int = 1) -> nn.Sequential:
    """Build a convolution with batch norm and ReLU."""
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))


class HalvingPool(nn.Module):
    """The maximum of the 3x3 windows that start at every second place; `(H, W)` -> `(ceil(H/2), ceil(W/2))`.

    On an even map it is a 3x3 max pool of stride 2 without padding that rounds up, as in the published network. On an
    odd map that pool leaves out the last place, and its output would not fit beside a strided convolution's.
    """

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """Halve the map."""
        h, w = x.shape[2:]
        x = nn.functional.pad(x, (0, 1 + w % 2, 0, 1 + h % 2), value=float("-inf"))
        return nn.functional.max_pool2d(x, 3, stride=2)


def stem() -> nn.Sequential:
    """Build what stands before the first block: `(N, 3, H, W)` -> `(N, 192, H/8, W/8)`."""
    return nn.Sequential(
        conv_norm_relu(3, 64, 7, stride=2),
        HalvingPool(),
        conv_norm_relu(64, 64, 1),
        conv_norm_relu(64, STEM_CHANNELS, 3),
        HalvingPool(),
    )


class InceptionBlock(nn.Module):
    """One row of the table."""

    def __init__(self, in_channels: int, row: Row, *, slots: Slots):
        super().__init__()
        stride = 2 if row.pool == "halve" else 1
        width = row.double[1]
        self.slots = slots
        self.one = conv_norm_relu(in_channels, row.one, 1) if row.one else None
        self.three = nn.Sequential(
            conv_norm_relu(in_channels, row.three[0], 1), conv_norm_relu(*row.three, 3, stride=stride)
        )
        self.double_start = double_start(in_channels, row)
        self.double_end = conv_norm_relu(width, width, 3, stride=stride)
        self.pool = pool_branch(in_channels, row)

    def start(self, x: Tensor, num_frames: int) -> tuple[Tensor, Tensor]:
        """Return what the branches see and what the longest makes of it before its last convolution."""
        x = self.slots.before(x, num_frames)
        return x, self.double_start(x)

    def finish(self, x: Tensor, middle: Tensor, num_frames: int) -> tuple[Tensor, Masks | None]:
        """Join the branches and attend to them, whatever place the attention asks for."""
        branches = [self.three(x), self.double_end(middle), self.pool(x)]
        y = torch.cat(branches if self.one is None else [self.one(x), *branches], dim=1)
        return self.slots.attend(y, num_frames, self.slots.place)

    def forward(self, x: Tensor, num_frames: int) -> tuple[Tensor, Masks | None]:
        """Map `(B*T, C, H, W)` to the block's output and the masks of its attention."""
        return self.finish(*self.start(x, num_frames), num_frames)


def double_start(in_channels: int, row: Row) -> nn.Sequential:
    """Build the first two convolutions of a block's branch of three; ECO's 3D network stands on those of block 3c."""
    return nn.Sequential(conv_norm_relu(in_channels, row.double[0], 1), conv_norm_relu(*row.double, 3))


def pool_branch(in_channels: int, row: Row) -> nn.Module:
    """Build the branch that pools."""
    if row.pool == "halve":
        return HalvingPool()
    pool = nn.AvgPool2d(3, stride=1, padding=1) if row.pool == "average" else nn.MaxPool2d(3, stride=1, padding=1)
    return nn.Sequential(pool, conv_norm_relu(in_channels, row.project, 1))


def inception_blocks(rows: tuple[Row, ...], *, fillers: Fillers, counts: tuple[int, ...]) -> nn.ModuleDict:
    """Build the table's first blocks, by name; `counts` are the blocks with slots in each stage of the network."""
    blocks = nn.ModuleDict()
    channels, so_far = STEM_CHANNELS, [0] * len(counts)
    for row in rows:
        joined = row.one + row.three[1] + row.double[1] + (row.project or channels)
        position = Position(row.stage, so_far[row.stage], counts)
        slots = fillers.at(position, in_channels=channels, out_channels=joined)
        blocks[row.name] = InceptionBlock(channels, row, slots=slots)
        so_far[row.stage] += 1
        channels = joined
    return blocks


class BNInception(Backbone):
    """The backbone."""

    num_features = NUM_FEATURES
    num_blocks_by_stage = (2, 5, 3)

    def __init__(self, *, fillers: Fillers):
        super().__init__()
        self.stem = stem()
        self.blocks = inception_blocks(ROWS, fillers=fillers, counts=self.num_blocks_by_stage)
        start_convolutions_(self)

    def forward(self, clips: Float[Tensor, "b c_in t h w"]) -> tuple[Float[Tensor, "b c t h2 w2"], list[list[Masks]]]:
        """Return the last features and, stage by stage, the masks of each attention."""
        num_frames = clips.shape[2]
        x = self.stem(fold(clips))
        masks: list[list[Masks]] = [[] for _ in self.num_blocks_by_stage]
        for row in ROWS:
            x, block_masks = self.blocks[row.name](x, num_frames)
            if block_masks is not None:
                masks[row.stage].append(block_masks)
        return unfold(x, num_frames), masks


def bn_inception(fillers: Fillers) -> BNInception:
    """BN-Inception, 10.3 M parameters without the classifier."""
    return BNInception(fillers=fillers)
