import shutil
from pathlib import Path

import numpy as np
import pytest
from drawn_sets import DRAW, touch, touch_frames, write
from hypothesis import given
from hypothesis import strategies as st
from reading import read as read_frames

from w3action.data import ManifestError, find_flip_pairs, read_manifest
from w3action.datasets.sets import prepare
from w3action.datasets.sets.foreign_lists import ListedClip, read_list
from w3action.datasets.sets.foreign_lists import prepare as prepare_list

PATHS = st.text("abz019 _-.,/", min_size=1, max_size=12).map(str.strip).filter(lambda text: text.strip(" ,;"))
NUMBERS = st.integers(0, 10**6)


def read(kind: str, folder: Path, *lines: str) -> list[ListedClip]:
    return [clip for _, clip in read_list(kind, write(folder / "list.txt", *lines))]


@given(PATHS, NUMBERS, NUMBERS)
def test_tsm(tmp_path_factory, path, count, label):
    found = read("tsm", tmp_path_factory.getbasetemp(), f"{path} {count} {label}")
    assert found == [ListedClip(path, label, total_frames=count)]


@given(PATHS.filter(lambda path: not path[-1].isdigit()), NUMBERS, NUMBERS, NUMBERS)
def test_mmaction2(tmp_path_factory, path, start, count, label):
    folder = tmp_path_factory.getbasetemp()
    assert read("mmaction2", folder, f"{path} {label}") == [ListedClip(path, label)]
    assert read("mmaction2", folder, f"{path} {count} {label}") == [ListedClip(path, label, total_frames=count)]
    found = read("mmaction2", folder, f"{path} {start} {count} {label}")
    assert found == [ListedClip(path, label, (start, count))]


@given(PATHS.filter(lambda path: path[-1] not in ", "), NUMBERS)
def test_slowfast(tmp_path_factory, path, label):
    for gap in (" ", ",", ", "):
        found = read("slowfast", tmp_path_factory.getbasetemp(), f"{path}{gap}{label}")
        assert found == [ListedClip(path, label)]


@given(PATHS, st.integers(1, 999), st.integers(0, 999), NUMBERS)
def test_ibm(tmp_path_factory, path, start, more, label):
    for gap in (" ", ";"):
        line = gap.join([path, str(start), str(start + more), str(label)])
        found = read("ibm", tmp_path_factory.getbasetemp(), line)
        assert found == [ListedClip(path, label, (start - 1, more + 1))]


def test_folders_that_end_in_numbers(tmp_path):
    # All lines have as many numbers as the one with the fewest.
    found = read("mmaction2", tmp_path, "day 3 10 0", "night 12 1")
    assert found == [ListedClip("day 3", 0, total_frames=10), ListedClip("night", 1, total_frames=12)]


@pytest.mark.parametrize(
    ("kind", "line", "fault"),
    [
        ("tsm", "a 5", "line 2 is 'a 5' but must be 'path num_frames label'"),
        ("tsm", "a five 0", "must be 'path num_frames label'"),
        ("tsm", "a 5 -1", "must be 'path num_frames label'"),
        ("tsm", "a 0 0", "line 2: a has 0 frames; leave the line out"),
        ("mmaction2", "a.mp4", "must be 'video label'"),
        ("slowfast", "a.mp4", "must be 'path label'"),
        ("ibm", "a 9 3 0", "frames 9 to 3 are no segment"),
        ("ibm", "a 0 3 0", "frames 0 to 3 are no segment; frames count from 1"),
    ],
)
def test_lines_that_are_none(tmp_path, kind, line, fault):
    touch(tmp_path, "a.mp4")
    good = {"tsm": "a 5 0", "mmaction2": "a.mp4 0", "slowfast": "a.mp4 0", "ibm": "a 1 3 0"}[kind]
    with pytest.raises(ManifestError, match=fault):
        prepare_list(kind, tmp_path, annotations=write(tmp_path / "list.txt", good, line))


def test_labels_beyond_the_classes(tmp_path):
    touch(tmp_path, "a.mp4")
    classes = write(tmp_path / "classes.txt", "nod", "wave")
    source = write(tmp_path / "list.txt", "a.mp4 2")
    with pytest.raises(ManifestError, match="line 1: the label is 2 but 2 classes count from 0 to 1"):
        prepare_list("slowfast", tmp_path, annotations=source, classes=classes)


def test_paths_out_of_the_root_are_refused(tmp_path):
    touch(tmp_path, "a.mp4", "root/b.mp4")
    for path in ("../a.mp4", f"{tmp_path}/a.mp4"):
        source = write(tmp_path / "list.txt", f"{path} 0")
        with pytest.raises(ManifestError, match="leads out of .*; give a root that holds all videos, or allow"):
            prepare_list("slowfast", tmp_path / "root", annotations=source)
        listing = prepare_list("slowfast", tmp_path / "root", annotations=source, allow_outside=True)
        assert [video.path for video in listing.videos] == [tmp_path / "a.mp4"]


def test_folders_of_lists(tmp_path):
    root, options, _ = DRAW["tsm"](tmp_path)
    assert {video.split for video in prepare_list("tsm", root, **options).videos} == {"train", "val"}
    shutil.copy(tmp_path / "lists/val_videofolder.txt", tmp_path / "lists/something_val.txt")
    with pytest.raises(ManifestError, match=r"2 lists for val: something_val.txt, val_videofolder.txt; give one"):
        prepare_list("tsm", root, **options)
    assert len(prepare_list("tsm", root, **options, split="train").videos) == 2
    with pytest.raises(ManifestError, match="gone: no such list"):
        prepare_list("tsm", root, annotations=tmp_path / "gone")


def test_real_frames_by_a_list_of_tsm(shared_dir, tmp_path):
    root = shared_dir / "data/hand_motion/frames_sample"
    folders = sorted(path for path in root.iterdir() if path.is_dir())
    counts = [len(list(folder.iterdir())) for folder in folders]
    lines = (
        f"{folder.name} {count} {place % 2}" for place, (folder, count) in enumerate(zip(folders, counts, strict=True))
    )
    write(tmp_path / "train.txt", *lines)
    classes = write(tmp_path / "category.txt", "move left", "move right")
    prepare("tsm", root, tmp_path / "out/tsm.parquet", annotations=tmp_path / "train.txt", classes=classes)
    manifest = read_manifest(tmp_path / "out/tsm.parquet", split="train")
    assert find_flip_pairs(manifest.classes).pairs == ((0, 1),)
    for video, count in zip(manifest.videos, counts, strict=True):
        clip = read_frames(video, lambda found, count=count: np.array([0, found - 1, found - count]), short_side=64)
        assert clip.frames.shape == (3, 3, 64, 64)


def test_a_span_of_a_folder_reaches_the_decoder(tmp_path):
    touch_frames(tmp_path / "frames/a", 9)
    source = write(tmp_path / "val.txt", "a 3 4 0")
    prepare("mmaction2", tmp_path / "frames", tmp_path / "out.parquet", annotations=source)
    (video,) = read_manifest(tmp_path / "out.parquet").videos
    seen = []
    with pytest.raises(ValueError, match="no readable image"):  # they are drawn empty
        read_frames(video, lambda count: seen.append(count) or np.arange(count), short_side=None)
    assert seen == [4]
