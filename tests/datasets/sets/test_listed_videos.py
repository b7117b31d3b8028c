from pathlib import Path

import pytest
from drawn_sets import touch, touch_frames

from w3action.data import ManifestError
from w3action.datasets.sets.listed_videos import Lister


def found(root, *places: str, **options) -> list[str]:
    lister = Lister(root, **options)
    lister.add(*places, label="a", split=None)
    return [str(video.path.relative_to(root)) for video in lister.videos]


def test_a_video_is_found_under_another_suffix_or_as_frames(tmp_path):
    touch(tmp_path, "a.mp4", "sub/b.AVI", "c.txt", "sub/d.v1.webm")
    touch_frames(tmp_path / "sub/e", 3)
    assert found(tmp_path, "a.mp4") == ["a.mp4"]
    assert found(tmp_path, "a.webm") == found(tmp_path, "a") == found(tmp_path, "./sub/../a") == ["a.mp4"]
    assert found(tmp_path, "sub/b.avi") == ["sub/b.AVI"]
    assert found(tmp_path, "sub/d.v1") == ["sub/d.v1.webm"]
    assert found(tmp_path, "sub/e.mp4") == found(tmp_path, "sub/e") == found(tmp_path, "sub/e/") == ["sub/e"]
    assert found(tmp_path, "c") == found(tmp_path, "c.txt") == found(tmp_path, "gone/a.mp4") == []
    assert found(tmp_path, "gone.mp4", "other/a.mp4", "a.mp4") == ["a.mp4"]


def test_a_relative_root(tmp_path, monkeypatch):
    touch(tmp_path, "a.mp4")
    monkeypatch.chdir(tmp_path)
    for place in ("a", f"{tmp_path}/a.mp4"):
        lister = Lister(Path())
        lister.add(place, label="a", split=None)
        assert [video.path for video in lister.videos] == [tmp_path / "a.mp4"]
    with pytest.raises(ManifestError, match="leads out of"):
        Lister(Path()).add("../a.mp4", label="a", split=None)


@pytest.mark.parametrize("place", ["../a.mp4", "sub/../../a.mp4", "/etc/a.mp4"])
def test_ways_out_of_the_root_are_refused(tmp_path, place):
    touch(tmp_path, "a.mp4", "root/sub/b.mp4")
    with pytest.raises(ManifestError, match=r"leads out of .*; give a root that holds all videos, or allow"):
        found(tmp_path / "root", place)


def test_ways_out_can_be_allowed(tmp_path):
    touch(tmp_path, "a.mp4", "root/b.mp4")
    lister = Lister(tmp_path / "root", allow_outside=True)
    lister.add("../a.mp4", label="a", split=None)
    lister.add(str(tmp_path / "root/b.mp4"), label="a", split=None)
    assert [video.path for video in lister.videos] == [tmp_path / "a.mp4", tmp_path / "root/b.mp4"]


def test_spans_fit_what_was_found(tmp_path):
    touch(tmp_path, "a.mp4")
    touch_frames(tmp_path / "b", 10)
    lister = Lister(tmp_path)
    for place in ("a", "b"):
        lister.add(place, label=None, split=None, seconds=(1.0, 2.0), frames=(2, 3))
        lister.add(place, label=None, split=None, frames=(8, 3))
        lister.add(place, label=None, split=None, frames=(4, None))
        lister.add(place, label=None, split=None, total_frames=7)
    spans = [
        (e.path.name, e.span.start_seconds, e.span.first_frame, e.span.num_frames, e.total_frames)
        for e in lister.videos
    ]
    assert spans == [
        ("a.mp4", 1.0, None, None, None),
        ("a.mp4", None, 8, 3, None),
        ("a.mp4", None, 4, None, None),
        ("a.mp4", None, None, None, None),
        ("b", None, 2, 3, 10),
        ("b", None, 4, None, 10),
        ("b", None, 0, 7, 10),
    ]
    assert lister.missing == ["b (a folder of 10 images, 11 are listed)"]


def test_a_label_must_be_a_class(tmp_path):
    touch(tmp_path, "a.mp4")
    lister = Lister(tmp_path)
    lister.add("a", label="jump", split=None)
    with pytest.raises(ManifestError, match="its label 'jump' is not among the 2 classes"):
        lister.finish(["run", "walk"])


def test_a_root_that_is_none(tmp_path):
    with pytest.raises(ManifestError, match="gone: no such folder; give the folder that holds the videos"):
        Lister(tmp_path / "gone")
