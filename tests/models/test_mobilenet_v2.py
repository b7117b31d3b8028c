"""A MobileNetV2 with empty slots is torchvision's; with filled slots, each acts where the block says."""

import torch
import torchvision
from torch import Tensor, nn

from w3action.layers import Masks
from w3action.models.mobilenet_v2 import InvertedResidual, mobilenet_v2
from w3action.models.slots import Fillers, Slots


class Halve(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Masks]:
        return x / 2, Masks()


class Triple(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 3 * x


def test_it_is_torchvision_s(scramble):
    torch.manual_seed(0)
    theirs = scramble(torchvision.models.mobilenet_v2()).double()
    ours = mobilenet_v2(Fillers()).double().eval()
    state = {key: value for key, value in theirs.state_dict().items() if not key.startswith("classifier.")}
    ours.load_state_dict(state)  # strict: the same names and shapes
    clips = torch.randn(1, 3, 2, 45, 71, dtype=torch.float64)
    maps, masks = ours(clips)
    assert masks == [[], [], [], []]
    assert maps.shape == (1, 1280, 2, 2, 3)
    for t in range(2):
        torch.testing.assert_close(maps[:, :, t], theirs.features(clips[:, :, t]), atol=1e-30, rtol=1e-9)


def test_a_block_is_temporal_then_branch_then_attention(scramble):
    x = torch.randn(6, 4, 5, 5)
    for place in ("residual", "output"):
        slots = Slots(Triple(), Halve(), place)
        block = scramble(InvertedResidual(4, 4, stride=1, expansion=6, slots=slots))
        branch = block.conv(3 * x)
        y, masks = block(x, 3)
        torch.testing.assert_close(y, x + branch / 2 if place == "residual" else (x + branch) / 2)
        assert masks == Masks()


def test_stages_are_those_of_equal_resolution():
    backbone = mobilenet_v2(Fillers(attention=lambda position, channels: Sizes()))
    _, masks = backbone(torch.randn(1, 3, 1, 64, 64))
    assert [[tuple(mask.spatial.shape[2:]) for mask in stage] for stage in masks] == [
        [(16, 16)],
        [(8, 8)] * 2,
        [(4, 4)] * 5,
        [(2, 2)] * 2,
    ]


class Sizes(nn.Module):
    """An attention that changes nothing; its mask has the size of what it saw."""

    def forward(self, x: Tensor) -> tuple[Tensor, Masks]:
        return x, Masks(spatial=x[:, 0])
