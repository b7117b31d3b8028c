"""EPIC-KITCHENS-55 and -100 (Damen et al., ECCV 2018 and IJCV 2022): verbs, nouns and actions in kitchens.

Every row is a segment of a long video. In a video file (`P01/P01_01.MP4`) it is cut by its time stamps, in a folder of
frames (`P01/rgb_frames/P01_01/frame_0000000001.jpg`) by its frame numbers, which count from 1, the end part of it. The
label is the action, a pair "VERB NOUN" of class names ("turn-on tap"); the columns verb, noun and action each hold one
of the three tasks, to be chosen by `label_column`. Verbs and nouns keep their official ids and all their classes (55:
125 and 352, of which 119 and 321 occur); actions are the pairs that occur in the labelled splits, in the order of
(verb id, noun id).

EPIC-55 has labels for its training videos alone; `split="test_s1"` (seen kitchens) and "test_s2" (unseen) list the
segments whose labels only the challenge's server knows. EPIC-100 has train, val and such a test; its column `kitchen`
tells in val whether the participant was seen in training. A split "uda_source_train" and so on is read from
`EPIC_100_uda_source_train.csv` where that is there.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from w3action.data.video import ManifestError
from w3action.datasets.sets.annotation import Line, choose_splits, find_file, read_rows, seek_file
from w3action.datasets.sets.listed_videos import Lister, Listing


@dataclass(frozen=True)
class Release:
    """What differs between the two releases: names of files, of splits and of columns."""

    name: str
    files: Mapping[str, str]  # by split
    unlabelled: tuple[str, ...]
    default: tuple[str, ...]
    class_files: tuple[str, str]  # of verbs, of nouns
    class_columns: tuple[str, str, str]  # id of a verb, id of a noun, name
    info: tuple[str, str]  # file of the videos' rates, column of their names
    key_column: str
    unseen_file: str = ""  # participants whose kitchens are not in training


@dataclass(frozen=True)
class Segment:
    """A row of an annotation file."""

    key: str
    participant: str
    video: str
    seconds: tuple[float, float]
    frames: tuple[int, int]  # first, from 0, and number
    action: tuple[int, int] | None  # official ids of verb and noun; None where they are not published


EPIC55 = Release(
    name="epic55",
    files={
        "train": "EPIC_train_action_labels.csv",
        "test_s1": "EPIC_test_s1_timestamps.csv",
        "test_s2": "EPIC_test_s2_timestamps.csv",
    },
    unlabelled=("test_s1", "test_s2"),
    default=("train",),
    class_files=("EPIC_verb_classes.csv", "EPIC_noun_classes.csv"),
    class_columns=("verb_id", "noun_id", "class_key"),
    info=("EPIC_video_info.csv", "video"),
    key_column="uid",
)
EPIC100 = Release(
    name="epic100",
    files={
        "train": "EPIC_100_train.csv",
        "val": "EPIC_100_validation.csv",
        "test": "EPIC_100_test_timestamps.csv",
        "uda_source_train": "EPIC_100_uda_source_train.csv",
        "uda_source_val": "EPIC_100_uda_source_val.csv",
    },
    unlabelled=("test",),
    default=("train", "val"),
    class_files=("EPIC_100_verb_classes.csv", "EPIC_100_noun_classes.csv"),
    class_columns=("id", "id", "key"),
    info=("EPIC_100_video_info.csv", "video_id"),
    key_column="narration_id",
    unseen_file="EPIC_100_unseen_participant_ids_validation.csv",
)


def prepare(release: Release, root: Path, *, annotations: Path | None = None, split: str | None = None) -> Listing:
    """List the segments of EPIC-KITCHENS.

    Args:
        release: `EPIC55` or `EPIC100`.
        root: holds the videos or the extracted frames, laid out as downloaded.
        annotations: folder of the CSV files; the root if not given.
        split: one of the release's `files`; by default those of `default`.

    Raises:
        ManifestError: files missing or not of the format.
    """
    annotations = annotations or root
    verbs, nouns = _class_names(release, annotations)
    chosen = choose_splits(split, allowed=list(release.files), default=release.default, name=release.name)
    # Actions are numbered alike whichever split is asked for.
    there = [name for name in release.default if seek_file(annotations, [release.files[name]])]
    sizes = len(verbs), len(nouns)
    segments = {
        name: _read_segments(release, annotations, name, num_classes=sizes) for name in dict.fromkeys((*chosen, *there))
    }
    pairs = sorted({segment.action for rows in segments.values() for segment in rows if segment.action is not None})
    actions = {pair: f"{verbs[pair[0]]} {nouns[pair[1]]}" for pair in pairs}
    fps = _read_column(annotations, release.info[0], key=release.info[1], value="fps")
    unseen = _read_column(annotations, release.unseen_file, key="participant_id", value="participant_id")
    lister = Lister(root)
    for name in chosen:
        for segment in segments[name]:
            more = {"key": segment.key, "participant": segment.participant}
            if segment.action is not None:
                verb, noun = segment.action
                more |= {"verb": verbs[verb], "noun": nouns[noun], "action": actions[segment.action]}
            if unseen and name == "val":
                more["kitchen"] = "unseen" if segment.participant in unseen else "seen"
            lister.add(
                *_places(segment, part="test" if name in release.unlabelled else "train"),
                label=more.get("action"),
                split=name,
                seconds=segment.seconds,
                frames=segment.frames,
                fps=float(fps[segment.video]) if segment.video in fps else None,
                more=more,
            )
    names = tuple(actions.values())
    return lister.finish(names, more_classes={"verb": verbs, "noun": nouns, "action": names})


def _places(segment: Segment, *, part: str) -> Sequence[str]:
    participant, video = segment.participant, segment.video
    return (
        f"{participant}/{video}.MP4",
        f"{participant}/videos/{video}.MP4",
        f"{part}/{participant}/{video}.MP4",
        f"videos/{part}/{participant}/{video}.MP4",
        f"{participant}/rgb_frames/{video}",
        f"rgb/{part}/{participant}/{video}",
        f"frames_rgb_flow/rgb/{part}/{participant}/{video}",
        f"{video}.MP4",
    )


def _read_segments(release: Release, annotations: Path, split: str, *, num_classes: tuple[int, int]) -> list[Segment]:
    labels = () if split in release.unlabelled else ("verb_class", "noun_class")
    times, numbers = ("start_timestamp", "stop_timestamp"), ("start_frame", "stop_frame")
    wanted = (release.key_column, "participant_id", "video_id", *times, *numbers, *labels)
    segments = []
    for line, row in read_rows(find_file(annotations, [release.files[split]]), columns=wanted):
        start, stop = (line.to_int(row[name], name) for name in numbers)
        begin, end = (to_seconds(row[name], line) for name in times)
        if not (begin < end and 0 <= start <= stop):
            raise line.fault("the segment is empty or starts before frame 0; correct it")
        start = max(start, 1)  # frames count from 1; a segment at second 0 may be rounded down to 0
        ids = [line.to_int(row[name], name) for name in labels]
        for name, place, count in zip(labels, ids, num_classes, strict=False):
            if not 0 <= place < count:
                told = f"{name} is {place} but the classes count from 0 to {count - 1}"
                raise line.fault(f"{told}; take the class files of the same release")
        names = (row[release.key_column], row["participant_id"], row["video_id"])
        action = (ids[0], ids[1]) if ids else None
        segments.append(Segment(*names, seconds=(begin, end), frames=(start - 1, stop - start + 1), action=action))
    return segments


def to_seconds(text: str, line: Line) -> float:
    """Return the seconds of a time stamp hours:minutes:seconds in a line.

    Raises:
        ManifestError: it is none.
    """
    match = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d*)?)", text.strip())
    if match is None:
        raise line.fault(f"{text!r} is no time stamp like 00:01:02.50; correct it")
    return 3600 * int(match[1]) + 60 * int(match[2]) + float(match[3])


def _class_names(release: Release, annotations: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the verbs and of the nouns, in the order of their ids."""
    tables = []
    *id_columns, name_column = release.class_columns
    for file, id_column in zip(release.class_files, id_columns, strict=True):
        path = find_file(annotations, [file])
        rows = read_rows(path, columns=(id_column, name_column))
        named = {line.to_int(row[id_column], id_column): row[name_column] for line, row in rows}
        if sorted(named) != list(range(len(named))) or len(set(named.values())) != len(named):
            raise ManifestError(f"{path}: ids do not count from 0, or a name comes twice; fetch the file again")
        tables.append(tuple(named[place] for place in range(len(named))))
    return tables[0], tables[1]


def _read_column(annotations: Path, file: str, *, key: str, value: str) -> dict[str, str]:
    """Return the values of a column by those of another, of a file that may not be there."""
    path = seek_file(annotations, [file])
    return {row[key]: row[value] for _, row in read_rows(path, columns=(key, value))} if path is not None else {}
