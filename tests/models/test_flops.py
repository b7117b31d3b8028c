"""The published multiply-adds and parameters, counted on the meta device."""

from functools import cache

import pytest
import torch
from torch import nn

from w3action import kernels
from w3action.models import Cost, count_cost, create_model


@cache
def cost(num_frames: int, attention: str | None = None, name: str = "tsm_resnet50") -> Cost:
    with torch.device("meta"):
        model = create_model(name, num_classes=174, attention=attention)
    return count_cost(model, num_frames=num_frames, size=224)


def test_tsm_resnet50_has_the_public_figures():
    assert round(cost(8).gflops, 2) == 32.70
    assert round(cost(16).gflops, 2) == 65.40
    assert round(cost(8).params / 1e6, 2) == 23.86


def test_non_local_has_the_public_figures():
    assert round(cost(8, "non_local").gflops, 1) == 61.1
    assert round(cost(16, "non_local").gflops, 1) == 146.1


def test_w3_costs_no_more_than_the_paper_s():
    assert 0 < cost(8, "w3").gflops - cost(8).gflops <= 0.5
    assert 0 < cost(16, "w3").gflops - cost(16).gflops <= 2.1


def test_a_shift_costs_nothing():
    assert cost(8, None, "tsn_resnet50") == cost(8)


def test_a_convolution_is_counted_by_hand():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv3d(3, 5, 3, padding=1)

        def forward(self, clips):
            return self.conv(clips)

    expected = 2 * 8 * 8 * 5 * 3 * 27 / 1e9  # frames, height, width, out, in, kernel
    found = count_cost(Net(), num_frames=2, size=8)
    assert found.gflops == pytest.approx(expected)
    assert found.params == 5 * 3 * 27 + 5


@pytest.mark.parametrize("training", [True, False])
def test_counting_leaves_a_network_as_it_was(training):
    model = create_model("tsm_small", num_classes=3).train(training)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    count_cost(model, num_frames=2, size=64)
    assert {m.training for m in model.modules()} == {training}
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_network_costs_the_same_where_its_small_networks_are_kernels_of_ours():
    model = create_model("tsm_small", num_classes=3, attention="w3")
    plain = count_cost(model, num_frames=2, size=64)
    with kernels.using("triton"):
        assert count_cost(model, num_frames=2, size=64) == plain
