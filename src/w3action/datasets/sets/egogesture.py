"""EgoGesture (Zhang et al., IEEE TMM 2018): 83 gestures from a head-mounted camera, segments of long frame sequences.

Frames lie in `SubjectSS/SceneS/Color/rgbG/000001.jpg` (RGB; the depth images are not used), also below `images/` or
`frames/`. Two kinds of annotation are read: the release's `subjectSS/SceneS/GroupG.csv` with rows `class,start,end`
(below `labels-final-revised1` or the folder given), and lists `{train,val,test}listall_but_None.txt` with lines
`SubjectSS/SceneS/Color/rgbG class start end`. Classes and frames count from 1, the end is part of the segment.

The release's split is by subject. Class names come from `classIndAllbutNone.txt` or `classIndAll.txt`; without it they
are the numbers 1 to 83, and label-swapping flips cannot be found.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from w3action.data.video import ManifestError
from w3action.datasets.sets.annotation import Line, choose_splits, read_class_list, read_lines, seek_file
from w3action.datasets.sets.listed_videos import Lister, Listing

VAL_SUBJECTS = {1, 7, 12, 13, 24, 29, 33, 34, 35, 37}
TEST_SUBJECTS = {2, 9, 11, 14, 18, 19, 28, 31, 41, 47}
SPLITS = ("train", "val", "test")
NUM_CLASSES = 83
FPS = 30.0


@dataclass(frozen=True)
class Segment:
    """A gesture: frames `start` to `end` (from 1, both part of it) of the sequence in `folder`."""

    line: Line  # that says it
    folder: str
    gesture: int  # from 1
    start: int
    end: int


def prepare(root: Path, *, annotations: Path | None = None, split: str | None = None) -> Listing:
    """List the segments of EgoGesture.

    Args:
        root: holds `Subject01` and so on, or `images` or `frames` that does.
        annotations: folder of the lists, or of the Group CSV files; the root if not given.
        split: "train", "val" or "test"; by default all three.

    Raises:
        ManifestError: files missing or not of a format.
    """
    folder = annotations or root
    names = _class_names(folder)
    lister = Lister(root)
    for name in choose_splits(split, allowed=SPLITS, default=SPLITS, name="egogesture"):
        for segment in _segments(folder, name):
            if segment.gesture == NUM_CLASSES + 1:  # "None": frames between gestures
                continue
            label = segment.line.class_of(segment.gesture, names, first=1)
            if not 1 <= segment.start <= segment.end:
                reason = f"frames {segment.start} to {segment.end} are no segment"
                raise segment.line.fault(f"{reason}; frames count from 1, fetch the file again")
            lister.add(
                *(f"{place}{segment.folder}" for place in ("", "images/", "frames/")),
                label=label,
                split=name,
                frames=(segment.start - 1, segment.end - segment.start + 1),
                fps=FPS,
                more={"subject": segment.folder.split("/")[0]},
            )
    return lister.finish(names)


def split_of(subject: int) -> str:
    """Return the split that a subject's recordings belong to."""
    return "val" if subject in VAL_SUBJECTS else "test" if subject in TEST_SUBJECTS else "train"


def _class_names(folder: Path) -> tuple[str, ...]:
    path = seek_file(folder, ["classIndAllbutNone.txt", "classIndAll.txt"])
    names = read_class_list(path) if path is not None else tuple(str(place + 1) for place in range(NUM_CLASSES))
    return names[:NUM_CLASSES]


def _segments(folder: Path, split: str) -> Iterator[Segment]:
    listed = seek_file(folder, [f"{split}listall_but_None.txt", f"{split}listall.txt"])
    return _read_list(listed) if listed is not None else _read_groups(folder, split)


def _read_list(path: Path) -> Iterator[Segment]:
    for line in read_lines(path):
        folder, *parts = line.split(r"(.+?)\s+(\S+)\s+(\S+)\s+(\S+)", "'folder class start end'")
        yield Segment(line, folder, *(line.to_int(part, "a number") for part in parts))


def _read_groups(folder: Path, split: str) -> Iterator[Segment]:
    found = sorted(path for base in (folder, folder / "labels-final-revised1") for path in base.glob("*/*/Group*.csv"))
    if not found:
        lists = f"neither {split}listall_but_None.txt nor subject01/Scene1/Group1.csv and the like"
        raise ManifestError(f"{folder}: holds {lists}; give the folder of the annotation files as annotations")
    for path in found:
        numbers = [re.search(r"\d+", part) for part in (*path.parts[-3:-1], path.stem)]
        subject, scene, group = (int(number[0]) if number else None for number in numbers)
        if subject is None or scene is None or group is None or split_of(subject) != split:
            continue
        place = f"Subject{subject:02d}/Scene{scene}/Color/rgb{group}"
        for line in read_lines(path):
            parts = line.split("([^,]*),([^,]*),([^,]*)", "'class,start,end'")
            yield Segment(line, place, *(line.to_int(part, "a number") for part in parts))
