"""W3 against the paper's section 3, equation by equation, and what each facet may and may not see."""

import jaxtyping
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from w3action.layers import W3
from w3action.layers.w3 import temporal_network_1d, temporal_network_3d


def channel_mask_by_the_paper(weights: dict[str, Tensor], x: Tensor, *, temporal: bool, groups: int) -> Tensor:
    """Equations 3 and 4: M^c, (B, C, T)."""

    def mlp(descriptor: Tensor) -> Tensor:
        hidden = F.linear(descriptor, weights["what.frame.reduce.weight"], weights["what.frame.reduce.bias"]).relu()
        return F.linear(hidden, weights["what.frame.expand.weight"], weights["what.frame.expand.bias"])

    frames = x.unbind(dim=2)  # each (B, C, H, W)
    by_frame = [(mlp(f.mean(dim=(2, 3))) + mlp(f.amax(dim=(2, 3)))).sigmoid() for f in frames]  # (3)
    mask = torch.stack(by_frame, dim=2)
    if temporal:  # (4)
        mask = F.conv1d(mask, weights["what.video.0.weight"], weights["what.video.0.bias"], padding=1, groups=groups)
        mask = F.conv1d(
            mask.relu(), weights["what.video.2.weight"], weights["what.video.2.bias"], padding=1, groups=groups
        ).sigmoid()
    return mask


def spatial_mask_by_the_paper(weights: dict[str, Tensor], x: Tensor, *, temporal: bool) -> Tensor:
    """Equations 5 and 6: M^s, (B, T, H, W)."""
    by_frame = []
    for frame in x.unbind(dim=2):
        maps = torch.cat([frame.mean(dim=1, keepdim=True), frame.amax(dim=1, keepdim=True)], dim=1)
        kernel, bias = weights["where.frame.conv.weight"], weights["where.frame.conv.bias"]
        by_frame.append(F.conv2d(maps, kernel, bias, padding=3).sigmoid())  # (5)
    mask = torch.stack(by_frame, dim=2)  # (B, 1, T, H, W)
    if temporal:  # (6)
        mask = F.conv3d(mask, weights["where.video.0.weight"], weights["where.video.0.bias"], padding=1).relu()
        mask = F.conv3d(mask, weights["where.video.2.weight"], weights["where.video.2.bias"], padding=1).sigmoid()
    return mask[:, 0]


def random_clip(t: int, *, channels: int = 24, seed: int = 0) -> Tensor:
    return torch.randn(2, channels, t, 7, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def frames_that_change(layer: W3, x: Tensor, frame: int) -> dict[str, set[int]]:
    """Which frames' masks change, bit by bit, when one frame's features do."""
    other = x.clone()
    other[:, :, frame] = random_clip(1, channels=x.shape[1], seed=1)[:, :, 0]
    pairs = zip(layer(x).masks, layer(other).masks, strict=True)
    frames_first = {"channel": (2, 0, 1), "spatial": (1, 0, 2, 3)}
    return {
        kind: {t for t, (a, b) in enumerate(zip(was.permute(p), now.permute(p), strict=True)) if not torch.equal(a, b)}
        for (kind, p), (was, now) in zip(frames_first.items(), pairs, strict=True)
        if was is not None
    }


def alive(**options) -> W3:
    """Masks that answer to their input: PyTorch's initial weights, in float64."""
    torch.manual_seed(0)
    return W3(24, initial_mask=0.5, **options).double().eval()


@pytest.mark.parametrize("t", [1, 2, 8])
@pytest.mark.parametrize("temporal_conv", ["depthwise", "bottleneck", "full"])
@pytest.mark.parametrize("seed", range(3))
def test_the_layer_is_equations_2_to_6(randomise, t, temporal_conv, seed):
    layer = randomise(W3(24, temporal_conv=temporal_conv), seed=seed)
    x, weights = random_clip(t), layer.state_dict()
    groups = 24 if temporal_conv == "depthwise" else 1
    channel = channel_mask_by_the_paper(weights, x, temporal=True, groups=groups)
    attended = channel[:, :, :, None, None] * x  # (2), first half
    spatial = spatial_mask_by_the_paper(weights, attended, temporal=True)
    y, masks = layer(x)
    torch.testing.assert_close(masks.channel, channel)
    torch.testing.assert_close(masks.spatial, spatial)
    torch.testing.assert_close(y, spatial[:, None] * attended)  # (2), second half


def test_without_when_it_is_equations_2_3_and_5(randomise):
    layer = randomise(W3(24, temporal=False))
    x, weights = random_clip(4), layer.state_dict()
    channel = channel_mask_by_the_paper(weights, x, temporal=False, groups=24)
    attended = channel[:, :, :, None, None] * x
    spatial = spatial_mask_by_the_paper(weights, attended, temporal=False)
    torch.testing.assert_close(layer(x).features, spatial[:, None] * attended)


def test_what_alone_is_equations_3_and_4(randomise):
    layer = randomise(W3(24, spatial=False))
    x = random_clip(4)
    channel = channel_mask_by_the_paper(layer.state_dict(), x, temporal=True, groups=24)
    y, masks = layer(x)
    torch.testing.assert_close(y, channel[:, :, :, None, None] * x)
    assert masks.spatial is None


def test_where_alone_is_equations_5_and_6(randomise):
    layer = randomise(W3(24, channel=False))
    x = random_clip(4)
    spatial = spatial_mask_by_the_paper(layer.state_dict(), x, temporal=True)
    y, masks = layer(x)
    torch.testing.assert_close(y, spatial[:, None] * x)
    assert masks.channel is None


@pytest.mark.parametrize("facets", [{}, {"channel": False}, {"spatial": False}, {"spatial_norm": True}])
def test_without_when_no_frame_sees_another(facets):
    layer, x = alive(temporal=False, **facets), random_clip(5)
    other = x.clone()
    other[:, :, 2] += 1.0
    was, now = layer(x).features, layer(other).features
    for t in range(5):
        assert torch.equal(was[:, :, t], now[:, :, t]) == (t != 2)


@pytest.mark.parametrize("temporal_conv", ["depthwise", "bottleneck", "full"])
@pytest.mark.parametrize(("frame", "seen"), [(4, {2, 3, 4, 5, 6}), (0, {0, 1, 2}), (8, {6, 7, 8})])
def test_what_and_when_spans_two_frames_each_side(temporal_conv, frame, seen):
    layer = alive(spatial=False, temporal_conv=temporal_conv)
    assert frames_that_change(layer, random_clip(9), frame) == {"channel": seen}


@pytest.mark.parametrize(("frame", "seen"), [(4, {2, 3, 4, 5, 6}), (0, {0, 1, 2}), (8, {6, 7, 8})])
def test_where_and_when_spans_two_frames_each_side(frame, seen):
    assert frames_that_change(alive(channel=False), random_clip(9), frame) == {"spatial": seen}


def test_the_spatial_mask_reads_the_channel_masks_features():
    # M^s = f(F^c): two frames each side of M^c and two more of its own.
    assert frames_that_change(alive(), random_clip(13), 6) == {"channel": {4, 5, 6, 7, 8}, "spatial": {*range(2, 11)}}


@pytest.mark.parametrize("t", [1, 2, 3, 5, 16])
def test_it_takes_any_number_of_frames(t):
    assert alive()(random_clip(t)).features.shape == (2, 24, t, 7, 6)


@pytest.mark.parametrize("temporal", [True, False])
@pytest.mark.parametrize("mask", [0.2, 0.9, 0.9999])
@pytest.mark.parametrize("temporal_conv", ["depthwise", "bottleneck", "full"])
def test_both_masks_start_at_initial_mask(mask, temporal, temporal_conv):
    layer = W3(24, temporal=temporal, initial_mask=mask, temporal_conv=temporal_conv).double()
    y, masks = layer(x := random_clip(3))
    for found in masks:
        torch.testing.assert_close(found, torch.full_like(found, mask), rtol=1e-6, atol=0)
    torch.testing.assert_close(y, x * mask**2, rtol=1e-6, atol=0)


def test_masks_start_at_0_9_unless_told_otherwise():
    channel, spatial = W3(24)(random_clip(3).float()).masks
    torch.testing.assert_close(channel, torch.full_like(channel, 0.9))
    torch.testing.assert_close(spatial, torch.full_like(spatial, 0.9))


@pytest.mark.parametrize("seed", range(20))
def test_one_channel_networks_start_alive(seed):
    torch.manual_seed(seed)
    gates = torch.rand(2, 24, 5, 7, 6)  # what a sigmoid gives
    for network, gate in (
        (temporal_network_1d(24, "depthwise", reduction=16), gates[..., 0, 0]),
        (temporal_network_3d(), gates[:, :1]),
    ):
        network(gate).sum().backward()
        first = network[0]
        # Every channel is a network of its own: each must have a gradient of its own.
        assert (first.weight.grad.flatten(1).abs().amax(dim=1) > 0).all()
        assert (first.bias.grad != 0).all()


@pytest.mark.parametrize("seed", range(20))
def test_the_whole_layer_starts_alive(seed):
    torch.manual_seed(seed)
    layer = W3(24)
    layer(torch.randn(2, 24, 5, 7, 6)).features.sum().backward()
    assert (layer.what.video[-1].weight.grad.flatten(1).abs().amax(dim=1) > 0).all()
    assert layer.where.video[-1].weight.grad.abs().min() > 0


def test_the_temporal_convolutions_have_the_kernels_that_the_text_says():
    what, where = temporal_network_1d(24, "depthwise", reduction=16), temporal_network_3d()
    assert [tuple(conv.weight.shape) for conv in (what[0], what[2])] == [(24, 1, 3)] * 2
    assert [tuple(conv.weight.shape) for conv in (where[0], where[2])] == [(1, 1, 3, 3, 3)] * 2
    assert sum(p.numel() for p in temporal_network_1d(64, "full", reduction=16).parameters()) == 2 * (64 * 64 * 3 + 64)
    assert temporal_network_1d(64, "bottleneck", reduction=16)[0].out_channels == 4


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"channel": False, "spatial": False}, r"attends to nothing.*switch one of them on"),
        ({"initial_mask": 1.0}, r"initial_mask is 1\.0.*between 0 and 1"),
        ({"initial_mask": 0.0}, r"initial_mask is 0\.0.*between 0 and 1"),
        ({"temporal_conv": "dense"}, r"temporal_conv is 'dense'.*depthwise, full, bottleneck"),
    ],
)
def test_wrong_arguments_are_refused(options, text, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is for users
    with pytest.raises(ValueError, match=text):
        W3(24, **options)


@pytest.mark.parametrize("facet", ["channel", "spatial", "temporal"])
def test_a_facet_is_on_or_off_and_nothing_else(facet, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is for users
    with pytest.raises(ValueError, match=f"{facet} is 'no'; it must be true or false"):
        W3(8, **{facet: "no"})
