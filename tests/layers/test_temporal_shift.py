"""The temporal shift against its definition, element by element."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from w3action.layers import PastShift, TemporalShift, past_shift, temporal_shift


def shift_by_definition(x: torch.Tensor, fold_div: int) -> torch.Tensor:
    b, c, t, _, _ = x.shape
    fold = c // fold_div
    out = torch.zeros_like(x)
    for clip in range(b):
        for channel in range(c):
            for frame in range(t):
                if channel < fold:
                    source = frame + 1  # from the future
                elif channel < 2 * fold:
                    source = frame - 1  # from the past
                else:
                    source = frame
                if 0 <= source < t:
                    out[clip, channel, frame] = x[clip, channel, source]
    return out


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 2), st.integers(1, 25), st.integers(1, 9), st.integers(1, 3), st.integers(1, 3)),
    fold_div=st.sampled_from([2, 3, 4, 8]),
)
def test_each_element_comes_from_where_the_definition_says(size, fold_div):
    x = torch.randn(size)
    assert torch.equal(temporal_shift(x, fold_div=fold_div), shift_by_definition(x, fold_div))
    assert torch.equal(TemporalShift(fold_div=fold_div)(x), shift_by_definition(x, fold_div))


def test_an_eighth_of_the_channels_moves_each_way_unless_told_otherwise():
    x = torch.randn(1, 16, 4, 2, 2)
    assert torch.equal(TemporalShift()(x), shift_by_definition(x, 8))
    assert not torch.equal(TemporalShift()(x), x)


def test_gradients_go_back_to_the_frame_they_came_from():
    x = torch.randn(1, 8, 3, 1, 1, dtype=torch.float64, requires_grad=True)
    temporal_shift(x)[0, :, 1].sum().backward()  # the middle frame
    expected = torch.zeros_like(x)
    expected[0, 0, 2] = expected[0, 1, 0] = 1.0
    expected[0, 2:, 1] = 1.0
    assert torch.equal(x.grad, expected)


def test_a_single_frame_keeps_what_does_not_move():
    x = torch.randn(2, 8, 1, 3, 3)
    y = temporal_shift(x)
    assert torch.equal(y[:, 2:], x[:, 2:])
    assert not y[:, :2].any()


def test_it_leaves_its_input_alone_and_has_no_parameters():
    x = torch.randn(1, 8, 3, 2, 2)
    before = x.clone()
    temporal_shift(x)
    assert torch.equal(x, before)
    assert not list(TemporalShift().parameters())


def test_the_past_shift_sees_no_later_frame():
    x = torch.randn(2, 17, 4, 3, 2)
    y = past_shift(x)
    for t in range(4):
        before = x[:, :2, t - 1] if t else torch.zeros(2, 2, 3, 2)
        assert torch.equal(y[:, :2, t], before)
        assert torch.equal(y[:, 2:, t], x[:, 2:, t])
    assert torch.equal(PastShift()(x), y)
