import json
import shutil

import pytest
from drawn_sets import DRAW, touch, touch_frames, write

from w3action.data import ManifestError, find_flip_pairs
from w3action.datasets.sets.something import prepare_v1, prepare_v2


def test_classes_of_v1_are_sorted(tmp_path):
    root, _, _ = DRAW["something_v1"](tmp_path)
    assert prepare_v1(root).classes == ("Holding something", "Turning the camera left while filming something")


def test_a_test_set_without_labels_is_listed_alone(tmp_path):
    root, _, _ = DRAW["something_v1"](tmp_path)
    touch_frames(root / "20bn-something-something-v1/5", 3)
    write(root / "something-something-v1-test.csv", "5")
    listing = prepare_v1(root, split="test")
    assert [(video.path.name, video.label, video.split) for video in listing.videos] == [("5", None, "test")]
    assert all(video.split != "test" for video in prepare_v1(root).videos)


def test_published_answers_label_the_test_set_of_v2(tmp_path):
    root, _, _ = DRAW["something_v2"](tmp_path)
    touch(root, "5.webm")
    write(root / "labels/something-something-v2-test.json", json.dumps([{"id": "5"}]))
    assert prepare_v2(root, split="test").videos[0].label is None
    write(root / "labels/test-answers.csv", "5;Holding something")
    assert [video.label for video in prepare_v2(root).videos if video.split == "test"] == ["Holding something"]


def test_files_of_other_formats(tmp_path):
    root, _, _ = DRAW["something_v2"](tmp_path)
    write(root / "labels/something-something-v2-validation.json", json.dumps([{"id": "100", "label": "x"}]))
    with pytest.raises(ManifestError, match=r"validation.json: no list of rows with id and template"):
        prepare_v2(root, split="val")
    write(root / "labels/something-something-v2-validation.json", json.dumps([{"id": "100", "template": "Eat [x]"}]))
    with pytest.raises(ManifestError, match="its label 'Eat x' is not among the 2 classes"):
        prepare_v2(root, split="val")
    write(root / "labels/something-something-v2-labels.json", json.dumps(["Holding something"]))
    with pytest.raises(ManifestError, match="the labels are no object of names and numbers"):
        prepare_v2(root, split="val")


def test_the_real_files(shared_dir, tmp_path):
    # All rows are counted in test_real_counts.py: here every call's types are checked, which takes its time.
    annotations, name = shared_dir / "annotations/ssv2_official_json", "something-something-v2-validation.json"
    write(tmp_path / name, json.dumps(json.loads((annotations / name).read_text())[:500]))
    shutil.copy(annotations / "something-something-v2-labels.json", tmp_path)
    touch(tmp_path, "20bn-something-something-v2/74225.webm")
    val = prepare_v2(tmp_path, split="val")
    assert len(val.classes) == 174
    assert (len(val.videos), len(val.missing)) == (1, 499)
    assert val.videos[0].label == "Spinning something that quickly stops spinning"
    assert find_flip_pairs(val.classes).pairs == ((86, 87), (93, 94), (166, 167))
