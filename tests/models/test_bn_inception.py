"""BN-Inception: each block against its definition, the published counts, and what stands in its slots."""

import pytest
import torch
from torch import Tensor, nn

from w3action.layers import Masks
from w3action.models import count_cost
from w3action.models.attention import ATTENTIONS
from w3action.models.bn_inception import ROWS, HalvingPool, InceptionBlock, bn_inception
from w3action.models.slots import Fillers, Slots

# Output channels, as published.
CHANNELS = {"3a": 256, "3b": 320, "3c": 576, "4a": 576, "4b": 576, "4c": 608, "4d": 608, "4e": 1056}
CHANNELS |= {"5a": 1024, "5b": 1024}


class Halve(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Masks]:
        return x / 2, Masks(spatial=x[:, 0])


class Triple(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 3 * x


def apply(layer: nn.Sequential, x: Tensor, *, stride: int = 1) -> Tensor:
    """Convolution, batch norm and ReLU by hand."""
    conv, norm, _ = layer
    x = nn.functional.conv2d(x, conv.weight, stride=stride, padding=conv.weight.shape[-1] // 2)
    x = (x - norm.running_mean[:, None, None]) / (norm.running_var[:, None, None] + norm.eps).sqrt()
    return (x * norm.weight[:, None, None] + norm.bias[:, None, None]).clamp(min=0)


def by_hand(block: InceptionBlock, x: Tensor, *, halves: bool, maximum: bool) -> Tensor:
    stride = 2 if halves else 1
    three = apply(block.three[1], apply(block.three[0], x), stride=stride)
    double = apply(block.double_start[1], apply(block.double_start[0], x))
    double = apply(block.double_end, double, stride=stride)
    if halves:
        return torch.cat([three, double, nn.functional.max_pool2d(x, 3, stride=2, ceil_mode=True)], dim=1)
    if maximum:
        pooled = nn.functional.max_pool2d(x, 3, stride=1, padding=1)
    else:
        pooled = nn.functional.pad(x, (1, 1, 1, 1)).unfold(2, 3, 1).unfold(3, 3, 1).mean(dim=(4, 5))
    return torch.cat([apply(block.one, x), three, double, apply(block.pool[1], pooled)], dim=1)


def test_it_has_the_published_figures():
    with torch.device("meta"):
        backbone = bn_inception(Fillers())
    cost = count_cost(backbone, num_frames=8, size=224)
    assert round(cost.gflops) == 16  # the W3 paper's Table 1, TSN
    assert round(cost.params / 1e6, 1) == 10.3


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_block_joins_its_branches(row, scramble):
    torch.manual_seed(0)
    channels = (192, *CHANNELS.values())[list(CHANNELS).index(row.name)]
    block = scramble(InceptionBlock(channels, row, slots=Slots(None, None, "residual"))).double()
    x = torch.randn(2, channels, 6, 4, dtype=torch.float64)
    y, masks = block(x.clone(), 2)
    assert masks is None
    assert y.shape[1] == CHANNELS[row.name]
    torch.testing.assert_close(y, by_hand(block, x, halves=row.name in {"3c", "4e"}, maximum=row.name == "5b"))


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 6), (5, 9)])
def test_pooling_halves_upwards_from_every_second_place(size):
    x = torch.randn(1, 2, *size)
    y = HalvingPool()(x)
    assert y.shape[2:] == ((size[0] + 1) // 2, (size[1] + 1) // 2)
    for i in range(y.shape[2]):
        for j in range(y.shape[3]):
            assert torch.equal(y[:, :, i, j], x[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].amax(dim=(2, 3)))


@pytest.mark.parametrize("place", ["residual", "output"])
@pytest.mark.parametrize("index", [0, 2])
def test_a_block_is_temporal_then_branches_then_attention(index, place, scramble):
    block = scramble(InceptionBlock(8, ROWS[index], slots=Slots(Triple(), Halve(), place)))
    x = torch.randn(6, 8, 5, 5)
    y, masks = block(x, 3)
    block.slots = Slots(None, None, place)
    torch.testing.assert_close(y, block(3 * x, 3)[0] / 2)  # at either place, behind the join
    assert masks is not None


@pytest.mark.parametrize("size", [(1, 64, 64), (2, 45, 71)])
def test_every_frame_is_mapped_by_itself(size, scramble):
    torch.manual_seed(0)
    backbone = scramble(bn_inception(Fillers())).double()
    clips = torch.randn(2, 3, *size, dtype=torch.float64)
    maps, masks = backbone(clips)
    assert masks == [[], [], []]
    assert maps.shape == (2, 1024, size[0], *(-(-side // 32) for side in size[1:]))
    for t in range(size[0]):
        torch.testing.assert_close(maps[:, :, t : t + 1], backbone(clips[:, :, t : t + 1])[0])


def test_stages_are_those_of_equal_resolution():
    backbone = bn_inception(Fillers(attention=lambda position, channels: Halve()))
    _, masks = backbone(torch.randn(1, 3, 1, 64, 64))
    sizes = [[tuple(mask.spatial.shape[2:]) for mask in stage] for stage in masks]
    assert sizes == [[(8, 8)] * 2, [(4, 4)] * 5, [(2, 2)] * 3]


@pytest.mark.parametrize("name", ATTENTIONS)
def test_it_takes_any_attention(name):
    attention = ATTENTIONS[name]
    backbone = bn_inception(Fillers(attention=attention.builder({}), place=attention.place)).eval()
    maps, masks = backbone(torch.randn(1, 3, 2, 45, 71))
    assert maps.shape == (1, 1024, 2, 2, 3)
    assert [len(stage) for stage in masks] == attention.count_masks(backbone.num_blocks_by_stage)


def test_every_parameter_learns():
    torch.manual_seed(0)
    backbone = bn_inception(Fillers())
    backbone(torch.randn(2, 3, 2, 64, 64))[0].square().mean().backward()
    assert [name for name, p in backbone.named_parameters() if p.grad is None or not p.grad.any()] == []
