from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w3action.data import Video
from w3action.data.video import Span, identity

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


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"path": "/sets/rgb/val/0012.mp4"}, "val/0012"),
        ({"path": "/sets/rgb/val/0012.WEBM"}, "val/0012"),
        ({"path": "/sets/rgb/val/0012"}, "val/0012"),
        ({"path": "/sets/rgb/v_1.5fps"}, "v_1.5fps"),
        ({"path": "/elsewhere/0012.mp4"}, "/elsewhere/0012"),
        ({"path": "/sets/rgb/a.mp4", "start_seconds": 1.5, "end_seconds": 3.0}, "a [1.5, 3)"),
        ({"path": "/sets/rgb/a.mp4", "end_seconds": 3.25}, "a [0, 3.25)"),
        ({"path": "/sets/rgb/a.mp4", "start_seconds": 0.0}, "a [0, end)"),
        ({"path": "/sets/rgb/a", "first_frame": 30, "num_frames": 32}, "a frames [30, 62)"),
        ({"path": "/sets/rgb/a", "first_frame": 30}, "a frames [30, end)"),
        ({"path": "/sets/rgb/000.tar", "byte_offset": 512, "num_bytes": 9}, "000.tar at byte 512"),
    ],
)
def test_identities(fields, name):
    assert (
        identity(Video(label=0, **{**fields, "path": Path(fields["path"])}), source=Path("/sets/rgb/val.csv")) == name
    )


def test_the_folder_is_the_source_or_holds_it(tmp_path):
    (tmp_path / "val.csv").write_text("")
    for source in (tmp_path, tmp_path / "val.csv"):
        assert identity(Video(path=tmp_path / "videos" / "a.mp4", label=0), source=source) == "videos/a"
