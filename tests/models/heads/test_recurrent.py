"""The LSTM head: its steps, written out gate by gate, and their average."""

import pytest
import torch
from torch.nn import functional as F

from w3action.models.heads.recurrent import RecurrentHead


def random_maps(frames: int) -> torch.Tensor:
    return torch.randn(2, 6, frames, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(frames))


def build(**options) -> RecurrentHead:
    torch.manual_seed(0)
    return RecurrentHead(6, 3, initial_std=None, hidden=5, **options).double().eval()


def lstm(head: RecurrentHead, frames: torch.Tensor, layer: int) -> list[torch.Tensor]:
    """Input, forget, cell and output gates of one layer, step by step, for one video."""
    w_in, w_state = getattr(head.lstm, f"weight_ih_l{layer}"), getattr(head.lstm, f"weight_hh_l{layer}")
    bias = getattr(head.lstm, f"bias_ih_l{layer}") + getattr(head.lstm, f"bias_hh_l{layer}")
    state = cell = torch.zeros(5, dtype=torch.float64)
    states = []
    for frame in frames:
        i, f, g, o = (w_in @ frame + w_state @ state + bias).split(5)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        state = o.sigmoid() * cell.tanh()
        states.append(state)
    return states


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("frames", [1, 4])
def test_every_step_is_scored_and_the_video_is_their_mean(frames, num_layers):
    head, maps = build(num_layers=num_layers), random_maps(frames)
    by_step = head.frame_logits(maps)
    for clip in range(2):
        states = maps[clip].sum(dim=(2, 3)).T / 15  # (T, C)
        for layer in range(num_layers):
            states = lstm(head, states, layer)
        expected = torch.stack([head.fc.weight @ state + head.fc.bias for state in states])
        torch.testing.assert_close(by_step[clip], expected)
        torch.testing.assert_close(head(maps)[clip], expected.sum(dim=0) / frames)


def test_a_step_knows_no_frame_behind_it():
    head, maps = build(), random_maps(5)
    other = maps.clone()
    other[:, :, 3] += 1.0
    changed = (head.frame_logits(maps) != head.frame_logits(other)).any(dim=2).any(dim=0)
    assert changed.tolist() == [False, False, False, True, True]


def test_every_parameter_learns():
    head = build(num_layers=2).train()
    F.cross_entropy(head(random_maps(3)), torch.tensor([0, 2])).backward()
    assert [name for name, p in head.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_dropout_stands_before_the_classifier():
    head = build(dropout=1.0).train()
    torch.testing.assert_close(head(random_maps(3)), head.fc.bias.expand(2, 3))


def test_the_classifier_starts_as_the_public_tsm_s():
    torch.manual_seed(0)
    head = RecurrentHead(64, 174)
    assert abs(head.fc.weight.std() - 0.001) < 2e-5
    assert not head.fc.bias.any()
    assert head.lstm.weight_ih_l0.std() > 0.01


@pytest.mark.parametrize("options", [{"hidden": 0}, {"num_layers": 0}])
def test_wrong_options_are_refused(options):
    with pytest.raises(ValueError, match="both must be at least 1"):
        RecurrentHead(6, 3, **options)
