"""At which residual blocks each attention stands, as the papers say."""

import pytest
import torch

from w3action.models import ATTENTIONS, create_model
from w3action.models.slots import Slots

RESIDUAL_FEATURES = (3, 5, 6, 8, 9, 10, 12, 13, 15, 16)


def attended_blocks(name: str, attention: str) -> list[str]:
    with torch.device("meta"):
        backbone = create_model(name, num_classes=2, attention=attention).backbone
    return [
        path.removesuffix(".slots")
        for path, m in backbone.named_modules()
        if isinstance(m, Slots) and m.attention is not None
    ]


@pytest.mark.parametrize("name", ["tsm_resnet34", "tsm_resnet50", "tsm_resnet101"])
def test_non_local_stands_behind_five_blocks(name):
    blocks = ["layer2.0", "layer2.2", "layer3.0", "layer3.2", "layer3.4"]
    assert attended_blocks(name, "non_local") == blocks


@pytest.mark.parametrize("attention", ["w3", "cbam", "se"])
def test_the_others_stand_at_every_residual_block(attention):
    resnet = [f"layer{s}.{i}" for s, count in enumerate((3, 4, 6, 3), 1) for i in range(count)]
    assert attended_blocks("tsm_resnet50", attention) == resnet
    assert attended_blocks("tsn_mobilenetv2", attention) == [f"features.{i}" for i in RESIDUAL_FEATURES]


def test_places_and_refinement_are_the_papers():
    expected = {
        "w3": ("residual", True, True),
        "cbam": ("residual", True, False),
        "se": ("residual", False, False),
        "non_local": ("output", False, False),
    }
    assert {n: (a.place, a.guides, a.refines) for n, a in ATTENTIONS.items() if n in expected} == expected
