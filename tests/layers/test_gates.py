"""Equations 3 and 5, and how gates start."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from w3action.layers.gates import ChannelGate, SpatialGate, open_gate_


def mlp(weights, descriptor):
    hidden = F.linear(descriptor, weights["reduce.weight"], weights["reduce.bias"]).relu()
    return F.linear(hidden, weights["expand.weight"], weights["expand.bias"])


def test_channel_gate_is_equation_3(randomise):
    gate = randomise(ChannelGate(32, reduction=4))
    x = torch.randn(2, 32, 3, 5, 7, dtype=torch.float64)
    weights = gate.state_dict()
    for t in range(3):
        frame = x[:, :, t]
        average = frame.sum(dim=(2, 3)) / (5 * 7)
        maximum = frame.flatten(2).max(dim=2).values
        torch.testing.assert_close(gate(x)[:, :, t], (mlp(weights, average) + mlp(weights, maximum)).sigmoid())


def test_spatial_gate_is_equation_5(randomise):
    gate = randomise(SpatialGate())
    x = torch.randn(2, 6, 3, 9, 4, dtype=torch.float64)
    for t in range(3):
        frame = x[:, :, t]
        maps = torch.cat([frame.mean(1, keepdim=True), frame.max(1, keepdim=True).values], dim=1)
        expected = F.conv2d(maps, gate.conv.weight, gate.conv.bias, padding=3)
        torch.testing.assert_close(gate(x)[:, t], expected[:, 0].sigmoid())


def test_spatial_kernel_is_7_by_7_over_two_maps():
    assert SpatialGate().conv.weight.shape == (1, 2, 7, 7)


@pytest.mark.parametrize(("channels", "reduction", "hidden"), [(256, 16, 16), (64, 8, 8), (24, 16, 4), (1, 16, 4)])
def test_hidden_layer_has_c_over_r_numbers_but_never_under_four(channels, reduction, hidden):
    assert ChannelGate(channels, reduction=reduction).reduce.out_features == hidden


@pytest.mark.parametrize("mask", [0.001, 0.3, 0.9, 0.9999])
@pytest.mark.parametrize("num_summed", [1, 2])
def test_an_opened_gate_is_constant(mask, num_summed):
    layer = nn.Linear(5, 3).double()
    open_gate_(layer, mask, num_summed=num_summed)
    out = (num_summed * layer(torch.randn(4, 5, dtype=torch.float64))).sigmoid()
    torch.testing.assert_close(out, torch.full_like(out, mask), rtol=1e-6, atol=0)


def test_a_half_open_gate_keeps_its_initial_weights():
    layer = nn.Conv1d(4, 4, 3)
    before = layer.weight.clone(), layer.bias.clone()
    open_gate_(layer, 0.5)
    assert torch.equal(layer.weight, before[0])
    assert torch.equal(layer.bias, before[1])


@pytest.mark.parametrize("mask", [0.0, 1.0, -0.1, 2.0, math.nan])
def test_a_mask_outside_0_and_1_is_refused(mask):
    with pytest.raises(ValueError, match=r"initial_mask is .*between 0 and 1"):
        open_gate_(nn.Linear(2, 2), mask)
