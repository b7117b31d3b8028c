"""A MobileNetV2 with empty slots is torchvision's; with filled slots, each acts where the block says."""

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from w3action.layers import Masks
from w3action.models.mobilenet_v2 import InvertedResidual, StridedDepthwise, mobilenet_v2
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


class Convolutions(TorchDispatchMode):
    """The types in which convolutions are computed."""

    def __enter__(self):
        self.types = []
        return super().__enter__()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.overloadpacket is torch.ops.aten.convolution:
            self.types.append(args[0].dtype)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("training", [True, False])
def test_strided_depthwise_convolutions_train_in_float32_under_autocast(training):
    conv, x = StridedDepthwise(4, 4, 3, stride=2, padding=1, groups=4, bias=False), torch.randn(2, 4, 9, 7)
    with torch.set_grad_enabled(training), torch.autocast("cpu", torch.bfloat16), Convolutions() as computed:
        y = conv(x.bfloat16())
    assert computed.types == [torch.float32 if training else torch.bfloat16]
    assert y.dtype == torch.bfloat16
    expected = conv(x.bfloat16().float())
    torch.testing.assert_close(y.float(), expected, rtol=2e-2, atol=2e-2)
    if training:
        given, wanted = (torch.autograd.grad(z.float().sum(), conv.weight)[0] for z in (y, expected))
        torch.testing.assert_close(given, wanted)


def test_only_strided_ones_are_of_that_kind():
    convs = [conv for conv in mobilenet_v2(Fillers()).modules() if isinstance(conv, nn.Conv2d)]
    assert sum(isinstance(conv, StridedDepthwise) for conv in convs) == 4
    assert all(isinstance(conv, StridedDepthwise) == (conv.groups > 1 and conv.stride == (2, 2)) for conv in convs)
