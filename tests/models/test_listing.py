"""The list of networks says what each costs."""

import pytest

from w3action.models import NETWORKS, listing
from w3action.models.listing import describe_model


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
    def without_counting(name: str) -> listing.Described:  # counting them all takes seconds
        return listing.Described(name, None, 8, 224, 174, 0.0, 0, imagenet=False)

    monkeypatch.setattr(listing, "describe_model", without_counting)
    assert [described.name for described in listing.describe_models()] == list(NETWORKS)


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
