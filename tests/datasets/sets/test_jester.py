import shutil

import pytest
from drawn_sets import DRAW, touch_frames, write

from w3action.data import ManifestError, find_flip_pairs
from w3action.datasets.sets.jester import prepare


def test_classes_are_sorted(tmp_path):
    root, _, _ = DRAW["jester"](tmp_path)
    assert prepare(root).classes == ("No gesture", "Swiping Left", "Swiping Right")


def test_the_later_release(tmp_path):
    touch_frames(tmp_path / "Train/1", 3)
    touch_frames(tmp_path / "Validation/2", 3)
    header = "video_id,label,frames,label_id,shape,format"
    write(tmp_path / "Train.csv", header, '1,Thumb Up,37,20,"(176, 100)",JPEG')
    write(tmp_path / "Validation.csv", header, '2,Shaking Hand,37,9,"(176, 100)",JPEG')
    listing = prepare(tmp_path)
    assert [(e.path.name, e.label, e.split) for e in listing.videos] == [
        ("1", "Thumb Up", "train"),
        ("2", "Shaking Hand", "val"),
    ]
    assert listing.classes == ("Shaking Hand", "Thumb Up")


def test_numbered_lists_need_class_names(tmp_path):
    write(tmp_path / "trainlist01.txt", "1 2")
    with pytest.raises(ManifestError, match="put classInd.txt with the class names beside it"):
        prepare(tmp_path, split="train")
    write(tmp_path / "classInd.txt", "1 Thumb_Up")
    with pytest.raises(ManifestError, match="line 1: the label is 2 but 1 classes count from 1 to 1"):
        prepare(tmp_path, split="train")


def test_the_real_files(shared_dir, tmp_path):
    # All rows are counted in test_real_counts.py: here every call's types are checked, which takes its time.
    annotations = shared_dir / "annotations/jester"
    write(tmp_path / "vallist01.txt", *(annotations / "vallist01.txt").read_text().splitlines()[:500])
    shutil.copy(annotations / "classInd.txt", tmp_path)
    touch_frames(tmp_path / "9223", 3)
    listing = prepare(tmp_path, split="val")
    assert (len(listing.videos), len(listing.missing)) == (1, 499)
    assert find_flip_pairs(listing.classes).pairs == ((11, 12), (16, 17), (21, 22))
    assert [video.label for video in listing.videos] == ["Thumb Up"]
    names = (shared_dir / "annotations/mmaction2_label_maps/jester.txt").read_text().splitlines()
    assert listing.classes == tuple(sorted(names))
