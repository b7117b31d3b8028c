"""Attention-guided refinement against equations 7 and 8, place by place."""

import pytest
import torch
from torch import Tensor

from w3action.layers import AttentionGuidedRefinement

MASK_SIZES = [(14, 11), (7, 6), (4, 3), (3, 2)]


def adaptive_average(mask: Tensor, h: int, w: int) -> Tensor:
    """AAP of one mask (H, W): cell i averages rows floor(i H / h) to ceil((i + 1) H / h), columns alike."""
    rows, columns = mask.shape
    out = mask.new_zeros(h, w)
    for i in range(h):
        for j in range(w):
            cell = mask[i * rows // h : -(-(i + 1) * rows // h), j * columns // w : -(-(j + 1) * columns // w)]
            out[i, j] = cell.mean()
    return out


def random_masks(b: int, t: int) -> list[Tensor]:
    return [torch.rand(b, t, h, w, dtype=torch.float64) for h, w in MASK_SIZES]


@pytest.mark.parametrize("seed", range(3))
def test_the_output_is_equations_7_and_8(randomise, seed):
    b, c, t, h, w = 2, 5, 3, 3, 2
    layer = randomise(AttentionGuidedRefinement(4, c), seed=seed)
    masks, x = random_masks(b, t), torch.randn(b, c, t, h, w, dtype=torch.float64)
    y = layer(x, masks)
    weight, bias = layer.conv.weight[:, :, 0, 0], layer.conv.bias
    for clip in range(b):
        for frame in range(t):
            stacked = torch.stack([adaptive_average(m[clip, frame], h, w) for m in masks])  # (7)
            refining = (torch.einsum("cn,nhw->chw", weight, stacked) + bias[:, None, None]).relu()
            torch.testing.assert_close(y[clip, :, frame], x[clip, :, frame] + refining)  # (8)


def test_masks_smaller_than_the_features_are_spread():
    layer = AttentionGuidedRefinement(1, 2)
    x = torch.zeros(1, 2, 1, 4, 4)
    y = layer(x, [torch.ones(1, 1, 2, 2)])
    torch.testing.assert_close(y, layer.conv.weight.view(1, 2, 1, 1, 1).expand_as(y))


def test_no_frame_sees_another(randomise):
    layer = randomise(AttentionGuidedRefinement(4, 5))
    masks, x = random_masks(2, 3), torch.randn(2, 5, 3, 3, 2, dtype=torch.float64)
    was = layer(x, masks)
    masks[0] = masks[0].clone()
    masks[0][:, 1] += 1.0
    now = layer(x, masks)
    for t in range(3):
        assert torch.equal(was[:, :, t], now[:, :, t]) == (t != 1)


@pytest.mark.parametrize("seed", range(20))
def test_every_channel_starts_alive_and_the_features_all_but_unchanged(seed):
    torch.manual_seed(seed)
    layer = AttentionGuidedRefinement(4, 64)
    masks = [torch.rand(2, 3, 4, 4, requires_grad=True) for _ in range(4)]
    x = torch.randn(2, 64, 3, 2, 2)
    y = layer(x, masks)
    y.sum().backward()
    assert (layer.conv.weight.grad > 0).all()
    assert (layer.conv.bias.grad > 0).all()
    assert all((mask.grad > 0).all() for mask in masks)  # the short way from the loss to every attention
    assert (y - x).abs().max() <= 4 * 0.01 + 1e-6
    assert (y - x).min() >= -1e-6


def test_masks_of_more_frames_are_averaged_over_time(randomise):
    layer = randomise(AttentionGuidedRefinement(2, 5), seed=0)
    x = torch.randn(1, 5, 2, 3, 2, dtype=torch.float64)
    early, late = torch.rand(1, 4, 6, 4, dtype=torch.float64), torch.rand(1, 2, 3, 2, dtype=torch.float64)
    halved = early.unflatten(1, (2, 2)).mean(dim=2)
    torch.testing.assert_close(layer(x, [early, late]), layer(x, [halved, late]))
