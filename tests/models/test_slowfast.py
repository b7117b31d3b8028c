"""SlowFast: published counts, which frames each pathway sees, and what is brought from one to the other."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from w3action.layers import W3, Masks, TemporalShift
from w3action.models import count_cost
from w3action.models.slots import Fillers
from w3action.models.slowfast import SlowFast, slowfast_4x16_resnet50, slowfast_8x8_resnet50, to_slow


class Halve(nn.Module):
    """An attention that halves; its masks have the size of what it saw."""

    def forward(self, x: Tensor) -> tuple[Tensor, Masks]:
        return x / 2, Masks(channel=x.mean(dim=(3, 4)), spatial=x[:, 0])


HALVE = Fillers(attention=lambda position, channels: Halve())


def on_meta(builder, fillers=None):
    with torch.device("meta"):
        return builder(fillers or Fillers())


@pytest.fixture(scope="module")
def backbone(scramble) -> SlowFast:
    torch.manual_seed(0)
    return scramble(slowfast_8x8_resnet50(Fillers()))


@pytest.mark.parametrize(
    ("builder", "size", "gflops", "params"),
    [
        (slowfast_4x16_resnet50, 256, 36.1, 33.6),  # the paper's 36.1; public networks have 34.5 M with a classifier
        (slowfast_8x8_resnet50, 256, 65.7, 33.6),  # the paper's 65.7; 34.6 M
        (slowfast_4x16_resnet50, 224, 27.6, 33.6),
        (slowfast_8x8_resnet50, 224, 50.3, 33.6),
    ],
)
def test_counts_are_the_published_ones(builder, size, gflops, params):
    cost = count_cost(on_meta(builder), num_frames=32, size=size)
    assert (round(cost.gflops, 1), round(cost.params / 1e6, 1)) == (gflops, params)


@pytest.mark.parametrize(("builder", "alpha"), [(slowfast_4x16_resnet50, 8), (slowfast_8x8_resnet50, 4)])
@pytest.mark.parametrize(("t", "h", "w"), [(32, 64, 64), (13, 45, 71), (1, 33, 33)])
def test_maps_and_masks_are_the_slow_pathway_s(builder, alpha, t, h, w):
    maps, masks = on_meta(builder, HALVE)(torch.empty(2, 3, t, h, w, device="meta"))
    frames = -(-t // alpha)
    assert maps.shape == (2, 2304, frames, -(-h // 32), -(-w // 32))
    assert [len(stage) for stage in masks] == [3, 4, 6, 3]
    for stage, stride in zip(masks, (4, 8, 16, 32), strict=True):
        assert {m.spatial.shape for m in stage} == {(2, frames, -(-h // stride), -(-w // stride))}


def test_channels_and_kernels_are_those_of_table_1():
    state = on_meta(slowfast_4x16_resnet50).state_dict()
    shape = {key: tuple(value.shape) for key, value in state.items()}
    assert shape["slow.conv1.weight"] == (64, 3, 1, 7, 7)
    assert shape["fast.conv1.weight"] == (8, 3, 5, 7, 7)
    assert [shape[f"slow.layer{s}.0.conv1.weight"][:3] for s in (1, 2, 3, 4)] == [
        (64, 80, 1),
        (128, 320, 1),
        (256, 640, 3),
        (512, 1280, 3),
    ]
    assert [shape[f"fast.layer{s}.1.conv1.weight"][:3] for s in (1, 2, 3, 4)] == [
        (8, 32, 3),
        (16, 64, 3),
        (32, 128, 3),
        (64, 256, 3),
    ]
    assert [shape[f"laterals.{s}.0.weight"] for s in range(4)] == [(2 * c, c, 5, 1, 1) for c in (8, 32, 64, 128)]


def test_the_forward_pass_is_two_networks_with_four_bridges(backbone):
    clips = torch.randn(1, 3, 6, 40, 33, generator=torch.Generator().manual_seed(0))  # alpha 4: slow frames 0 and 5
    with torch.no_grad():
        maps, masks = backbone(clips)
        slow, fast = clips[:, :, [0, 5]], clips
        slow, fast = (
            F.max_pool3d(p.bn1(p.conv1(x)).relu(), (1, 3, 3), (1, 2, 2), (0, 1, 1))
            for p, x in ((backbone.slow, slow), (backbone.fast, fast))
        )
        for s in range(4):
            conv, norm = backbone.laterals[s][:2]
            padded = F.pad(fast, (0, 0, 0, 0, 3, 3))
            windows = torch.stack([padded[:, :, start : start + 7] for start in (0, 4)], dim=2)  # (B, C, 2, 7, H, W)
            brought = norm(torch.einsum("bcskhw,ock->boshw", windows, conv.weight[..., 0, 0])).relu()
            slow = torch.cat([slow, brought], dim=1)
            for block in getattr(backbone.slow, f"layer{s + 1}"):
                slow = block(slow)[0]
            for block in getattr(backbone.fast, f"layer{s + 1}"):
                fast = block(fast)[0]
    assert masks == [[], [], [], []]
    torch.testing.assert_close(maps[:, :2048], slow, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(maps[:, 2048:, 0], fast[:, :, :4].mean(dim=2))
    torch.testing.assert_close(maps[:, 2048:, 1], fast[:, :, 4:].mean(dim=2))  # the two frames that are left


def test_a_frame_between_slow_ones_reaches_the_slow_maps_by_a_bridge_alone(backbone):
    clips = torch.randn(1, 3, 8, 33, 33, generator=torch.Generator().manual_seed(0))
    other = clips.clone()
    other[:, :, 2] += 1.0
    cut = deepcopy(backbone)
    for bridge in cut.laterals:
        bridge[1].weight.data.zero_()
        bridge[1].bias.data.zero_()
    with torch.no_grad():
        differences = [(net(other)[0] - net(clips)[0])[:, :2048].abs().max() for net in (backbone, cut)]
    assert differences[0] > 0.01
    assert differences[1] == 0


@pytest.mark.parametrize("t", [1, 4, 5, 8, 9])
def test_a_bridge_ends_at_as_many_frames_as_the_slow_pathway_has(t):
    for alpha, kernel in ((8, 5), (4, 7)):
        x = torch.randn(1, 2, t, 3, 3)
        assert to_slow(2, kernel=kernel, alpha=alpha)(x).shape == (1, 4, x[:, :, ::alpha].shape[2], 3, 3)


def test_gradients_reach_every_parameter():
    torch.manual_seed(0)
    net = slowfast_4x16_resnet50(Fillers(attention=lambda position, channels: W3(channels)))
    maps, _ = net(torch.randn(2, 3, 9, 40, 40))
    maps.square().mean().backward()
    assert [n for n, p in net.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []
    assert [n for n, p in net.named_parameters() if p.ndim == 5 and ".slots." not in n and not p.grad.any()] == []
    assert not any(".slots." in n for n, _ in net.fast.named_parameters())


def test_a_temporal_operation_and_an_alpha_of_0_are_refused():
    with pytest.raises(ValueError, match="TemporalShift is given to a network of 3D convolutions"):
        on_meta(slowfast_4x16_resnet50, Fillers(temporal=lambda position, channels: TemporalShift()))
    with pytest.raises(ValueError, match="alpha is 0; it must be at least 1"):
        SlowFast(alpha=0, fillers=Fillers())
