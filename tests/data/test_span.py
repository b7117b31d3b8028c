import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w3action.data.span import Span

times = st.lists(st.floats(0, 100, allow_nan=False), unique=True).map(sorted)
limits = st.none() | st.floats(0, 100, allow_nan=False)


@given(times, limits, limits)
def test_seconds_keep_their_start_and_not_their_end(seconds, start, end):
    inside = Span(start_seconds=start, end_seconds=end).inside(np.array(seconds, np.float64))
    expected = [
        place for place, time in enumerate(seconds) if (start is None or time >= start) and (end is None or time < end)
    ]
    assert inside.tolist() == expected


@given(st.integers(0, 40), st.none() | st.integers(0, 50), st.none() | st.integers(1, 50))
def test_frames_are_a_slice(length, first, count):
    span = Span(first_frame=first, num_frames=count)
    stop = None if count is None else (first or 0) + count
    assert span.inside(np.arange(length) / 25).tolist() == list(range(length))[first:stop]
    assert span.fault() is None


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (Span(), "[0 s, end)"),
        (Span(start_seconds=1.5), "[1.5 s, end)"),
        (Span(end_seconds=2.0), "[0 s, 2 s)"),
        (Span(first_frame=3), "[frame 3, end)"),
        (Span(num_frames=3), "[frame 0, 3)"),
        (Span(first_frame=3, num_frames=4), "[frame 3, 7)"),
    ],
)
def test_reads_as_an_interval(span, text):
    assert str(span) == text


def test_faults_are_told_apart():
    assert "begins before frame 0" in Span(first_frame=-2).fault()[0]
    assert "num_frames must be at least 1" in Span(num_frames=0).fault()[1]
    assert "its end must lie behind its start" in Span(end_seconds=0.0).fault()[1]
