"""What all heads have from their base: dropout, the start of the classifier, and no logits of frames unless defined."""

import pytest
import torch
from torch import nn

from w3action.models import NETWORKS
from w3action.models.heads import Head, RegionGraphHead, RelationHead

HEADS = sorted({network.head for network in NETWORKS.values()}, key=str)


def build(head: type[Head], **options) -> Head:
    extra = {"num_regions": None} if head is RegionGraphHead else {}
    return head(256, 50, **extra, **options)


@pytest.mark.parametrize("head", HEADS)
def test_every_head_takes_dropout_and_the_start_of_its_classifier(head):
    built = build(head, dropout=0.3, initial_std=0.02)
    assert 0.3 in [module.p for module in built.modules() if isinstance(module, nn.Dropout)]
    layer = built.bottleneck if head is RelationHead else built.classifier
    assert abs(layer.weight.std() - 0.02) < 1e-3
    assert not layer.bias.any()


@pytest.mark.parametrize("head", HEADS)
def test_without_a_deviation_the_classifier_keeps_pytorch_s_start(head):
    built = build(head, initial_std=None)
    layer = built.bottleneck if head is RelationHead else built.classifier
    assert layer.weight.abs().max() <= layer.in_features**-0.5
    assert layer.bias.any()


@pytest.mark.parametrize("head", HEADS)
def test_an_option_that_a_head_does_not_have_is_refused(head):
    with pytest.raises(TypeError, match="no_such_option"):
        build(head, no_such_option=1)


def test_a_head_that_scores_frames_together_has_no_logits_of_frames():
    assert Head().frame_logits(torch.zeros(1, 2, 3, 4, 5)) is None
