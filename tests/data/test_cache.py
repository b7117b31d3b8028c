import tarfile

import numpy as np
import pytest
import torch
from drawn_videos import X264_GOP, read_numbers
from PIL import Image
from reading import decode, read

from w3action.data import Clip, FrameCache, Video, read_manifest
from w3action.data.decode import OpenVideo

CLIP_BYTES = 60 * 3 * 48 * 64  # all frames at short_side 48


@pytest.fixture
def video(draw_video) -> Video:
    return Video(path=draw_video("x264.mp4", options=X264_GOP), label=0)


@pytest.fixture
def decoded(monkeypatch) -> list[int]:
    """The number of frames of every decoding."""
    calls, decode_frames = [], OpenVideo.read

    def counting(self, indices):
        clip = decode_frames(self, indices)
        calls.append(clip.num_frames)
        return clip

    monkeypatch.setattr(OpenVideo, "read", counting)
    return calls


def whole(cache: FrameCache, video: Video, short_side: int | None) -> Clip:
    return read(video, np.arange, short_side=short_side, cache=cache)


def test_picks_equal_decoding(video):
    cache = FrameCache(CLIP_BYTES)
    asked = np.array([[40, 3], [3, 59]])
    kept = read(video, lambda _: asked, short_side=48, cache=cache)
    fresh = decode(video.path, lambda _: asked, short_side=48)
    assert torch.equal(kept.frames, fresh.frames)
    assert torch.equal(kept.pts_seconds, fresh.pts_seconds)
    assert kept.frames.stride() == fresh.frames.stride()


def test_decodes_once(video, decoded):
    cache = FrameCache(CLIP_BYTES)
    for _ in range(3):
        assert read_numbers(whole(cache, video, 48).frames) == list(range(60))
        read(video, lambda _: np.arange(4), short_side=48, cache=cache)
    assert decoded == [60]
    assert (len(cache), cache.num_bytes) == (1, CLIP_BYTES)


def test_spans_and_sizes_are_kept_apart(video):
    cache = FrameCache(10 * CLIP_BYTES)
    span = Video(path=video.path, label=0, start_seconds=0.4, end_seconds=0.8)
    assert read_numbers(whole(cache, span, 48).frames) == list(range(10, 20))
    assert whole(cache, video, 48).num_frames == 60
    assert tuple(whole(cache, video, None).frames.shape[2:]) == (96, 128)
    assert len(cache) == 3


def test_sizes_that_may_not_be_enlarged_are_kept_apart(video):
    cache = FrameCache(100 * CLIP_BYTES)
    for enlarge, height in ((False, 96), (True, 200), (False, 96)):
        clip = read(video, lambda _: [0], short_side=200, enlarge=enlarge, cache=cache)
        assert clip.frames.shape[2] == height


def test_spans_of_frames_and_members_of_a_tar_are_kept_apart(video, tmp_path, draw_video):
    other = draw_video("other.mp4", num_frames=20)
    tar = tmp_path / "shard.tar"
    with tarfile.open(tar, "w") as shard:
        for path in (video.path, other):
            shard.add(path, arcname=path.name)
    with tarfile.open(tar) as shard:
        places = [(member.offset_data, member.size) for member in shard]
    assert tar.read_bytes()[places[1][0] : places[1][0] + places[1][1]] == other.read_bytes()
    members = [Video(path=tar, label=0, byte_offset=offset, num_bytes=size) for offset, size in places]
    span = Video(path=tar, label=0, byte_offset=places[0][0], num_bytes=places[0][1], first_frame=5, num_frames=3)

    cache = FrameCache(10 * CLIP_BYTES)
    assert read_numbers(whole(cache, members[0], 48).frames) == list(range(60))
    assert read_numbers(whole(cache, members[1], 48).frames) == list(range(20))
    assert read_numbers(whole(cache, span, 48).frames) == [5, 6, 7]
    assert read_numbers(whole(cache, Video(path=video.path, label=0, first_frame=57), 48).frames) == [57, 58, 59]
    assert len(cache) == 4


def test_a_folder_of_images_has_the_rate_of_its_manifest(tmp_path):
    for number in range(6):
        Image.new("RGB", (32, 32)).save(tmp_path / f"{number}.jpg")
    (tmp_path / "list.csv").write_text("path,label,fps\n.,a,12\n.,a,\n")
    seconds = [
        read(video, lambda _: np.array([3]), short_side=None).pts_seconds.item()
        for video in read_manifest(tmp_path / "list.csv").videos
    ]
    assert seconds == pytest.approx([3 / 12, 3 / 30])


def test_a_full_cache_decodes_only_what_is_picked(video, decoded):
    cache = FrameCache(CLIP_BYTES - 1)
    for _ in range(3):
        assert read_numbers(read(video, lambda _: np.array([5, 9]), short_side=48, cache=cache).frames) == [5, 9]
    assert decoded == [60, 2, 2]
    assert (len(cache), cache.num_bytes) == (0, 0)


def test_max_bytes_must_not_be_negative():
    with pytest.raises(ValueError, match="max_bytes is -1 but must be at least 0"):
        FrameCache(-1)
