"""What damaged, endless, huge and foreign files do to `open_frames`: one DecodeError that names the file, in time."""

import io
import itertools
import os
import re
import struct
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_videos import VP9_FAST, X264_GOP, read_numbers
from reading import decode

from w3action.data import DecodeError, open_frames, probe
from w3action.data import decode as decode_module
from w3action.data import source as source_module

# Tiny, so that hundreds of damaged copies are decoded in seconds.
CONTAINERS = {
    "tiny.mp4": {"options": X264_GOP, "container_options": {"movflags": "+faststart"}},
    "tiny.webm": {"codec": "libvpx-vp9", "options": VP9_FAST},
    "tiny.avi": {"codec": "mpeg4", "max_b_frames": 0},
}
NUM_FRAMES = 8
LIMIT = 5.0  # seconds that one of them may take; whole, they take some thousandths


@pytest.fixture(params=CONTAINERS)
def tiny(request, draw_video) -> Path:
    return draw_video(f"{request.param}", num_frames=NUM_FRAMES, size=(32, 32), **CONTAINERS[request.param])


def decode_or_fail(data: bytes, name: str) -> int | None:
    """Number of frames decoded; None after a DecodeError, whose message must be one line that names the file."""
    file = io.BytesIO(data)
    file.name = name
    try:
        return decode(file, np.arange, limit_seconds=LIMIT).num_frames
    except DecodeError as error:
        message = str(error)
    assert name in message
    assert "\n" not in message
    return None


@contextmanager
def memory_below(num_mib: int):
    """The block's peak of resident memory lies no more than so far above what was there before."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("the peak of memory is read from Linux's /proc")
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew
    before = peak_kib()
    yield
    assert peak_kib() - before < num_mib << 10


def peak_kib() -> int:
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])


class TestDamage:
    def test_cut_off_at_every_hundredth(self, tiny):
        data = tiny.read_bytes()
        found = [decode_or_fail(data[: len(data) * percent // 100], tiny.name) for percent in range(100)]
        assert found[0] is None
        assert decode_or_fail(data, tiny.name) == NUM_FRAMES
        if tiny.suffix == ".mp4":
            # The index tells how much is missing. In the last hundredth nothing but a frame's end may be cut.
            assert set(found) == {None}
        else:  # what is there is given, and nothing more
            counts = [count for count in found if count is not None]
            assert counts == sorted(counts)
            assert counts[-1] < NUM_FRAMES or found[-1] == NUM_FRAMES

    def test_500_flipped_bytes(self, tiny):
        data, rng = tiny.read_bytes(), np.random.default_rng(0)
        outcomes = []
        for _ in range(500):
            damaged = bytearray(data)
            damaged[rng.integers(len(data))] ^= int(rng.integers(1, 256))
            outcomes.append(decode_or_fail(bytes(damaged), tiny.name))
        assert NUM_FRAMES in outcomes
        assert None in outcomes

    def test_100_headers_of_noise(self, tiny):
        data, rng = tiny.read_bytes(), np.random.default_rng(1)
        for _ in range(100):
            start, length = int(rng.integers(200)), int(rng.integers(1, 64))
            decode_or_fail(data[:start] + rng.bytes(length) + data[start + length :], tiny.name)


class TestWhatIsNoVideo:
    def test_a_pipe_is_refused_and_not_waited_for(self, tmp_path):
        path = tmp_path / "pipe.mp4"
        os.mkfifo(path)
        for function in (probe, lambda path: decode(path, np.arange)):
            with pytest.raises(DecodeError, match=r"pipe\.mp4: this is a pipe or a device"):
                function(path)

    @pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such device here")
    def test_a_device_is_refused(self):
        with pytest.raises(DecodeError, match="/dev/zero: this is a pipe or a device"):
            probe("/dev/zero")


class TestTooMuch:
    def test_frames_of_16k_are_refused_before_memory_is_taken(self, draw_video, tmp_path):
        """The header of a small file is made to say 16384x16384; raw video, so that only the header tells."""
        path = tmp_path / "huge.avi"
        data = draw_video("raw.avi", codec="rawvideo", num_frames=2, size=(64, 48)).read_bytes()
        header = struct.pack("<ii", 64, 48)
        assert header in data
        path.write_bytes(data.replace(header, struct.pack("<ii", 16384, 16384)))
        with memory_below(64), pytest.raises(DecodeError, match=r"huge\.avi: .* one beyond 67108864 pixels; the file"):
            decode(path, np.arange)

    def test_large_frames_are_refused_by_name(self, draw_video, monkeypatch):
        monkeypatch.setattr(source_module, "MAX_FRAME_PIXELS", 128 * 96 - 1)
        with pytest.raises(DecodeError, match=r"frames of 128x96 pixels, at most 12287 pixels are decoded"):
            probe(draw_video("x264.mp4", options=X264_GOP))

    def test_a_stream_that_grows_beyond_the_limit(self, draw_video, tmp_path, monkeypatch):
        small, large = (
            draw_video(f"{size[0]}.h264", options=X264_GOP, size=size, num_frames=24) for size in ((64, 48), (256, 192))
        )
        joined = tmp_path / "grows.h264"
        joined.write_bytes(small.read_bytes() + large.read_bytes())
        assert decode(joined, np.arange).num_frames == 48
        monkeypatch.setattr(source_module, "MAX_FRAME_PIXELS", 100 * 100)
        with pytest.raises(DecodeError, match=r"grows\.h264"):
            decode(joined, np.arange)

    def test_a_header_that_claims_ten_hours(self, draw_video, tmp_path):
        """The duration in every header of the mp4 says ten hours; 24 frames are there."""
        path, data = (
            tmp_path / "long.mp4",
            bytearray(draw_video("plain.mp4", num_frames=24, size=(64, 48)).read_bytes()),
        )
        for box, scale_at, long_at in (("mvhd", 16, 20), ("mdhd", 16, 20)):
            start = data.index(box.encode())
            scale = struct.unpack_from(">I", data, start + scale_at)[0]
            struct.pack_into(">I", data, start + long_at, 36000 * scale)
        path.write_bytes(data)
        assert read_numbers(decode(path, lambda _: [0, 23]).frames) == [0, 23]
        assert probe(path).num_frames == 24

    def test_an_index_of_four_billion_frames(self, draw_video, tmp_path):
        """Fails by name, or gives the frames that are there, without memory for what is claimed."""
        data = bytearray(draw_video("plain.mp4", num_frames=24, size=(64, 48)).read_bytes())
        for box in (b"stsz", b"stts"):
            changed = bytearray(data)
            count_at = changed.index(box) + (12 if box == b"stsz" else 8)
            struct.pack_into(">I", changed, count_at, 0xFFFFFFF0)
            with memory_below(256):
                decode_or_fail(bytes(changed), "claims.mp4")

    def test_a_clip_of_more_bytes_than_fit(self, draw_video, monkeypatch):
        monkeypatch.setattr(decode_module, "MAX_CLIP_BYTES", 10 * 128 * 96 * 3)
        path = draw_video("x264.mp4", options=X264_GOP)
        assert decode(path, lambda _: np.arange(10)).num_frames == 10
        with pytest.raises(DecodeError, match=r"x264\.mp4: 11 frames of 128x96 do not fit into .* give a smaller"):
            decode(path, lambda _: np.arange(11))


class _Endless:
    """The frames of a transport stream over and over, without end."""

    name = "endless.ts"

    def __init__(self, data: bytes):
        self.data, self.at = data, 0

    def read(self, size: int, /) -> bytes:
        start = self.at % len(self.data)
        piece = self.data[start : start + size]
        self.at += len(piece)
        return piece

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self.at = {os.SEEK_SET: 0, os.SEEK_CUR: self.at, os.SEEK_END: 1 << 40}[whence] + offset
        return self.at

    def tell(self) -> int:
        return self.at


class TestTime:
    def test_a_video_that_never_ends(self, draw_video):
        data = draw_video("x264.ts", options=X264_GOP, size=(64, 48)).read_bytes()
        with pytest.raises(DecodeError, match=r"endless\.ts: not decoded within 0\.5 s"):
            decode(_Endless(data), np.arange, limit_seconds=0.5)

    def test_a_decoder_that_stalls(self, draw_video, monkeypatch):
        path, clock = draw_video("x264.mp4", options=X264_GOP), [100.0]

        def slow_clock() -> float:
            clock[0] += 16
            return clock[0]

        for limit in (30, None):
            with open_frames(path, limit_seconds=limit) as frames, monkeypatch.context() as patch:
                patch.setattr(source_module.time, "monotonic", slow_clock)  # while it decodes
                if limit is None:
                    assert frames.read([frames.count - 1]).num_frames == 1
                    continue
                with pytest.raises(DecodeError, match=r"x264\.mp4: not decoded within 30 s; .* raise limit_seconds"):
                    frames.read([frames.count - 1])

    def test_each_reading_has_the_whole_time(self, draw_video, monkeypatch):
        with open_frames(draw_video("x264.mp4", options=X264_GOP), limit_seconds=30) as frames:
            for clock in (100.0, 140.0, 180.0):
                monkeypatch.setattr(source_module.time, "monotonic", lambda clock=clock: clock)
                assert frames.read([frames.count - 1]).num_frames == 1

    def test_the_limit_holds_where_everything_is_decoded(self, draw_video, monkeypatch):
        path = draw_video("mpeg4_b_frames.avi", codec="mpeg4", max_b_frames=2)
        clock = itertools.count(step=0.01)  # every look at the clock is a hundredth of a second later
        monkeypatch.setattr(source_module.time, "monotonic", lambda: next(clock))
        with pytest.raises(DecodeError, match=r"mpeg4_b_frames\.avi: not decoded within 0\.3 s"):
            decode(path, np.arange, limit_seconds=0.3)

    @pytest.mark.parametrize("limit", [0, -1.0, float("nan")])
    def test_the_limit_must_be_positive(self, draw_video, limit):
        with pytest.raises(ValueError, match="limit_seconds is .* but must be above 0"):
            decode(draw_video("x264.mp4", options=X264_GOP), np.arange, limit_seconds=limit)


class TestFileObjects:
    @pytest.mark.parametrize("name", ["x264.mp4", "vp9.webm", "mpeg4_b_frames.avi"])
    def test_the_same_frames_as_from_a_path(self, draw_video, name):
        made = {
            "x264.mp4": {"options": X264_GOP},
            "vp9.webm": {"codec": "libvpx-vp9", "options": VP9_FAST},
            "mpeg4_b_frames.avi": {"codec": "mpeg4", "max_b_frames": 2},
        }[name]
        path = draw_video(name, **made)
        expected = decode(path, lambda _: [59, 3, 30])
        with path.open("rb") as opened, path.open("rb", buffering=0) as unbuffered:
            for file in (opened, unbuffered, io.BytesIO(path.read_bytes())):
                for _ in range(2):  # it stays open, and is read from its start again
                    clip = decode(file, lambda _: [59, 3, 30])
                    assert torch.equal(clip.frames, expected.frames)
                    assert torch.equal(clip.pts_seconds, expected.pts_seconds)
                assert not file.closed
                assert probe(file) == probe(path)

    def test_errors_name_the_object(self):
        file = io.BytesIO(b"no video at all")
        with pytest.raises(DecodeError, match="BytesIO: cannot be opened as a video"):
            probe(file)
        file.name = "shard-0001.tar/clip.mp4"
        with pytest.raises(DecodeError, match=r"shard-0001\.tar/clip\.mp4: cannot be opened as a video"):
            probe(file)
        with pytest.raises(DecodeError, match="BytesIO: the file is empty"):
            probe(io.BytesIO())

    def test_what_cannot_seek_is_refused(self):
        reading, writing = os.pipe()
        os.close(writing)
        with os.fdopen(reading, "rb") as file, pytest.raises(DecodeError, match="cannot seek in it"):
            probe(file)
        closed = io.BytesIO(b"abc")
        closed.close()
        with pytest.raises(DecodeError, match="cannot seek in it"):
            probe(closed)

    def test_an_error_while_reading(self, draw_video):
        class Failing(_Endless):
            name = "far.mp4"

            def read(self, size: int, /) -> bytes:
                raise OSError("the network is down")

        with pytest.raises(DecodeError, match=r"far\.mp4: cannot be opened as a video \(the network is down\)"):
            decode(Failing(draw_video("x264.mp4", options=X264_GOP).read_bytes()), np.arange)
