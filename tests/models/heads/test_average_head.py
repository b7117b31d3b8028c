"""The head: average over space, classify each frame, average the frames' logits."""

import torch

from w3action.models import NETWORKS
from w3action.models.heads import AverageHead


def test_the_video_s_logits_are_the_mean_of_its_frames():
    head = AverageHead(6, 4).double().eval()
    torch.nn.init.normal_(head.fc.weight)
    torch.nn.init.normal_(head.fc.bias)
    maps = torch.randn(2, 6, 3, 4, 5, dtype=torch.float64)
    frames = head.frame_logits(maps)
    for clip in range(2):
        for t in range(3):
            pooled = maps[clip, :, t].sum(dim=(1, 2)) / 20
            torch.testing.assert_close(frames[clip, t], head.fc.weight @ pooled + head.fc.bias)
        torch.testing.assert_close(head(maps)[clip], sum(frames[clip]) / 3)


def test_dropout_acts_in_training_alone():
    head = AverageHead(64, 4, dropout=0.5)
    torch.nn.init.normal_(head.fc.weight)
    maps = torch.randn(1, 64, 2, 3, 3)
    assert not torch.equal(head.train()(maps), head(maps))
    assert torch.equal(head.eval()(maps), head(maps))


def test_the_classifier_starts_as_the_public_tsm_s():
    torch.manual_seed(0)
    head = AverageHead(2048, 174)
    assert abs(head.fc.weight.std() - 0.001) < 1e-5
    assert not head.fc.bias.any()


def test_a_network_that_names_no_head_has_this_one():
    assert NETWORKS["tsm_small"].head is AverageHead
