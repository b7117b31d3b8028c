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
from w3action.datasets.sets.annotation import choose_splits, find_annotation, read_rows, seek_annotation, to_int
from w3action.datasets.sets.listed_videos import Lister, Listing


@dataclass(frozen=True)
class Release:
    """What differs between the two releases: names of files, of splits and of columns."""

    name: str
    files: Mapping[str, str]  # by split
    unlabelled: tuple[str, ...]
    default: tuple[str, ...]
    verb_files: tuple[str, ...]
    noun_files: tuple[str, ...]
    class_columns: tuple[str, str, str]  # id of a verb, id of a noun, name
    info_file: str
    info_column: str
    key_column: str
    unseen_file: str | None = None  # participants whose kitchens are not in training


@dataclass(frozen=True)
class Segment:
    """A row of an annotation file; verb and noun are official ids, None where they are not published."""

    key: str
    participant: str
    video: str
    seconds: tuple[float, float]
    frames: tuple[int, int]  # first, from 0, and number
    verb: int | None
    noun: int | None


EPIC55 = Release(
    name="epic55",
    files={
        "train": "EPIC_train_action_labels.csv",
        "test_s1": "EPIC_test_s1_timestamps.csv",
        "test_s2": "EPIC_test_s2_timestamps.csv",
    },
    unlabelled=("test_s1", "test_s2"),
    default=("train",),
    verb_files=("EPIC_verb_classes.csv",),
    noun_files=("EPIC_noun_classes.csv",),
    class_columns=("verb_id", "noun_id", "class_key"),
    info_file="EPIC_video_info.csv",
    info_column="video",
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
    verb_files=("EPIC_100_verb_classes.csv",),
    noun_files=("EPIC_100_noun_classes.csv",),
    class_columns=("id", "id", "key"),
    info_file="EPIC_100_video_info.csv",
    info_column="video_id",
    key_column="narration_id",
    unseen_file="EPIC_100_unseen_participant_ids_validation.csv",
)


def prepare_55(root: Path, *, annotations: Path | None = None, split: str | None = None) -> Listing:
    """EPIC-KITCHENS-55.

    Args:
        root: holds the videos or the extracted frames, laid out as downloaded.
        annotations: folder of the CSV files; the root if not given.
        split: "train" (the default), "test_s1" or "test_s2".

    Raises:
        ManifestError: files missing or not of the format.
    """
    return _prepare(EPIC55, root, annotations=annotations or root, split=split)


def prepare_100(root: Path, *, annotations: Path | None = None, split: str | None = None) -> Listing:
    """EPIC-KITCHENS-100.

    Args:
        root: holds the videos or the extracted frames, laid out as downloaded.
        annotations: folder of the CSV files; the root if not given.
        split: "train", "val", "test", "uda_source_train" or "uda_source_val"; by default the first two.

    Raises:
        ManifestError: files missing or not of the format.
    """
    return _prepare(EPIC100, root, annotations=annotations or root, split=split)


def _prepare(release: Release, root: Path, *, annotations: Path, split: str | None) -> Listing:
    verbs, nouns = _class_names(release, annotations)
    chosen = choose_splits(split, allowed=list(release.files), default=release.default, name=release.name)
    # Actions are numbered alike whichever split is asked for.
    there = [name for name in release.default if seek_annotation(annotations, [release.files[name]])]
    sizes = len(verbs), len(nouns)
    segments = {
        name: _read_segments(release, annotations, name, num_classes=sizes) for name in dict.fromkeys((*chosen, *there))
    }
    pairs = {
        (segment.verb, segment.noun)
        for rows in segments.values()
        for segment in rows
        if segment.verb is not None and segment.noun is not None
    }
    fps, unseen = _read_fps(release, annotations), _read_unseen(release, annotations)
    lister = Lister(root)
    for name in chosen:
        for segment in segments[name]:
            more = {"key": segment.key, "participant": segment.participant}
            if segment.verb is not None and segment.noun is not None:
                verb, noun = verbs[segment.verb], nouns[segment.noun]
                more |= {"verb": verb, "noun": noun, "action": f"{verb} {noun}"}
            if unseen and name == "val":
                more["kitchen"] = "unseen" if segment.participant in unseen else "seen"
            lister.add(
                *_places(segment, part="test" if name in release.unlabelled else "train"),
                label=more.get("action"),
                split=name,
                seconds=segment.seconds,
                frames=segment.frames,
                fps=fps.get(segment.video),
                more=more,
            )
    actions = tuple(f"{verbs[verb]} {nouns[noun]}" for verb, noun in sorted(pairs))
    return lister.finish(actions, more_classes={"verb": verbs, "noun": nouns, "action": actions})


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
    path = find_annotation(annotations, [release.files[split]])
    labels = () if split in release.unlabelled else ("verb_class", "noun_class")
    times = ("start_timestamp", "stop_timestamp", "start_frame", "stop_frame")
    wanted = (release.key_column, "participant_id", "video_id", *times, *labels)
    segments = []
    for number, row in read_rows(path, columns=wanted):
        start, stop = (to_int(row[name], path=path, number=number, what=name) for name in times[2:])
        begin, end = (to_seconds(row[name], path=path, number=number) for name in times[:2])
        if not (begin < end and 0 <= start <= stop):
            raise ManifestError(f"{path}: line {number}: the segment is empty or starts before frame 0; correct it")
        start = max(start, 1)  # frames count from 1; a segment at second 0 may be rounded down to 0
        ids = [to_int(row[name], path=path, number=number, what=name) for name in labels] or [None, None]
        for task, place, count in zip(labels, ids, num_classes, strict=False):
            if place is not None and not 0 <= place < count:
                raise ManifestError(
                    f"{path}: line {number}: {task} is {place} but the classes count from 0 to {count - 1}; take the "
                    "class files of the same release"
                )
        segments.append(
            Segment(
                key=row[release.key_column],
                participant=row["participant_id"],
                video=row["video_id"],
                seconds=(begin, end),
                frames=(start - 1, stop - start + 1),
                verb=ids[0],
                noun=ids[1],
            )
        )
    return segments


def to_seconds(text: str, *, path: Path, number: int) -> float:
    """Seconds of a time stamp hours:minutes:seconds.

    Raises:
        ManifestError: it is none.
    """
    match = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d*)?)", text.strip())
    if match is None:
        raise ManifestError(f"{path}: line {number}: {text!r} is no time stamp like 00:01:02.50; correct it")
    return 3600 * int(match[1]) + 60 * int(match[2]) + float(match[3])


def _class_names(release: Release, annotations: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the verbs and of the nouns, in the order of their ids."""
    tables = []
    for files, id_column in zip((release.verb_files, release.noun_files), release.class_columns, strict=False):
        path, name_column = find_annotation(annotations, files), release.class_columns[2]
        rows = read_rows(path, columns=(id_column, name_column))
        named = {
            to_int(row[id_column], path=path, number=number, what=id_column): row[name_column] for number, row in rows
        }
        if sorted(named) != list(range(len(named))) or len(set(named.values())) != len(named):
            raise ManifestError(f"{path}: ids do not count from 0, or a name comes twice; fetch the file again")
        tables.append(tuple(named[place] for place in range(len(named))))
    return tables[0], tables[1]


def _read_fps(release: Release, annotations: Path) -> dict[str, float]:
    path = seek_annotation(annotations, [release.info_file])
    rows = read_rows(path, columns=(release.info_column, "fps")) if path is not None else ()
    return {row[release.info_column]: float(row["fps"]) for _, row in rows}


def _read_unseen(release: Release, annotations: Path) -> set[str]:
    path = seek_annotation(annotations, [release.unseen_file]) if release.unseen_file else None
    return {row["participant_id"] for _, row in read_rows(path, columns=("participant_id",))} if path else set()
