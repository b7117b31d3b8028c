import io
from pathlib import Path

import av
import numpy as np
import pytest
from drawn_videos import X264_GOP, draw_frame, read_numbers
from PIL import Image
from reading import decode

from w3action.data import Video, probe
from w3action.datasets.pack import pack_video as pack_module
from w3action.datasets.pack.options import PackOptions
from w3action.datasets.pack.pack_video import Failure, Packed, encode_chunks, pack_video, read_chunks


@pytest.fixture
def source(draw_video) -> Path:
    return draw_video("x264.mp4", options=X264_GOP)


@pytest.fixture(scope="module")
def image_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for number in range(12):
        Image.fromarray(draw_frame(number, 64, 48)).save(folder / f"img_{number + 1:05d}.jpg", quality=95)
    return folder


def frames_of(packed) -> np.ndarray:
    assert isinstance(packed, Packed)
    return decode(io.BytesIO(packed.data), np.arange).frames


def difference(one, other) -> float:
    return (one.float() - other.float()).abs().mean().item()


def test_frames_and_times_are_those_of_the_source(source):
    packed = pack_video(Video(path=source, label=0), PackOptions())
    before, after = decode(source, np.arange), decode(io.BytesIO(packed.data), np.arange)
    assert read_numbers(after.frames) == list(range(60))
    assert difference(before.frames, after.frames) < 6  # the drawing is noise of full colour
    assert np.allclose(before.pts_seconds, after.pts_seconds, atol=2e-5)
    assert (packed.info.num_frames, packed.info.width, packed.info.height, packed.suffix) == (60, 128, 96, ".mp4")
    assert packed.info.fps == pytest.approx(25, abs=0.01)
    assert packed.num_bytes == len(packed.data)


@pytest.mark.parametrize("gop", [1, 5, 8])
def test_groups_of_pictures_are_short_and_have_no_b_frames(source, gop):
    packed = pack_video(Video(path=source, label=0), PackOptions(gop=gop))
    with av.open(io.BytesIO(packed.data)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    assert [place for place, packet in enumerate(packets) if packet.is_keyframe] == list(range(0, 60, gop))
    assert [packet.pts for packet in packets] == sorted(packet.pts for packet in packets)
    assert all(packet.pts == packet.dts for packet in packets)


@pytest.mark.parametrize(
    ("span", "numbers"),
    [
        ({"start_seconds": 0.4, "end_seconds": 0.8}, range(10, 20)),
        ({"first_frame": 50, "num_frames": 7}, range(50, 57)),
    ],
)
def test_a_span_is_cut_out_and_starts_at_time_zero(source, span, numbers):
    packed = pack_video(Video(path=source, label=0, **span), PackOptions())
    after = decode(io.BytesIO(packed.data), np.arange)
    assert read_numbers(after.frames) == list(numbers)
    assert after.pts_seconds[0] == 0


@pytest.mark.parametrize(("short_side", "size"), [(None, (128, 96)), (256, (128, 96)), (96, (128, 96)), (48, (64, 48))])
def test_frames_are_scaled_down_and_never_up(source, short_side, size):
    packed = pack_video(Video(path=source, label=0), PackOptions(short_side=short_side))
    assert (packed.info.width, packed.info.height) == size


def test_scaling_is_that_of_decode(source):
    packed = pack_video(Video(path=source, label=0), PackOptions(short_side=48))
    assert difference(decode(source, np.arange, short_side=48).frames, frames_of(packed)) < 6


@pytest.mark.parametrize(("size", "even"), [((7, 5), (6, 4)), ((1, 1), (2, 2)), ((6, 1), (6, 2))])
def test_odd_sizes_become_even(size, even):
    image = np.full((3, size[1], size[0], 3), 200, np.uint8)
    data, num_frames = encode_chunks(iter([(image, np.arange(3) / 10)]), PackOptions())
    info = probe(io.BytesIO(data))
    assert (num_frames, info.num_frames, info.width, info.height) == (3, 3, *even)
    assert np.abs(decode(io.BytesIO(data), np.arange).frames.numpy().astype(int) - 200).max() <= 4


def test_times_of_a_variable_rate_are_kept():
    times = np.array([5.0, 5.04, 5.5, 5.52, 9.0])
    images = np.stack([draw_frame(number, 64, 48) for number in range(5)])
    data, _ = encode_chunks(iter([(images, times)]), PackOptions())
    assert decode(io.BytesIO(data), np.arange).pts_seconds.tolist() == pytest.approx((times - 5).tolist(), abs=2e-5)


def test_a_long_video_is_read_in_several_goes(source, monkeypatch):
    monkeypatch.setattr(pack_module, "MAX_CHUNK_BYTES", 7 * 3 * 128 * 96)
    whole = Video(path=source, label=0, first_frame=3, num_frames=50)
    lengths = [len(frames) for frames, _ in read_chunks(whole, short_side=None)]
    assert lengths == [7] * 7 + [1]
    assert read_numbers(frames_of(pack_video(whole, PackOptions()))) == list(range(3, 53))


@pytest.mark.parametrize(("fps", "found"), [(None, 30), (12.0, 12)])
def test_a_folder_of_images_has_the_rate_that_is_given(image_folder, fps, found):
    packed = pack_video(Video(path=image_folder, label=0, first_frame=2, num_frames=8, fps=fps), PackOptions())
    assert read_numbers(frames_of(packed)) == list(range(2, 10))
    assert packed.info.fps == pytest.approx(found, abs=0.01)


def test_a_file_of_its_own_has_its_own_rate(source):
    assert pack_video(Video(path=source, label=0, fps=12.0), PackOptions()).info.fps == pytest.approx(25, abs=0.01)


def test_copying_checks_and_changes_nothing(source):
    packed = pack_video(Video(path=source, label=0), PackOptions(copy=True))
    assert packed == Packed(None, ".mp4", source.stat().st_size, probe(source))


@pytest.mark.parametrize("copy", [False, True])
def test_what_cannot_be_read_is_told_and_not_raised(tmp_path, source, copy):
    (tmp_path / "cut.mp4").write_bytes(source.read_bytes()[:2000])
    for name in ("cut.mp4", "missing.mp4"):
        failure = pack_video(Video(path=tmp_path / name, label=0), PackOptions(copy=copy))
        assert isinstance(failure, Failure)
        assert failure.kind == "unreadable"
        assert failure.reason.startswith(str(tmp_path / name))


def test_a_frame_lost_on_the_way_is_a_failure(source, monkeypatch):
    def encode_without_the_last(chunks, options):
        frames, seconds = next(chunks)
        data, _ = encode_chunks(iter([(frames[:-1], seconds[:-1])]), options)
        return data, len(frames)

    monkeypatch.setattr(pack_module, "encode_chunks", encode_without_the_last)
    failure = pack_video(Video(path=source, label=0), PackOptions())
    assert failure == Failure("frame count", f"{source}: 60 frames in the source but 59 after packing")


def test_equal_frames_make_equal_bytes():
    images = np.stack([draw_frame(number, 64, 48) for number in range(33)])
    made = {encode_chunks(iter([(images, np.arange(33) / 25)]), PackOptions())[0] for _ in range(8)}
    assert len(made) == 1
