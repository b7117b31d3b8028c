"""An action model is backbone, refinement, head, in that order."""

import pytest
import torch
from torch import Tensor

from w3action.layers import Masks
from w3action.models import create_model
from w3action.models.action_model import stage_masks

CLIPS = torch.randn(2, 3, 3, 48, 40, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("attention", [None, "w3"])
def test_forward_is_the_head_of_the_features(attention, scramble):
    model = scramble(create_model("tsm_small", num_classes=3, attention=attention))
    assert torch.equal(model(CLIPS), model.forward_head(model.forward_features(CLIPS).maps))


@pytest.mark.parametrize("refine_from", ["last", "every"])
def test_features_are_refined_by_the_masks_that_are_given_back(refine_from, scramble):
    model = scramble(create_model("tsm_resnet18", num_classes=3, attention="w3", refine_from=refine_from))
    raw, _ = model.backbone(CLIPS)
    maps, masks = model.forward_features(CLIPS)
    chosen = [stage[-1:] if refine_from == "last" else stage for stage in masks]
    spatial = [mask.spatial for stage in chosen for mask in stage]
    assert len(spatial) == (4 if refine_from == "last" else 8)
    torch.testing.assert_close(maps, model.refine(raw, spatial))
    assert not torch.allclose(maps, raw)


def mask(number: float) -> Masks:
    return Masks(spatial=torch.full((1, 1, 2, 2), number))


def numbers(masks: list[Tensor]) -> list[float]:
    return [m[0, 0, 0, 0].item() for m in masks]


def test_refinement_reads_the_last_spatial_mask_of_each_stage_that_has_any():
    masks = [[mask(1), mask(2)], [], [mask(3), Masks()], [Masks(channel=torch.ones(1, 1, 1))]]
    assert numbers(stage_masks(masks)) == [2, 3]
    assert numbers(stage_masks(masks, "every")) == [1, 2, 3]
    assert stage_masks([[], []]) == []
