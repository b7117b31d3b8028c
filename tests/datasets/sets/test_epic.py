import shutil
from pathlib import Path

import pytest
from drawn_sets import DRAW, touch, write
from hypothesis import given
from hypothesis import strategies as st

from w3action.data import ManifestError, read_manifest
from w3action.datasets.sets import prepare
from w3action.datasets.sets.annotation import Line
from w3action.datasets.sets.epic import EPIC55, EPIC100, to_seconds
from w3action.datasets.sets.epic import prepare as prepare_epic


def test_three_tasks_from_one_manifest(tmp_path):
    root, _, _ = DRAW["epic55"](tmp_path)
    prepare("epic55", root, tmp_path / "out.parquet")
    tasks = {name: read_manifest(tmp_path / "out.parquet", label_column=name) for name in ("verb", "noun", "action")}
    assert {name: manifest.classes for name, manifest in tasks.items()} == {
        "verb": ("take", "put"),
        "noun": ("tap", "spoon", "pan:dust"),
        "action": ("take tap", "put pan:dust"),  # by (verb id, noun id)
    }
    assert {name: [video.label for video in manifest.videos] for name, manifest in tasks.items()} == {
        "verb": [1, 0],
        "noun": [2, 0],
        "action": [1, 0],
    }
    assert read_manifest(tmp_path / "out.parquet").classes == tasks["action"].classes


def test_kitchens_are_seen_or_not(tmp_path):
    root, _, _ = DRAW["epic100"](tmp_path)
    listing = prepare_epic(EPIC100, root)
    assert [video.more.get("kitchen") for video in listing.videos] == [None, "unseen", "seen"]
    assert [video.fps for video in listing.videos] == [50.0, None, 50.0]


def test_segments_without_labels(tmp_path):
    root, _, _ = DRAW["epic55"](tmp_path)
    touch(root, "videos/test/P09/P09_01.MP4")
    header = "uid,participant_id,video_id,start_timestamp,stop_timestamp,start_frame,stop_frame"
    write(root / "EPIC_test_s2_timestamps.csv", header, "15582,P09,P09_01,00:00:01.97,00:00:03.09,118,185")
    prepared = prepare("epic55", root, tmp_path / "s2.parquet", split="test_s2")
    assert prepared.num_labelled == 0
    assert "no labels are published for this split" in str(prepared)
    with pytest.raises(ManifestError, match="no column 'label'"):
        read_manifest(tmp_path / "s2.parquet")
    listing = prepare_epic(EPIC55, root, split="test_s2")
    assert listing.videos[0].more == {"key": "15582", "participant": "P09"}
    assert listing.classes == ("take tap", "put pan:dust")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("00:00:00.25", "0.25", "'0.25' is no time stamp like 00:01:02.50"),
        ("00:00:00.50,15", "00:00:00.20,15", "the segment is empty or starts before frame 0"),
        (",15,30,", ",-1,30,", "the segment is empty or starts before frame 0"),
        ("grab,0,tap", "grab,2,tap", "verb_class is 2 but the classes count from 0 to 1"),
        ("grab,0,tap", "grab,,tap", "verb_class is '' but must be a whole number"),
    ],
)
def test_rows_that_are_none(tmp_path, old, new, fault):
    root, _, _ = DRAW["epic55"](tmp_path)
    path = root / "EPIC_train_action_labels.csv"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ManifestError, match=f"line 3: .*{fault}"):
        prepare_epic(EPIC55, root)


def test_a_segment_that_was_rounded_down_to_frame_0_begins_at_the_first(tmp_path):
    root, _, _ = DRAW["epic55"](tmp_path)
    path = root / "EPIC_train_action_labels.csv"
    path.write_text(path.read_text().replace(",15,30,", ",0,30,"))
    video = prepare_epic(EPIC55, root).videos[1]
    assert (video.span.first_frame, video.span.num_frames) == (0, 30)


def test_classes_that_are_none(tmp_path):
    root, _, _ = DRAW["epic55"](tmp_path)
    write(root / "EPIC_verb_classes.csv", "verb_id,class_key,verbs", "0,take,x", "2,put,x")
    with pytest.raises(ManifestError, match="ids do not count from 0, or a name comes twice"):
        prepare_epic(EPIC55, root)


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 5999))
def test_time_stamps(hours, minutes, hundredths):
    text = f"{hours:02d}:{minutes:02d}:{hundredths // 100:02d}.{hundredths % 100:02d}"
    seconds = to_seconds(text, Line(Path("a.csv"), 1, ""))
    assert seconds == pytest.approx(hours * 3600 + minutes * 60 + hundredths / 100)


def test_the_real_files(shared_dir, tmp_path):
    # All rows are counted in test_real_counts.py: here every call's types are checked, which takes its time.
    annotations = shutil.copytree(shared_dir / "annotations/epic100", tmp_path / "annotations")
    header, *rows = (annotations / "EPIC_100_validation.csv").read_text().splitlines()
    rows = [row for row in rows if "P01_11," in row or "P18_01," in row or "P02_12," in row]
    write(annotations / "EPIC_100_validation.csv", header, *rows)
    (annotations / "EPIC_100_train.csv").unlink(missing_ok=True)
    touch(tmp_path, "P01/videos/P01_11.MP4", "P18/videos/P18_01.MP4")
    val = prepare_epic(EPIC100, tmp_path, annotations=annotations, split="val")
    assert len(val.videos) + len(val.missing) == len(rows)
    assert val.missing
    assert [len(names) for names in val.more_classes.values()][:2] == [97, 300]
    assert {(e.more["participant"], e.more["kitchen"]) for e in val.videos} == {("P01", "seen"), ("P18", "unseen")}
    first = val.videos[0]
    assert (first.label, first.span.start_seconds, first.span.end_seconds) == ("take plate", 0.0, 1.89)
    assert first.fps == pytest.approx(59.94, abs=0.01)
