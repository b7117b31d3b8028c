"""Labelled videos from a folder, a CSV file or a Parquet file.

A folder holds `class/video.mp4`, or `train/class/video.mp4` and the like where all its sub-folders are named
after splits. A table has the columns path and label, and may have start_seconds, end_seconds and split;
others are ignored. Paths in it are relative to the table's folder. Whether a video exists is only seen when
it is decoded.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, parquet

VIDEO_SUFFIXES = {
    *(".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4"),
    *(".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".vob", ".webm", ".wmv"),
}
_SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_ALIASES = {"start_seconds": ("start_seconds", "start_s"), "end_seconds": ("end_seconds", "end_s")}


class ManifestError(ValueError):
    """A list of videos cannot be read: one line that says what was given, what is allowed and what to try."""


@dataclass(frozen=True)
class Video:
    """One labelled video, or one labelled span [start_seconds, end_seconds) of it; `label` is a class id."""

    path: Path
    label: int
    start_seconds: float | None = None
    end_seconds: float | None = None
    split: str | None = None


@dataclass(frozen=True)
class Manifest:
    """Labelled videos, the class names that their labels index, and where they were read."""

    videos: tuple[Video, ...]
    classes: tuple[str, ...]
    source: Path

    def __len__(self) -> int:
        return len(self.videos)

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, sorted; empty where the manifest names none."""
        return tuple(sorted({video.split for video in self.videos if video.split is not None}))

    def has_split(self, name: str) -> bool:
        """Whether videos are of a split; "val", "valid" and "validation" are the same."""
        return any(_same(found, name) for found in self.splits)

    def split(self, name: str) -> "Manifest":
        """The videos of one split; "val", "valid" and "validation" are the same.

        Raises:
            ManifestError: no video is of that split.
        """
        videos = tuple(video for video in self.videos if video.split is not None and _same(video.split, name))
        if not videos:
            found = ", ".join(self.splits) or "none"
            raise ManifestError(
                f"{self.source}: no video of the split {name!r}; splits found: {found}; give one of them"
            )
        return replace(self, videos=videos)


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
        label_column: the column of a table that holds the labels.

    Raises:
        ManifestError: nothing there, no videos, a column missing, a label that is not among `classes`, an
            empty split.
    """
    source = Path(source)
    if not source.exists():
        raise ManifestError(f"{source}: no such file or folder; give a folder of class folders, a .csv or a .parquet")
    rows = _read_folder(source) if source.is_dir() else _read_table(source, label_column=label_column)
    beside = (source if source.is_dir() else source.parent) / "classes.txt"
    listed = beside.read_text(encoding="utf-8").splitlines() if beside.is_file() else []
    names, labels = _resolve(
        rows,
        source=source,
        classes=classes,
        listed=tuple(line.strip() for line in listed if line.strip()),
        by_id=label_column == "label",
    )
    videos = tuple(
        Video(path=row.path, label=label, start_seconds=row.start, end_seconds=row.end, split=row.split)
        for row, label in zip(rows, labels, strict=True)
    )
    manifest = Manifest(videos=videos, classes=names, source=source)
    return manifest if split is None else manifest.split(split)


def hold_out(manifest: Manifest, *, fraction: float = 0.2, seed: int = 0) -> tuple[Manifest, Manifest]:
    """Part a manifest into (train, val): about `fraction` of each class's files for val, chosen by `seed`.

    Spans of one file stay together (the file counts for the class of its first span). A class of at least two
    files gives at least one to each part; the order of the videos is kept.
    """
    if not 0 < fraction < 1:
        raise ManifestError(f"fraction is {fraction} but must lie between 0 and 1: give for example 0.2")
    files: dict[int, list[Path]] = {}
    for path, label in {video.path: video.label for video in reversed(manifest.videos)}.items():
        files.setdefault(label, []).append(path)
    held: set[Path] = set()
    for label, paths in files.items():
        count = min(max(1, round(fraction * len(paths))), len(paths) - 1)
        order = np.random.default_rng((seed, label)).permutation(len(paths))
        held.update(sorted(paths)[place] for place in order[:count])
    parts = (
        [v for v in manifest.videos if v.path not in held],
        [v for v in manifest.videos if v.path in held],
    )
    train, val = (replace(manifest, videos=tuple(part)) for part in parts)
    return train, val


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


@dataclass(frozen=True)
class _Row:
    path: Path
    label: str
    start: float | None = None
    end: float | None = None
    split: str | None = None


def _read_folder(folder: Path) -> list[_Row]:
    tables = [table.name for table in _visible(folder) if table.suffix == ".csv" and "path" in _first_line(table)]
    if tables:
        raise ManifestError(f"{folder}: holds the manifests {', '.join(tables)}; give the path of one of them")
    folders = [child for child in _visible(folder) if child.is_dir()]
    if folders and all(child.name.lower() in _SPLITS for child in folders):
        return [replace(row, split=child.name) for child in folders for row in _read_classes(child)]
    return _read_classes(folder)


def _read_classes(folder: Path) -> list[_Row]:
    rows = [
        _Row(path=video, label=child.name)
        for child in _visible(folder)
        if child.is_dir()
        for video in _visible(child)
        if video.suffix.lower() in VIDEO_SUFFIXES
    ]
    if not rows:
        raise ManifestError(f"{folder}: no video found; expected class/video.mp4, or train/class/video.mp4")
    return rows


def _visible(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if not child.name.startswith("."))


def _first_line(table: Path) -> list[str]:
    with table.open(encoding="utf-8", errors="replace") as file:
        return file.readline().strip().split(",")


def _read_table(source: Path, *, label_column: str) -> list[_Row]:
    numbers = [name for names in _ALIASES.values() for name in names]
    kinds = {**dict.fromkeys(numbers, pa.float64()), "path": pa.string(), "split": pa.string()}
    kinds[label_column] = pa.string()
    try:
        if source.suffix == ".parquet":
            table = parquet.read_table(source)
        elif source.suffix == ".csv":
            table = csv.read_csv(source, convert_options=csv.ConvertOptions(column_types=kinds))
        else:
            raise ManifestError(f"{source}: no manifest; give a folder of class folders, a .csv or a .parquet")
        found = {name: pc.cast(table[name], kinds[name]).to_pylist() for name in table.column_names if name in kinds}
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ManifestError(f"{source}: cannot be read as {source.suffix[1:]}: {reason}") from error
    for name in ("path", label_column):
        if name not in found:
            raise ManifestError(
                f"{source}: no column {name!r}; columns found: {', '.join(table.column_names)}; wanted: "
                f"path, {label_column}[, start_seconds, end_seconds, split]"
            )
    if not table.num_rows:
        raise ManifestError(f"{source}: holds no rows; give at least one line of path,{label_column}")
    for number, row in enumerate(zip(found["path"], found[label_column], strict=True), start=1):
        if not all(row):
            raise ManifestError(f"{source}: row {number} has no path or no {label_column}; fill it in")
    empty = [None] * table.num_rows
    starts, ends = (next((found[name] for name in names if name in found), empty) for names in _ALIASES.values())
    columns = (found["path"], found[label_column], starts, ends, found.get("split", empty))
    return [
        _Row(path=source.parent / path, label=label, start=_known(start), end=_known(end), split=split or None)
        for path, label, start, end, split in zip(*columns, strict=True)
    ]


def _resolve(
    rows: Sequence[_Row],
    *,
    source: Path,
    classes: Sequence[str] | None,
    listed: tuple[str, ...],
    by_id: bool,
) -> tuple[tuple[str, ...], list[int]]:
    """Class names, and the class id of every row (listed: classes.txt; by_id: whether ids may index it)."""
    found = {row.label for row in rows}
    sorted_found = tuple(sorted(found, key=int if all(map(_is_id, found)) else None))
    if classes is not None:
        names = tuple(classes)
    else:
        ids = _labels_of(listed, found if by_id else set())
        names = listed if found <= ids.keys() else sorted_found
    if len(set(names)) != len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise ManifestError(f"the class {twice!r} is listed twice among {len(names)} classes: list each once")
    ids = _labels_of(names, found)
    strange = [row.label for row in rows if row.label not in ids]
    if strange:
        raise ManifestError(
            f"{source}: the label {strange[0]!r} is not among the {len(names)} classes ({len(strange)} such "
            "rows); give classes that list all labels, or none"
        )
    return names, [ids[row.label] for row in rows]


def _labels_of(names: tuple[str, ...], found: set[str]) -> dict[str, int]:
    """Class id of each label: by name, or the number itself if all labels are numbers and none is a name."""
    if found and all(map(_is_id, found)) and not found & set(names):
        return {label: int(label) for label in found if int(label) < len(names)}
    return {name: place for place, name in enumerate(names)}


def _known(seconds: float | None) -> float | None:
    return None if seconds is None or math.isnan(seconds) else seconds


def _is_id(label: str) -> bool:
    return re.fullmatch(r"\d+", label) is not None


def _same(split: str, other: str) -> bool:
    return _SPLITS.get(split.lower(), split) == _SPLITS.get(other.lower(), other)


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Write a list of videos that `read_manifest` reads, with absolute paths."""
    names = manifest.classes
    rows = [
        {
            "path": str(video.path.resolve()),
            "label": names[video.label],
            "start_seconds": video.start_seconds,
            "end_seconds": video.end_seconds,
            "split": video.split,
        }
        for video in manifest.videos
    ]
    table = pa.Table.from_pylist(rows)
    csv.write_csv(
        table.drop_columns([name for name in table.column_names if table[name].null_count == len(rows)]), path
    )
