"""ECO: its streams against the networks they are parts of, the paper's costs, and what stands in its slots."""

import pytest
import torch
from torch import Tensor, nn

from w3action.layers import Masks
from w3action.models import count_cost
from w3action.models.attention import ATTENTIONS
from w3action.models.bn_inception import bn_inception
from w3action.models.eco import Block3D, eco_full, eco_lite
from w3action.models.slots import Fillers, Slots

BUILDERS = {"lite": (eco_lite, 512), "full": (eco_full, 1536)}


class Halve(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Masks]:
        return x / 2, Masks(spatial=x[:, 0])


class Triple(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 3 * x


def test_costs_are_the_paper_s():
    with torch.device("meta"):
        lite, full = eco_lite(Fillers()), eco_full(Fillers())
    assert round(count_cost(full, num_frames=8, size=224).gflops) == 32  # the W3 paper's Table 1
    assert round(count_cost(full, num_frames=16, size=224).gflops) == 64
    ensemble = [count_cost(lite, num_frames=t, size=224) for t in (16, 20, 24, 32)]  # 92 frames
    assert round(sum(cost.gflops for cost in ensemble)) == 267
    assert round(sum(cost.params for cost in ensemble) / 1e6) == 149


def normalise(norm: nn.Module, x: Tensor) -> Tensor:
    mean, var, weight, bias = (
        v[:, None, None, None] for v in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    return ((x - mean) / (var + norm.eps).sqrt() * weight + bias).clamp(min=0)


@pytest.mark.parametrize("place", ["residual", "output"])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_3d_block_activates_then_convolves(stride, place, scramble):
    width = 4 * stride
    block = scramble(Block3D(4, width, stride=stride, slots=Slots(Triple(), Halve(), place))).double()
    x = torch.randn(2, 4, 3, 5, 6, dtype=torch.float64)
    y, masks = block(x.clone())
    activated = normalise(block.bn1, x)
    branch = nn.functional.conv3d(3 * activated, block.conv1.weight, stride=stride, padding=1)
    branch = nn.functional.conv3d(normalise(block.bn2, branch), block.conv2.weight, padding=1)
    identity = x
    if stride == 2:  # the shortcut sees no temporal operation
        identity = nn.functional.conv3d(activated, block.downsample.weight, stride=2, padding=1)
    expected = {"residual": branch / 2 + identity, "output": (branch + identity) / 2}
    torch.testing.assert_close(y, expected[place])
    assert masks.spatial.shape == (2, y.shape[2], *y.shape[3:])


def test_full_is_lite_beside_the_mean_of_a_bn_inception_s_frames(scramble):
    torch.manual_seed(0)
    full, lite, frames = (build(Fillers()).double().eval() for build in (eco_full, eco_lite, bn_inception))
    scramble(full)
    state = full.state_dict()
    frames.load_state_dict({key: value for key, value in state.items() if key in frames.state_dict()})
    own = {key: value for key, value in state.items() if key in lite.state_dict()}
    start = "blocks.3c.double_start."
    own |= {"trunk_end." + key.removeprefix(start): value for key, value in state.items() if key.startswith(start)}
    lite.load_state_dict(own)
    clips = torch.randn(2, 3, 5, 33, 40, dtype=torch.float64)
    maps, _ = full(clips)
    assert maps.shape == (2, 1536, 2, 2, 2)
    torch.testing.assert_close(maps[:, :512], lite(clips)[0])
    mean = frames(clips)[0].mean(dim=2, keepdim=True)
    torch.testing.assert_close(maps[:, 512:], mean.expand(-1, -1, 2, -1, -1))


def test_the_3d_network_is_its_blocks_in_order(scramble):
    torch.manual_seed(0)
    lite = scramble(eco_lite(Fillers())).double()
    seen = []
    lite.network3d.register_forward_hook(lambda _, inputs, output: seen.append((inputs[0], output[0])))
    lite(torch.randn(1, 3, 5, 32, 40, dtype=torch.float64))
    x, given = seen[0]
    assert x.shape == (1, 96, 5, 4, 5)
    x = lite.network3d.conv1(x)
    strides = []
    for stage in lite.network3d.stages:
        for block in stage:
            strides.append(block.conv1.stride)
            x, _ = block(x)
    assert strides == [(1, 1, 1), (2, 2, 2), (1, 1, 1), (2, 2, 2), (1, 1, 1)]
    torch.testing.assert_close(given, normalise(lite.network3d.last_norm, x))
    assert given.shape == (1, 512, 2, 1, 2)


@pytest.mark.parametrize("kind", BUILDERS)
@pytest.mark.parametrize("num_frames", [1, 5])
def test_odd_sizes_and_any_number_of_frames_have_maps(kind, num_frames, scramble):
    build, num_features = BUILDERS[kind]
    backbone = scramble(build(Fillers()))
    maps, masks = backbone(torch.randn(1, 3, num_frames, 33, 70))
    assert maps.shape == (1, num_features, -(-num_frames // 4), 2, 3)
    assert backbone.num_features == num_features
    assert masks == [[] for _ in backbone.num_blocks_by_stage]


def test_stages_are_the_table_s_then_the_3d_network_s():
    full = eco_full(Fillers(attention=lambda position, channels: Halve()))
    _, masks = full(torch.randn(1, 3, 8, 32, 32))
    sizes = [[tuple(mask.spatial.shape[1:3]) for mask in stage] for stage in masks]
    frames = [[(8, 4)] * 2, [(8, 2)] * 5, [(8, 1)] * 3]
    assert sizes == [*frames, [(8, 4)], [(4, 2)] * 2, [(2, 1)] * 2]
    _, masks = eco_lite(Fillers(attention=lambda position, channels: Halve()))(torch.randn(1, 3, 8, 32, 32))
    assert [len(stage) for stage in masks] == [2, 1, 2, 2]


@pytest.mark.parametrize("kind", BUILDERS)
@pytest.mark.parametrize("name", ATTENTIONS)
def test_it_takes_any_attention(kind, name):
    attention = ATTENTIONS[name]
    build, num_features = BUILDERS[kind]
    backbone = build(Fillers(attention=attention.builder({}), place=attention.place)).eval()
    maps, masks = backbone(torch.randn(1, 3, 3, 33, 40))
    assert maps.shape[:3] == (1, num_features, 1)
    assert [len(stage) for stage in masks] == attention.count_masks(backbone.num_blocks_by_stage)


@pytest.mark.parametrize("kind", BUILDERS)
def test_every_parameter_learns(kind):
    torch.manual_seed(0)
    backbone = BUILDERS[kind][0](Fillers())
    backbone(torch.randn(2, 3, 2, 48, 48))[0].square().mean().backward()
    assert [name for name, p in backbone.named_parameters() if p.grad is None or not p.grad.any()] == []
