"""Labelled videos from a folder, a CSV file or a Parquet file.

A folder holds `class/video.mp4`, or `train/class/video.mp4` and the like where all its sub-folders are named after
splits. A folder of numbered images stands for a video anywhere. A table has the columns path and label, and may have
split; fps, the rate of folders of images; start_seconds, end_seconds or start_frame, end_frame (from 0, the end is not
part of it) where a row is a span of its video; byte_offset, num_bytes where the video lies inside an uncompressed tar.
Others are ignored: lists often say in `first_frame` or `num_frames` from where a clip was cut, so those never make a
span. Paths are relative to the table's folder. Whether a video exists is only seen when it is decoded.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from pathlib import Path

import numpy as np

from w3action.data.manifest_table import NUMBERS, Row, read_table
from w3action.data.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES, ManifestError, Video
from w3action.files import write_csv

SPLITS = {  # what they are called: their name here
    "train": "train",
    "training": "train",
    "test": "test",
    "val": "val",
    "valid": "val",
    "validation": "val",
}


@dataclass(frozen=True)
class Manifest:
    """Labelled videos, the class names that their labels index, and where they were read.

    Attributes:
        labellings: where videos are labelled by several columns, how many of the classes are of each; they are called
            "verb: open" and the like, and lie one labelling behind the other.
    """

    videos: tuple[Video, ...]
    classes: tuple[str, ...]
    source: Path
    labellings: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.videos)

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, sorted; empty where the manifest names none."""
        return tuple(sorted({video.split for video in self.videos if video.split is not None}))

    def has_split(self, name: str) -> bool:
        """Tell whether videos are of a split; "val", "valid" and "validation" are the same."""
        return any(same_split(found, name) for found in self.splits)

    def split(self, name: str) -> "Manifest":
        """Return the videos of one split; "val", "valid" and "validation" are the same.

        Raises:
            ManifestError: no video is of that split.
        """
        videos = tuple(video for video in self.videos if same_split(video.split, name))
        if not videos:
            found = ", ".join(self.splits) or "none"
            raise ManifestError(
                f"{self.source}: no video of the split {name!r}; splits found: {found}; give one of them"
            )
        return replace(self, videos=videos)

    def by_labelling(self) -> dict[str, "Manifest"]:
        """Return the same videos by each labelling, with its own classes and class ids; itself as "" if it has one."""
        if not self.labellings:
            return {"": self}
        parts, start = {}, 0
        for place, (column, count) in enumerate(self.labellings.items()):
            classes = tuple(name.removeprefix(f"{column}: ") for name in self.classes[start : start + count])
            videos = (replace(v, label=v.labels[place] - start, others=()) for v in self.videos)
            parts[column] = Manifest(tuple(videos), classes, self.source)
            start += count
        return parts

    def label_names(self) -> dict[str, list[str]]:
        """Return the label of every video by column: "label", or the name of each labelling."""
        return {
            column or "label": [part.classes[video.label] for video in part.videos]
            for column, part in self.by_labelling().items()
        }


def read_manifest(
    source: Path | str,
    *,
    split: str | None = None,
    classes: Sequence[str] | None = None,
    label_column: str = "label",
) -> Manifest:
    """Read labelled videos.

    Args:
        source: a folder of class folders, or a .csv or .parquet file.
        split: keep the videos of this split only; None keeps all, whatever a split column says.
        classes: class names in the order of their ids. By default those of `classes.txt` beside the videos if
            it lists all labels, else the labels found (in all splits), sorted; by number if all are whole
            numbers. Labels that are whole numbers and no names of the given classes are taken as ids.
        label_column: the column of a table that holds the labels. For a column "verb", `classes_verb.txt` stands
            before `classes.txt`. Several, as in "verb,noun", are labellings of their own.

    Raises:
        ManifestError: nothing there, no videos, a column missing, a label that is not among `classes`, an
            empty split, a span that is none (see `Video`).
    """
    source = Path(source)
    if "," in label_column:
        return _read_labellings(source, split=split, classes=classes, columns=label_column.split(","))
    if not source.exists():
        raise ManifestError(f"{source}: no such file or folder; give a folder of class folders, a .csv or a .parquet")
    rows = _read_folder(source) if source.is_dir() else read_table(source, label_column=label_column)
    found = {row.label for row in rows}
    names = _find_classes(source, label_column, found) if classes is None else tuple(classes)
    if len(set(names)) != len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise ManifestError(f"the class {twice!r} is listed twice among {len(names)} classes: list each once")
    ids = _ids_of(found, names)
    strange = [row.label for row in rows if row.label not in ids]
    if strange:
        raise ManifestError(
            f"{source}: the label {strange[0]!r} is not among the {len(names)} classes ({len(strange)} such "
            "rows); give classes that list all labels, or none"
        )
    videos = tuple(Video(row.path, ids[row.label], split=row.split, **row.place) for row in rows)
    manifest = Manifest(videos=videos, classes=names, source=source)
    return manifest if split is None else manifest.split(split)


def _read_labellings(
    source: Path, *, split: str | None, classes: Sequence[str] | None, columns: Sequence[str]
) -> Manifest:
    """Read a table by each of its columns, and lay their classes side by side."""
    parts: dict[str, Manifest] = {}
    for column in columns:
        own = [name.removeprefix(f"{column}: ") for name in classes or () if name.startswith(f"{column}: ")]
        given = None if classes is None else own
        parts[column] = read_manifest(source, split=split, classes=given, label_column=column)
    sizes = {column: len(part.classes) for column, part in parts.items()}
    starts = np.cumsum([*sizes.values()][:-1]).tolist()  # of the second labelling and of further ones
    videos = tuple(
        replace(first, others=tuple(video.label + start for video, start in zip(others, starts, strict=True)))
        for first, *others in zip(*(part.videos for part in parts.values()), strict=True)
    )
    names = tuple(f"{column}: {name}" for column, part in parts.items() for name in part.classes)
    return Manifest(videos, names, source, sizes)


def find_class_list(source: Path, label_column: str) -> Path:
    """Find where the classes of a manifest's column are listed: `classes_COLUMN.txt`, or else `classes.txt`."""
    folder = source if source.is_dir() else source.parent
    own = folder / f"classes_{label_column}.txt"
    return own if own.is_file() else folder / "classes.txt"


def read_classes(path: Path) -> tuple[str, ...]:
    """Read the class names of a file with one a line, in the order of their ids; none where there is no such file.

    Raises:
        ManifestError: it is no text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines() if path.is_file() else []
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: is no text in UTF-8 ({error.reason}); save it as such") from error
    return tuple(line.strip() for line in lines if line.strip())


def _read_folder(folder: Path) -> list[Row]:
    tables = [table.name for table in _visible(folder) if table.suffix == ".csv" and "path" in _first_line(table)]
    if tables:
        raise ManifestError(f"{folder}: holds the manifests {', '.join(tables)}; give the path of one of them")
    folders = [child for child in _visible(folder) if child.is_dir()]
    if folders and all(child.name.lower() in SPLITS for child in folders):
        return [replace(row, split=child.name) for child in folders for row in _read_classes(child)]
    return _read_classes(folder)


def _read_classes(folder: Path) -> list[Row]:
    rows = [
        Row(path=video, label=child.name)
        for child in _visible(folder)
        if child.is_dir()
        for video in _visible(child)
        if video.suffix.lower() in VIDEO_SUFFIXES or _holds_images(video)
    ]
    if not rows:
        raise ManifestError(f"{folder}: no video found; expected class/video.mp4, or train/class/video.mp4")
    return rows


def _holds_images(path: Path) -> bool:
    return path.is_dir() and any(child.suffix.lower() in IMAGE_SUFFIXES for child in path.iterdir())


def _visible(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if not child.name.startswith("."))


def _first_line(table: Path) -> list[str]:
    with table.open(encoding="utf-8", errors="replace") as file:
        return file.readline().strip().split(",")


def _find_classes(source: Path, label_column: str, found: set[str]) -> tuple[str, ...]:
    """Return the classes listed beside the videos if those are all labels found, else the labels, sorted."""
    class_list = find_class_list(source, label_column)
    listed = read_classes(class_list)
    # Numbers are ids in a list of their own column's classes, and not in one of another column's.
    is_own = label_column == "label" or class_list.name != "classes.txt"
    if found <= _ids_of(found if is_own else set(), listed).keys():
        return listed
    return tuple(sorted(found, key=int if all(map(_is_id, found)) else None))


def _ids_of(found: set[str], names: tuple[str, ...]) -> dict[str, int]:
    """Return the class id of each label: by name, or the number itself if all labels are numbers and none is a name."""
    if found and all(map(_is_id, found)) and not found & set(names):
        return {label: int(label) for label in found if int(label) < len(names)}
    return {name: place for place, name in enumerate(names)}


def _is_id(label: str) -> bool:
    return re.fullmatch(r"\d+", label) is not None


def same_split(split: str | None, other: str) -> bool:
    """Tell whether two names mean one split, as "val" and "validation" do; None is the name of none."""
    return split is not None and SPLITS.get(split.lower(), split) == SPLITS.get(other.lower(), other)


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Write a list of videos that `read_manifest` reads, with absolute paths and no column that nothing fills."""
    videos = manifest.videos
    renamed = {"start_frame": "first_frame", "end_frame": "span.stop_frame"}  # columns: attributes of Video
    columns: dict[str, list] = {
        "path": [str(video.path.resolve()) for video in videos],
        **manifest.label_names(),
        **{name: list(map(attrgetter(renamed.get(name, name)), videos)) for name in (*NUMBERS, "split")},
    }
    filled = {name: values for name, values in columns.items() if any(value is not None for value in values)}
    write_csv(path, list(filled), zip(*filled.values(), strict=True))


def hold_out(manifest: Manifest, *, fraction: float = 0.2, seed: int = 0) -> tuple[Manifest, Manifest]:
    """Split a manifest into (train, val): about `fraction` of each class's files for val, chosen by `seed`.

    Spans of one file stay together (the file counts for the class of its first span). A class of at least two
    files gives at least one to each part; the order of the videos is kept.
    """
    if not 0 < fraction < 1:
        raise ManifestError(f"fraction is {fraction} but must lie between 0 and 1: give for example 0.2")
    files: dict[int, list[tuple]] = {}
    for file, label in {video.file: video.label for video in reversed(manifest.videos)}.items():
        files.setdefault(label, []).append(file)
    held: set[tuple] = set()
    for label, found in files.items():
        count = min(max(1, round(fraction * len(found))), len(found) - 1)
        order = np.random.default_rng((seed, label)).permutation(len(found))
        found.sort(key=lambda file: (file[0], file[1] or 0))
        held.update(found[place] for place in order[:count])
    train, val = (tuple(v for v in manifest.videos if (v.file in held) is is_held) for is_held in (False, True))
    return replace(manifest, videos=train), replace(manifest, videos=val)


def keep_fraction(manifest: Manifest, *, fraction: float, seed: int = 0) -> Manifest:
    """Keep about `fraction` of each class's videos, at least one, in their order: for learning curves.

    Of one seed, a smaller fraction's videos are among those of every larger one.

    Raises:
        ManifestError: the fraction is not in (0, 1].
    """
    if not 0 < fraction <= 1:
        raise ManifestError(f"fraction is {fraction} but must lie in (0, 1]: give for example 0.25")
    kept: set[int] = set()
    for label in range(len(manifest.classes)):
        places = [place for place, video in enumerate(manifest.videos) if video.label == label]
        count = max(1, round(fraction * len(places)))
        kept.update(np.random.default_rng((seed, label)).permutation(places)[:count].tolist())
    return replace(manifest, videos=tuple(v for place, v in enumerate(manifest.videos) if place in kept))
