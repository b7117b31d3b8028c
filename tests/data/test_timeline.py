import numpy as np
import pytest
from drawn_videos import VP9_FAST, X264_GOP, X264_OPEN_GOP, read_numbers, remux
from reading import decode

from w3action.data.source import Source
from w3action.data.timeline import read_timeline
from w3action.data.video import Span


def test_only_packets_of_the_span_are_read(draw_video):
    path = draw_video("x264.mp4", options=X264_GOP)
    with Source(path) as source:
        timeline = read_timeline(source, Span(start_seconds=1.0, end_seconds=1.2))
    assert timeline is not None
    assert timeline.seek_to is not None
    assert len(timeline.packets) < 20  # of 60: from the key frame 24 to frame 30
    assert timeline.seconds.tolist() == pytest.approx([1.0, 1.04, 1.08, 1.12, 1.16])
    assert not timeline.reaches_end


@pytest.mark.parametrize("name", ["x264.mp4", "x264_open_gop.mkv"])
def test_packets_behind_a_span_of_frames_are_not_read(draw_video, name):
    path = draw_video(name, options=X264_OPEN_GOP if "open" in name else X264_GOP)
    with Source(path) as source:
        timeline = read_timeline(source, Span(first_frame=10, num_frames=5))
    assert timeline is not None
    assert len(timeline.packets) == 15 + 16  # no frame is shown more than 16 places before it is decoded
    assert timeline.seconds.tolist() == pytest.approx([number / 25 for number in range(10, 15)], abs=1e-3)
    assert not timeline.reaches_end


def test_leading_frames_need_the_key_frame_before_theirs(draw_video):
    path = draw_video("x264_open_gop.mkv", options=X264_OPEN_GOP)
    with Source(path) as source:
        timeline = read_timeline(source)
    key = next(position for position in range(1, 60) if timeline.packets[position].is_keyframe)
    leading = (timeline.positions > key) & (timeline.pts < timeline.packets[key].pts)
    assert leading.sum() == 3
    assert (timeline.key_positions[leading] == 0).all()
    assert (timeline.key_positions[timeline.positions == key] == key).all()


def test_times_of_reordered_avi_frames_are_not_trusted(draw_video):
    with Source(draw_video("mpeg4_b_frames.avi", codec="mpeg4", max_b_frames=2)) as source:
        assert read_timeline(source) is None
    with Source(draw_video("mpeg4_no_b_frames.avi", codec="mpeg4", max_b_frames=0)) as source:
        assert read_timeline(source) is not None


def test_frames_before_the_first_key_frame_are_not_listed(draw_video, tmp_path):
    source = draw_video("x264_open_gop.mkv", options=X264_OPEN_GOP)
    path = remux(source, tmp_path / "cut.mkv", keep=lambda position: position >= 5)
    clip = decode(path, np.arange)
    assert read_numbers(clip.frames) == list(range(12, 60))


def test_frames_cut_away_by_an_edit_list_are_not_listed(draw_video, tmp_path):
    source = draw_video("x264.mp4", options=X264_GOP)
    path = remux(source, tmp_path / "edit.mp4", shift=5 * 512, options={"avoid_negative_ts": "disabled"})
    clip = decode(path, np.arange)
    assert read_numbers(clip.frames) == list(range(5, 60))
    assert clip.pts_seconds[0].item() == 0
    assert read_numbers(decode(path, lambda _: [0, 30]).frames) == [5, 35]
    assert read_numbers(decode(path, lambda _: [0, 5], start_seconds=0.2, end_seconds=0.5).frames) == [10, 15]


def test_hidden_vp8_frames_are_not_listed(draw_video, tmp_path):
    source = draw_video("vp8.webm", codec="libvpx", options=VP9_FAST, gop=60)
    hide = lambda at, data: bytes([data[0] & ~0x10, *data[1:]]) if at in (7, 20) else data  # noqa: E731
    path = remux(source, tmp_path / "hidden.webm", change=hide)
    shown = [number for number in range(60) if number not in (7, 20)]
    assert read_numbers(decode(path, np.arange).frames) == shown


def test_long_seeks_land_exactly(draw_video):
    for name in ("x264.mp4", "x264_open_gop.mkv", "mpeg2.ts"):
        options = {"mpeg2.ts": {"codec": "mpeg2video", "max_b_frames": 2}}.get(name, {"options": X264_OPEN_GOP})
        path = draw_video(f"long_{name}", num_frames=240, **options)
        for first in (0, 11, 12, 13, 100, 131, 132, 200, 239):
            clip = decode(path, lambda _: [0], start_seconds=first / 25 - 1e-3)
            assert read_numbers(clip.frames) == [first], (name, first)
