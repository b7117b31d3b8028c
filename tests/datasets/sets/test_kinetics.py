import pytest
from drawn_sets import DRAW, touch, write

from w3action.data import ManifestError
from w3action.datasets.sets.kinetics import prepare


def test_classes_are_sorted(tmp_path):
    root, _, _ = DRAW["kinetics"](tmp_path)
    assert prepare(root).classes == ("abseiling", "air drumming", "zumba")


def test_clips_named_by_the_video_alone(tmp_path):
    touch(tmp_path, "videos/AAAAAAAAAAA.mp4")
    write(tmp_path / "validate.csv", "label,youtube_id,time_start,time_end,split", "zumba,AAAAAAAAAAA,3,13,validate")
    assert [video.path.name for video in prepare(tmp_path, split="val").videos] == ["AAAAAAAAAAA.mp4"]


def test_a_test_set_without_labels(tmp_path):
    touch(tmp_path, "AAAAAAAAAAA_000003_000013.mp4")
    write(tmp_path / "test.csv", "youtube_id,time_start,time_end", "AAAAAAAAAAA,3,13")
    listing = prepare(tmp_path, split="test")
    assert [video.label for video in listing.videos] == [None]
    assert listing.classes == ()


def test_files_that_are_none(tmp_path):
    with pytest.raises(ManifestError, match=r"holds no train.csv; give the folder of the CSV files"):
        prepare(tmp_path)
    write(tmp_path / "train.csv", "label,youtube_id,time_start,time_end", "zumba,AAAAAAAAAAA,three,13")
    with pytest.raises(ManifestError, match="line 2: time_start is 'three' but must be a whole number"):
        prepare(tmp_path, split="train")


def test_public_lists_have_this_order(shared_dir):
    names = (shared_dir / "annotations/mmaction2_label_maps/k400.txt").read_text().splitlines()
    assert names == sorted(names)
