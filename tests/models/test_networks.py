"""At which residual blocks frames are shifted, as in the public TSM."""

import pytest
import torch

from w3action.layers import TemporalAggregation, TemporalShift
from w3action.models import NETWORKS, create_model

RESNET_BLOCKS = {"small": (1, 1, 1), "resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}


def shifted_blocks(name: str) -> list[str]:
    with torch.device("meta"):
        backbone = create_model(name, num_classes=2).backbone
    paths = [path for path, module in backbone.named_modules() if isinstance(module, TemporalShift)]
    return [path.removesuffix(".slots.temporal") for path in paths if not path.endswith(".between")]


@pytest.mark.parametrize("backbone", RESNET_BLOCKS)
def test_every_block_of_a_resnet_shifts(backbone):
    expected = [f"layer{s}.{i}" for s, count in enumerate(RESNET_BLOCKS[backbone], 1) for i in range(count)]
    assert shifted_blocks(f"tsm_{backbone}") == expected


def test_every_second_block_of_resnet101_shifts():
    expected = [f"layer{s}.{i}" for s, count in enumerate((3, 4, 23, 3), 1) for i in range(0, count, 2)]
    assert shifted_blocks("tsm_resnet101") == expected


def test_mobilenetv2_shifts_at_its_residual_blocks():
    assert shifted_blocks("tsm_mobilenetv2") == [f"features.{i}" for i in (3, 5, 6, 8, 9, 10, 12, 13, 15, 16)]


@pytest.mark.parametrize("name", [name for name in NETWORKS if name.startswith("tsn_")])
def test_tsn_shifts_nowhere(name):
    assert shifted_blocks(name) == []


def test_tam_aggregates_at_every_block_with_its_channels():
    with torch.device("meta"):
        backbone = create_model("tam_resnet50", num_classes=2).backbone
    found = {path: m for path, m in backbone.named_modules() if isinstance(m, TemporalAggregation)}
    assert len(found) == 16
    assert found["layer1.0.slots.temporal"].weight.shape == (3, 64)
    assert found["layer1.1.slots.temporal"].weight.shape == (3, 256)
    assert all(layer.relu for layer in found.values())
    with torch.device("meta"):
        inverted = create_model("tam_mobilenetv2", num_classes=2).backbone
    assert not any(m.relu for m in inverted.modules() if isinstance(m, TemporalAggregation))


def test_an_eighth_of_the_channels_goes_each_way():
    with torch.device("meta"):
        model = create_model("tsm_resnet50", num_classes=2)
    assert {m.fold_div for m in model.modules() if isinstance(m, TemporalShift)} == {8}
