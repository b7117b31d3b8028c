import re

import numpy as np
import pytest
from drawn_videos import VP9_FAST, X264_GOP
from reading import decode

from w3action.bench import decode as bench_module
from w3action.bench.decode import BOUND, FILES, SHARDS, Job, bench_decode
from w3action.data import Video


@pytest.fixture
def videos(draw_video) -> list[Video]:
    paths = [
        draw_video("x264.mp4", options=X264_GOP),
        draw_video("vp9.webm", codec="libvpx-vp9", options=VP9_FAST),
        draw_video("mpeg4_b_frames.avi", codec="mpeg4", max_b_frames=2),
    ]
    return [Video(path=path, label=0) for path in paths]


def test_every_way_is_measured_and_lies_beside_the_bound(videos, monkeypatch):
    monkeypatch.setattr(bench_module, "OTHERS", {"other": lambda job, files: [lambda: sum(range(100))] * len(files)})
    rounds = []
    bench = bench_decode(videos, num_segments=4, size=64, num_clips=3, num_rounds=3, on_round=lambda: rounds.append(1))
    assert list(bench.rates) == [BOUND, FILES, "other"]
    assert bench.rates[BOUND].of_bound == 1
    assert 0 < bench.rates[FILES].of_bound < 1 < bench.rates["other"].of_bound
    assert (bench.num_clips, bench.num_segments, bench.size, len(rounds)) == (3, 4, 64, 4)
    assert "of bound" in str(bench)
    assert str(bench).count("\n") == 3


def test_what_cannot_be_imported_is_said(videos, monkeypatch):
    def absent(job, files):
        raise ImportError("No module named 'other'\nand more")

    monkeypatch.setattr(bench_module, "OTHERS", {"other": absent})
    bench = bench_decode(videos[:1], num_segments=2, size=64, num_clips=1, num_rounds=1)
    assert bench.missing == {"other": "No module named 'other'"}
    assert re.search("^other +not measured: No module named 'other'$", str(bench), re.MULTILINE)


def test_the_bound_decodes_what_is_needed_and_no_more(videos):
    job = Job(num_segments=2, size=64)  # frames 15 and 45: the second and the fourth group of twelve
    bare = bench_module._Bare.plan(videos[0], job)
    assert [group[0][0] for group in bare.groups] == [12, 36]
    fed = [place for group in bare.groups for place, _ in group]
    assert len(fed) < 24
    assert 2 <= bare.decode() < len(fed)  # those on which nothing depends are skipped
    assert bench_module._Bare.plan(videos[2], job).decode() == 60  # an avi with B-frames is decoded whole


def test_members_of_a_shard_are_measured_both_ways(videos, tmp_path, monkeypatch):
    monkeypatch.setattr(bench_module, "OTHERS", {})
    data = videos[0].path.read_bytes()
    shard = tmp_path / "shard.tar"
    shard.write_bytes(b"\0" * 512 + data)
    packed = Video(path=shard, label=0, byte_offset=512, num_bytes=len(data))
    bench = bench_decode([packed], num_segments=2, size=64, num_clips=1, num_rounds=1)
    assert list(bench.rates) == [BOUND, FILES, SHARDS]


def test_the_job_is_scaled_cropped_and_normalised(videos):
    job = Job(num_segments=2, size=56)
    views = job.run(videos[0])
    assert tuple(views.shape) == (1, 3, 2, 56, 56)
    clip = decode(videos[0].path, lambda _: np.array([15, 45]), short_side=64)
    assert views.equal(job.finish(clip))


def test_mistakes_are_named(videos, tmp_path):
    with pytest.raises(ValueError, match="none of the 1 videos is a video file"):
        bench_decode([Video(path=tmp_path, label=0)])
    with pytest.raises(ValueError, match="num_rounds is 0 but must be at least 1"):
        bench_decode(videos, num_rounds=0)
    with pytest.raises(ValueError, match="size is 0 but must be at least 1"):
        bench_decode(videos, size=0)
