"""Slots: where in a residual block the temporal operation and the attention act, and on what."""

import pytest
import torch
from torch import Tensor, nn

from w3action.layers import W3, Masks
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


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("place", ["residual", "output"])
@pytest.mark.parametrize(
    "attention", [Halve, lambda: W3(3, initial_mask=0.5), lambda: None], ids=["Halve", "W3", "none"]
)
def test_a_block_ends_with_attention_addition_and_relu(attention, place, relu, scramble):
    attend = attention()
    slots = Slots(None, attend and scramble(attend), place)
    y, shortcut = (torch.randn(6, 3, 5, 4, requires_grad=True) for _ in range(2))

    def apart(y: Tensor, shortcut: Tensor) -> Tensor:
        if place == "residual":
            y = slots.attend(y, 3, place)[0]
        y = y + shortcut
        y = y.relu() if relu else y
        return slots.attend(y, 3, place)[0] if place == "output" else y

    expected = apart(y, shortcut)
    gradients = torch.autograd.grad(expected.square().sum(), (y, shortcut))
    for frames, close in ((fold, slots.close_clips), (lambda x: x, lambda y, x, relu: slots.close(y, x, 3, relu=relu))):
        given = [x * 1 if frames is not fold else unfold(x * 1, 3) for x in (y, shortcut)]
        closed, masks = close(*given, relu=relu)
        torch.testing.assert_close(frames(closed), expected)
        assert (masks is None) == (attend is None)
        found = torch.autograd.grad(frames(closed).square().sum(), (y, shortcut))
        torch.testing.assert_close(found, gradients)


def test_an_addition_that_w3_makes_itself_costs_no_pass_of_its_own():
    slots, given = Slots(None, W3(3), "residual"), []
    slots.attention.register_forward_hook(lambda module, inputs, named, y: given.append(named), with_kwargs=True)
    slots.close(torch.randn(6, 3, 5, 4), torch.randn(6, 3, 5, 4), 3, relu=True)
    assert given[0]["relu"]
    assert given[0]["shortcut"].shape == (2, 3, 3, 5, 4)


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
