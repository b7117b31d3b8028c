"""Slots: where in a residual block the temporal operation and the attention act, and on what."""

import pytest
import torch
from torch import Tensor, nn

from w3action.layers import Masks
from w3action.models.slots import Fillers, Position, Slots, fold, unfold

FIRST = Position(0, 0, (1, 1, 1, 1))


class Halve(nn.Module):
    """An attention that halves and says what it saw."""

    def forward(self, x: Tensor) -> tuple[Tensor, Masks]:
        return x / 2, Masks(channel=x.mean(dim=(3, 4)))


class Reverse(nn.Module):
    """A temporal operation that runs time backwards."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flip(2)


def test_folding_puts_frames_into_the_batch_clip_by_clip():
    clips = torch.randn(2, 3, 4, 5, 6)
    frames = fold(clips)
    for clip in range(2):
        for t in range(4):
            assert torch.equal(frames[4 * clip + t], clips[clip, :, t])
    assert torch.equal(unfold(frames, 4), clips)


def test_between_frames_and_clips_nothing_is_copied():
    frames = torch.randn(8, 3, 5, 6)
    assert unfold(frames, 4).data_ptr() == frames.data_ptr()
    assert fold(unfold(frames, 4)).data_ptr() == frames.data_ptr()


def test_empty_slots_do_nothing():
    x, slots = torch.randn(4, 3, 2, 2), Slots(None, None, "residual")
    assert slots.before(x, 2) is x
    for place in ("residual", "output"):
        assert slots.attend(x, 2, place) == (x, None)


def test_temporal_acts_on_clips():
    x = torch.randn(6, 3, 2, 2)  # two clips of three frames
    expected = x[[2, 1, 0, 5, 4, 3]]
    assert torch.equal(Slots(Reverse(), None, "residual").before(x, 3), expected)


@pytest.mark.parametrize("place", ["residual", "output"])
def test_attention_acts_at_its_own_place_alone(place):
    x, slots = torch.randn(6, 3, 2, 2), Slots(None, Halve(), place)
    for asked in ("residual", "output"):
        y, masks = slots.attend(x, 3, asked)
        assert torch.equal(y, x / 2 if asked == place else x)
        assert (masks is not None) == (asked == place)
    assert slots.attend(x, 3, place)[1].channel.shape == (2, 3, 3)


def test_fillers_build_for_a_position_and_its_channels():
    asked = []

    def attention(position: Position, channels: int) -> nn.Module:
        asked.append((position, channels))
        return Halve()

    slots = Fillers(attention=attention, place="output").at(FIRST, in_channels=8, out_channels=24)
    assert asked == [(FIRST, 24)]
    assert slots.temporal is None
    assert isinstance(slots.attention, Halve)
    assert slots.place == "output"


def test_temporal_operations_are_built_for_the_channels_where_they_stand():
    asked = []

    def temporal(position: Position, channels: int) -> nn.Module:
        asked.append((position, channels))
        return Reverse()

    one = Fillers(temporal).at(FIRST, in_channels=8, out_channels=24)
    assert asked == [(FIRST, 8)]
    two = Fillers(temporal).at(FIRST, in_channels=8, out_channels=24, between_channels=16)
    assert asked[1:] == [(FIRST, 8), (FIRST, 16)]
    x = torch.randn(6, 3, 2, 2)
    assert one.amid(x, 3) is x
    assert torch.equal(two.amid(x, 3), x[[2, 1, 0, 5, 4, 3]])
