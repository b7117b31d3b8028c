"""The published multiply-adds and parameters, counted on the meta device; the list of networks says what each costs."""

from functools import cache

import pytest
import torch
from torch import nn

from w3action import kernels
from w3action.models import NETWORKS, Cost, cost, count_cost, create_model
from w3action.models.cost import describe_model


@cache
def cost_of(num_frames: int, attention: str | None = None, name: str = "tsm_resnet50") -> Cost:
    with torch.device("meta"):
        model = create_model(name, num_classes=174, attention=attention)
    return count_cost(model, num_frames=num_frames, size=224)


def test_tsm_resnet50_has_the_public_figures():
    assert round(cost_of(8).gflops, 2) == 32.70
    assert round(cost_of(16).gflops, 2) == 65.40
    assert round(cost_of(8).params / 1e6, 2) == 23.86


def test_non_local_has_the_public_figures():
    assert round(cost_of(8, "non_local").gflops, 1) == 61.1
    assert round(cost_of(16, "non_local").gflops, 1) == 146.1


def test_w3_costs_no_more_than_the_paper_s():
    assert 0 < cost_of(8, "w3").gflops - cost_of(8).gflops <= 0.5
    assert 0 < cost_of(16, "w3").gflops - cost_of(16).gflops <= 2.1


def test_a_shift_costs_nothing():
    assert cost_of(8, None, "tsn_resnet50") == cost_of(8)


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


def test_one_network_is_described_by_what_the_public_code_costs():
    described = describe_model("tsm_resnet50")
    assert (round(described.gflops, 2), round(described.params / 1e6, 2)) == (32.70, 23.86)
    assert (described.num_frames, described.size, described.num_classes) == (8, 224, 174)
    assert described.imagenet


def test_cost_follows_the_clip_and_the_classes():
    small = describe_model("tsm_small", num_classes=10)
    assert small.size == 64
    assert not small.imagenet
    twice = describe_model("tsm_small", num_frames=16, size=128, num_classes=11)
    assert 7.9 < twice.gflops / small.gflops <= 8.1
    assert twice.params - small.params == 128 + 1
    assert describe_model("tsm_small", attention="w3", num_classes=10).params > small.params


def test_every_network_is_listed_once(monkeypatch):
    def without_counting(name: str) -> cost.Described:  # counting them all takes seconds
        return cost.Described(name, None, 8, 224, 174, 0.0, 0, imagenet=False)

    monkeypatch.setattr(cost, "describe_model", without_counting)
    assert [described.name for described in cost.describe_models()] == list(NETWORKS)


@pytest.mark.parametrize("clip", [{"num_frames": 0}, {"size": 0}, {"size": -1}])
def test_an_empty_clip_is_refused(clip):
    with pytest.raises(ValueError, match="is empty; give at least 1"):
        describe_model("tsm_small", **clip)


def test_the_papers_cost_stands_beside_ours_and_a_difference_is_explained():
    for name, network in NETWORKS.items():
        if network.paper_gflops is None:
            continue
        described = describe_model(name)
        assert described.paper_gflops == network.paper_gflops
        apart = abs(described.gflops / network.paper_gflops - 1)
        assert apart < 0.05 or network.differs, (name, described.gflops)
    assert describe_model("tsm_resnet50", num_frames=4).paper_gflops is None
