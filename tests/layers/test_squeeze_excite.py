"""Squeeze-and-excitation against its paper's equations 2 to 4, frame by frame."""

import torch
from torch.nn import functional as F

from w3action.layers import SqueezeExcite


def test_every_frame_is_the_paper_s_image_attention(randomise):
    layer = randomise(SqueezeExcite(64))
    x = torch.randn(2, 64, 3, 5, 4, dtype=torch.float64)
    weights = layer.state_dict()
    y, masks = layer(x)
    for t in range(3):
        squeezed = x[:, :, t].sum(dim=(2, 3)) / (5 * 4)
        hidden = F.linear(squeezed, weights["reduce.weight"], weights["reduce.bias"]).relu()
        scale = F.linear(hidden, weights["expand.weight"], weights["expand.bias"]).sigmoid()
        torch.testing.assert_close(masks.channel[:, :, t], scale)
        torch.testing.assert_close(y[:, :, t], x[:, :, t] * scale[:, :, None, None])


def test_no_frame_sees_another(randomise):
    layer, x = randomise(SqueezeExcite(24)), torch.randn(2, 24, 5, 7, 5, dtype=torch.float64)
    other = x.clone()
    other[:, :, 3] += 1.0
    was, now = layer(x).features, layer(other).features
    for t in range(5):
        assert torch.equal(was[:, :, t], now[:, :, t]) == (t != 3)


def test_hidden_layer_has_c_over_r_numbers_but_never_under_four():
    assert SqueezeExcite(256).reduce.out_features == 16
    assert SqueezeExcite(256, reduction=8).reduce.out_features == 32
    assert SqueezeExcite(24).reduce.out_features == 4
