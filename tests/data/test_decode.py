import os
import pickle
from pathlib import Path

import av
import numpy as np
import pytest
from drawn_videos import VP9_FAST, X264_GOP, X264_OPEN_GOP, draw_frame, read_numbers, remux
from reading import decode
from sequential import sequential

from w3action.data import DecodeError, probe
from w3action.data import frames as frames_module
from w3action.data import timeline as timeline_module
from w3action.data.source import NoVideoError

DRAWN = {
    "x264.mp4": {"options": X264_GOP},
    "x264_open_gop.mkv": {"options": X264_OPEN_GOP},
    "x265_open_gop.mp4": {
        "codec": "libx265",
        "options": {"x265-params": "open-gop=1:keyint=12:bframes=3:b-adapt=0:log-level=none"},
    },
    "vp9.webm": {"codec": "libvpx-vp9", "options": VP9_FAST},
    "mpeg4.mp4": {"codec": "mpeg4", "max_b_frames": 2},
    "mpeg4_b_frames.avi": {"codec": "mpeg4", "max_b_frames": 2},
    "mpeg4_no_b_frames.avi": {"codec": "mpeg4", "max_b_frames": 0},
    "x264_b_frames.avi": {"options": X264_GOP},
    "mpeg2.ts": {"codec": "mpeg2video", "max_b_frames": 2},
    "mpeg2.mpg": {"codec": "mpeg2video", "max_b_frames": 2},
    "x264.flv": {"options": X264_GOP},
    "x264_raw.h264": {"options": X264_GOP},
}


@pytest.fixture(params=DRAWN)
def drawn(request, draw_video) -> Path:
    return draw_video(request.param, **DRAWN[request.param])


def one_line(error) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


class TestWhatIsDecoded:
    def test_all_frames_in_order_with_their_times(self, drawn):
        clip = decode(drawn, np.arange)
        assert read_numbers(clip.frames) == list(range(60))
        assert clip.pts_seconds.tolist() == pytest.approx([number / 25 for number in range(60)], abs=1e-3)

    def test_any_order_and_repetitions_of_any_shape(self, drawn):
        asked = np.array([[59, 3, 3], [0, 23, 11], [12, 24, 3]])
        clip = decode(drawn, lambda num_frames: asked)
        assert read_numbers(clip.frames) == asked.ravel().tolist()
        assert clip.pts_seconds.tolist() == pytest.approx((asked.ravel() / 25).tolist(), abs=1e-3)

    @pytest.mark.parametrize("num_threads", [1, 2])
    def test_each_frame_alone_equals_the_sequential_decode(self, drawn, num_threads):
        expected = sequential(drawn)
        for number in range(0, 60, 1 if num_threads == 1 else 7):
            clip = decode(drawn, lambda _, number=number: [number], num_threads=num_threads)
            assert np.array_equal(clip.frames[:, 0].permute(1, 2, 0).numpy(), expected[number]), number

    def test_random_subsets_equal_the_sequential_decode(self, drawn):
        expected, rng = sequential(drawn), np.random.default_rng(0)
        for size in (2, 5, 8, 16):
            asked = rng.integers(60, size=size)
            frames = decode(drawn, lambda _, asked=asked: asked).frames
            assert np.array_equal(frames.permute(1, 2, 3, 0).numpy(), np.stack([expected[i] for i in asked]))

    def test_pick_is_called_once_with_the_number_of_frames(self, drawn):
        calls = []
        decode(drawn, lambda num_frames: calls.append(num_frames) or [0])
        assert calls == [60]

    def test_frames_lie_in_memory_as_decoded(self, drawn):
        assert decode(drawn, np.arange).frames.permute(1, 2, 3, 0).is_contiguous()

    def test_groups_of_pictures_without_a_wanted_frame_are_not_decoded(self, draw_video, tmp_path):
        source = draw_video("x264.mp4", options=X264_GOP)
        broken = remux(
            source,
            tmp_path / "broken.mp4",
            change=lambda at, data: b"\xff" * len(data) if 24 <= at < 36 else data,
        )
        assert read_numbers(decode(broken, lambda _: [50, 5, 40]).frames) == [50, 5, 40]
        with pytest.raises(DecodeError, match=r"broken\.mp4.*frame 30 of 60 \(1\.20 s\)") as error:
            decode(broken, lambda _: [50, 30])
        one_line(error)

    def test_skipping_frames_loses_no_wanted_one(self, draw_video, monkeypatch):
        passes, decode_pass = [], frames_module.ListedFrames._decode

        def counting(self, wanted, *, skip_others):
            passes.append(skip_others)
            return decode_pass(self, wanted, skip_others=skip_others)

        monkeypatch.setattr(frames_module.ListedFrames, "_decode", counting)
        for name in ("x264.mp4", "x264_open_gop.mkv", "x265_open_gop.mp4", "vp9.webm", "mpeg4.mp4", "mpeg2.ts"):
            decode(draw_video(name, **DRAWN[name]), lambda num_frames: np.arange(3, num_frames, 7))
        assert passes == [True] * 6

    @pytest.mark.parametrize("name", ["x264.mp4", "mpeg4_b_frames.avi"])
    def test_what_is_not_kept_in_memory_is_read_again(self, draw_video, monkeypatch, name):
        path = draw_video(name, **DRAWN[name])
        monkeypatch.setattr(timeline_module, "MAX_HELD_BYTES", 100)
        monkeypatch.setattr(frames_module, "MAX_HELD_BYTES", 100)
        assert read_numbers(decode(path, lambda _: [40, 3, 59]).frames) == [40, 3, 59]
        assert read_numbers(decode(path, lambda _: [4, 7], start_seconds=1.0).frames) == [29, 32]


class TestSize:
    @pytest.mark.parametrize(("short_side", "expected"), [(None, (96, 128)), (48, (48, 64)), (112, (112, 149))])
    def test_short_side(self, drawn, short_side, expected):
        frames = decode(drawn, lambda _: [7, 30], short_side=short_side).frames
        assert tuple(frames.shape) == (3, 2, *expected)
        assert read_numbers(frames) == [7, 30]

    def test_a_stream_that_changes_its_size_keeps_that_of_the_first_frame(self, draw_video, tmp_path):
        small = draw_video("x264_raw.h264", options=X264_GOP)
        large = draw_video("large.h264", options=X264_GOP, size=(256, 192))
        joined = tmp_path / "joined.h264"
        joined.write_bytes(small.read_bytes() + large.read_bytes())
        clip = decode(joined, lambda _: [3, 70])
        assert tuple(clip.frames.shape) == (3, 2, 96, 128)
        assert read_numbers(clip.frames) == [3, 10]

    @pytest.mark.parametrize("short_side", [48, 96, 112])
    def test_pixels_equal_those_of_swscale(self, drawn, short_side):
        width = round(128 * short_side / 96)
        expected = sequential(drawn, width=width, height=short_side)
        frames = decode(drawn, lambda _: [7, 30], short_side=short_side).frames.permute(1, 2, 3, 0).numpy()
        assert np.array_equal(frames, np.stack([expected[7], expected[30]]))

    def test_short_side_must_be_positive(self, drawn):
        with pytest.raises(ValueError, match="short_side is 0 pixels but must be at least 1"):
            decode(drawn, np.arange, short_side=0)


class TestSpan:
    @pytest.mark.parametrize(
        ("start", "end", "expected"),
        [
            (0.4, 0.8, range(10, 20)),
            (None, 0.2, range(5)),
            (2.2, None, range(55, 60)),
            (1.42, 99, range(36, 60)),
        ],
    )
    def test_span_holds_its_start_and_not_its_end(self, drawn, start, end, expected):
        shift = 1e-3  # mpeg-ts and flv round times
        start, end = start and start - shift, end and end - shift
        clip = decode(drawn, np.arange, start_seconds=start, end_seconds=end)
        assert read_numbers(clip.frames) == list(expected)
        assert clip.pts_seconds.tolist() == pytest.approx([number / 25 for number in expected], abs=1e-3)

    @pytest.mark.parametrize(
        ("start", "end", "reason"),
        [
            (2.5, 3.0, r"no frame is shown in \[2.5 s, 3 s\)"),
            (5.0, None, r"no frame is shown in \[5 s, end\)"),
            (0.402, 0.43, "no frame is shown in"),
            (1.0, 1.0, "is empty; its end must lie behind its start"),
            (1.0, 0.5, "is empty; its end must lie behind its start"),
        ],
    )
    def test_span_without_frames(self, drawn, start, end, reason):
        with pytest.raises(DecodeError, match=reason) as error:
            decode(drawn, np.arange, start_seconds=start, end_seconds=end)
        assert str(drawn) in one_line(error)

    def test_the_error_says_how_long_the_video_is(self, draw_video):
        with pytest.raises(DecodeError, match=r"the video lasts 2\.40 s, correct the span"):
            decode(draw_video("x264.mp4", options=X264_GOP), np.arange, start_seconds=7)


class TestSpanOfFrames:
    @pytest.mark.parametrize(
        ("first", "count", "expected"),
        [
            (10, 10, range(10, 20)),
            (None, 5, range(5)),
            (55, None, range(55, 60)),
            (36, 999, range(36, 60)),
            (59, 1, range(59, 60)),
            (0, 60, range(60)),
        ],
    )
    def test_holds_so_many_frames_from_the_first(self, drawn, first, count, expected):
        clip = decode(drawn, np.arange, first_frame=first, num_frames=count)
        assert read_numbers(clip.frames) == list(expected)
        assert clip.pts_seconds.tolist() == pytest.approx([number / 25 for number in expected], abs=1e-3)

    def test_pick_counts_from_the_first_frame(self, drawn):
        assert read_numbers(decode(drawn, lambda n: [0, n - 1], first_frame=11, num_frames=14).frames) == [11, 24]

    @pytest.mark.parametrize(
        ("first", "count", "reason"),
        [
            (60, None, r"no frame is shown in \[frame 60, end\)"),
            (60, 4, r"no frame is shown in \[frame 60, 64\)"),
            (-1, 4, r"the span \[frame -1, 3\) begins before frame 0"),
            (5, 0, r"the span \[frame 5, 5\) is empty; num_frames must be at least 1"),
        ],
    )
    def test_without_frames(self, drawn, first, count, reason):
        with pytest.raises(DecodeError, match=reason) as error:
            decode(drawn, np.arange, first_frame=first, num_frames=count)
        assert str(drawn) in one_line(error)

    def test_seconds_and_frames_do_not_mix(self, draw_video):
        with pytest.raises(
            ValueError, match=r"a span of end_seconds=1.0, first_frame=3 mixes seconds and frames"
        ) as error:
            decode(draw_video("x264.mp4", options=X264_GOP), np.arange, end_seconds=1.0, first_frame=3)
        assert not isinstance(error.value, DecodeError)
        one_line(error)


class TestPick:
    @pytest.mark.parametrize("asked", [[], [60], [-1], np.array([0.5]), np.array([[0], [99]])])
    def test_bad_indices_are_the_callers_mistake(self, draw_video, asked):
        path = draw_video("x264.mp4", options=X264_GOP)
        with pytest.raises(ValueError, match=r"indices are .* of 60 frames: .* \[0, 60\)") as error:
            decode(path, lambda _: asked)
        assert not isinstance(error.value, DecodeError)
        one_line(error)


class TestFaults:
    @pytest.mark.parametrize(
        ("name", "content", "reason"),
        [
            ("empty.mp4", b"", r"the file is empty \(0 bytes\)"),
            ("text.mp4", b"this is no video, it is a text file\n" * 9, "cannot be opened as a video"),
            ("noise.webm", bytes(range(256)) * 40, "cannot be opened as a video"),
        ],
    )
    def test_no_video_at_all(self, tmp_path, name, content, reason):
        path = tmp_path / name
        path.write_bytes(content)
        for function in (probe, lambda path: decode(path, np.arange)):
            with pytest.raises(DecodeError, match=reason) as error:
                function(path)
            assert str(path) in one_line(error)

    def test_not_one_frame_can_be_decoded(self, draw_video, tmp_path):
        source = draw_video("x264.mp4", options=X264_GOP)
        path = remux(source, tmp_path / "no_key.mkv", keep=lambda position: 0 < position < 8)
        with pytest.raises(DecodeError, match=r"no_key\.mkv: not one frame can be decoded"):
            decode(path, np.arange)

    def test_missing_file(self, tmp_path):
        with pytest.raises(DecodeError, match="no such file") as error:
            decode(tmp_path / "gone.mp4", np.arange)
        assert "gone.mp4" in one_line(error)

    def test_folder_named_like_a_video(self, tmp_path):
        (tmp_path / "folder.mp4").mkdir()
        with pytest.raises(DecodeError, match="this is a folder") as error:
            decode(tmp_path / "folder.mp4", np.arange)
        one_line(error)

    def test_sound_only(self, tmp_path):
        path = tmp_path / "sound.wav"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
            frame.rate = 8000
            container.mux(stream.encode(frame))
        with pytest.raises(NoVideoError, match="holds no video, only audio; give a video file") as error:
            decode(path, np.arange)
        again = pickle.loads(pickle.dumps(error.value))  # as from a worker process
        assert (str(again), again.where, again.held) == (str(error.value), str(path), "audio")

    def test_cut_off_before_the_index(self, draw_video, tmp_path):
        whole = draw_video("x264.mp4", options=X264_GOP).read_bytes()
        path = tmp_path / "cut.mp4"
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(DecodeError, match="cannot be opened as a video"):
            decode(path, np.arange)

    def test_cut_off_behind_the_index(self, draw_video, tmp_path):
        source = draw_video("fast.mp4", options=X264_GOP, container_options={"movflags": "+faststart"})
        whole = source.read_bytes()
        path = tmp_path / "cut.mp4"
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(DecodeError, match=r"cut off: its index lists 60 frames, \d\d are there") as error:
            decode(path, lambda _: [0])
        one_line(error)
        assert read_numbers(decode(path, np.arange, end_seconds=0.4).frames) == list(range(10))

    def test_names_that_look_like_protocols_or_patterns(self, draw_video, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        data = draw_video("x264.mp4", options=X264_GOP).read_bytes()
        for name in ("http:clip.mp4", "-i.mp4", "clip%03d.mp4", "clip 1 [ü].mp4"):
            (tmp_path / name).write_bytes(data)
            assert read_numbers(decode(name, lambda _: [9]).frames) == [9]

    @pytest.mark.parametrize("num_lost", [1, 2, 3])
    def test_earlier_frames_stand_in_for_at_most_two_undelivered_at_the_end(self, draw_video, tmp_path, num_lost):
        not_coded = b"\x00\x00\x01\xb6\x50\x40"  # an MPEG-4 picture that says: nothing coded
        path = remux(
            draw_video("mpeg4_no_b_frames.avi", codec="mpeg4", max_b_frames=0),
            tmp_path / "lost.mp4",
            change=lambda at, data: not_coded if at >= 60 - num_lost else data,
        )
        if num_lost == 3:
            with pytest.raises(DecodeError, match=r"lost\.mp4: the decoder gave no frame 57 of 60") as error:
                decode(path, np.arange)
            one_line(error)
            return
        last = 59 - num_lost
        assert read_numbers(decode(path, lambda _: [59, 30, 58]).frames) == [last, 30, min(58, last)]
        assert decode(path, lambda _: [59]).pts_seconds.tolist() == pytest.approx([59 / 25])

    @pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files in Linux's /proc")
    def test_files_are_closed(self, drawn, tmp_path):
        def num_open() -> int:
            paths = (os.path.realpath(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd"))
            return sum(path in (str(drawn), str(tmp_path / "text.mp4")) for path in paths if path)

        (tmp_path / "text.mp4").write_text("no video")
        decode(drawn, lambda _: [3])
        probe(drawn)
        for path, start in ((drawn, 99.0), (tmp_path / "text.mp4", None)):
            with pytest.raises(DecodeError):
                decode(path, np.arange, start_seconds=start)
        with pytest.raises(ValueError, match="indices are"):
            decode(drawn, lambda _: [99])
        assert num_open() == 0


class TestProbe:
    def test_drawn(self, drawn):
        info = probe(drawn)
        assert (info.num_frames, info.width, info.height, info.rotation_degrees) == (60, 128, 96, 0)
        assert info.fps == pytest.approx(25, rel=1e-3)
        assert info.duration_seconds == pytest.approx(2.4, rel=1e-3)
        assert info.codec in ("h264", "hevc", "vp9", "mpeg4", "mpeg2video")


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("short_side", [None, 48])
def test_rotation_is_applied(draw_video, turns, short_side):
    """The file stores an upright picture and says: show it turned counterclockwise."""
    path = draw_video(
        f"turned_{turns}.mp4",
        options=X264_GOP,
        orient=lambda stream: stream.set_display_rotation(90.0 * turns),
    )
    frames = decode(path, lambda _: [0, 33, 59], short_side=short_side).frames
    upright = frames.rot90(-turns, dims=(-2, -1))
    assert read_numbers(upright) == [0, 33, 59]
    side = short_side or 96
    assert tuple(upright.shape) == (3, 3, side, side * 128 // 96)
    info = probe(path)
    assert info.rotation_degrees == 90 * turns
    assert (info.width, info.height) == ((96, 128) if turns % 2 else (128, 96))


@pytest.mark.parametrize(("turns", "mirror"), [(0, True), (2, True), (1, True), (3, False)])
def test_mirroring_is_applied(draw_video, turns, mirror):
    """The file says: show the stored picture mirrored, then turned counterclockwise."""
    rotate = {0: (1, 0, 0, 1), 1: (0, -1, 1, 0), 2: (-1, 0, 0, -1), 3: (0, 1, -1, 0)}[turns]
    a, b, c, d = rotate
    if mirror:
        a, b = -a, -b
    matrix = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]
    path = draw_video(
        f"mirrored_{turns}_{mirror}.mp4",
        options={**X264_GOP, "crf": "10"},
        orient=lambda stream: stream.set_display_matrix(matrix),
    )
    shown = decode(path, lambda _: [5]).frames[:, 0].permute(1, 2, 0).numpy()
    stored = draw_frame(5, 128, 96)
    expected = np.rot90(stored[:, ::-1] if mirror else stored, turns)
    assert shown.shape == expected.shape
    blurred = [np.abs(a.astype(float) - b).mean() for a, b in ((shown, expected), (shown, expected[:, ::-1]))]
    assert blurred[0] < 40 < blurred[1]


def test_real_phone_videos_stand_upright(shared_dir):
    for name, size in {"0": (568, 320), "90": (320, 568), "180": (568, 320), "270": (320, 568)}.items():
        clip = decode(shared_dir / f"assets/decord/video_{name}.mov", lambda _: [0])
        assert tuple(clip.frames.shape[:1:-1]) == size
