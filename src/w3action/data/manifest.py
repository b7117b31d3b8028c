"""Labelled videos from a folder, a CSV file or a Parquet file.

A folder holds `class/video.mp4`, or `train/class/video.mp4` and the like where all its sub-folders are named after
splits. A folder of numbered images stands for a video anywhere. A table has the columns path and label, and may have
split; fps, the rate of folders of images; start_seconds, end_seconds or start_frame, end_frame (from 0, the end is not
part of it) where a row is a span of its video; byte_offset, num_bytes where the video lies inside an uncompressed tar.
Others are ignored: lists often say in `first_frame` or `num_frames` from where a clip was cut, so those never make a
span. Paths are relative to the table's folder. Whether a video exists is only seen when it is decoded.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, parquet

from w3action.data.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES, ManifestError, Video

SPLITS = {  # what they are called: their name here
    "train": "train",
    "training": "train",
    "test": "test",
    "val": "val",
    "valid": "val",
    "validation": "val",
}
_NUMBERS = {  # columns: by which names, of which type
    "start_seconds": (("start_seconds", "start_s"), pa.float64()),
    "end_seconds": (("end_seconds", "end_s"), pa.float64()),
    "start_frame": (("start_frame",), pa.int64()),
    "end_frame": (("end_frame",), pa.int64()),
    "byte_offset": (("byte_offset",), pa.int64()),
    "num_bytes": (("num_bytes",), pa.int64()),
    "fps": (("fps",), pa.float64()),
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

    def by_labelling(self) -> dict[str, "Manifest"]:
        """The same videos once by each labelling, with its own classes and class ids; itself as "" if it has one."""
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
        """The label of every video by column: "label", or the name of each labelling."""
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
    rows = _read_folder(source) if source.is_dir() else _read_table(source, label_column=label_column)
    class_list = find_class_list(source, label_column)
    names, labels = _resolve(
        rows,
        source=source,
        classes=classes,
        listed=read_classes(class_list),
        by_id=label_column == "label" or class_list.name != "classes.txt",
    )
    videos = tuple(
        Video(path=row.path, label=label, split=row.split, **row.place) for row, label in zip(rows, labels, strict=True)
    )
    manifest = Manifest(videos=videos, classes=names, source=source)
    return manifest if split is None else manifest.split(split)


def _read_labellings(
    source: Path, *, split: str | None, classes: Sequence[str] | None, columns: Sequence[str]
) -> Manifest:
    """Read a table by each of its columns, and lay their classes side by side."""
    parts: list[Manifest] = []
    for column in columns:
        own = [name.removeprefix(f"{column}: ") for name in classes or () if name.startswith(f"{column}: ")]
        given = None if classes is None else own
        parts.append(read_manifest(source, split=split, classes=given, label_column=column))
    offsets = np.cumsum([0, *(len(part.classes) for part in parts)]).tolist()
    videos = tuple(
        replace(same[0], others=tuple(v.label + offset for v, offset in zip(same[1:], offsets[1:-1], strict=True)))
        for same in zip(*(part.videos for part in parts), strict=True)
    )
    return Manifest(
        videos,
        tuple(f"{column}: {name}" for column, part in zip(columns, parts, strict=True) for name in part.classes),
        source,
        {column: len(part.classes) for column, part in zip(columns, parts, strict=True)},
    )


def find_class_list(source: Path, label_column: str) -> Path:
    """Where the classes of a manifest's column are listed, if they are: `classes_COLUMN.txt`, or else `classes.txt`."""
    folder = source if source.is_dir() else source.parent
    own = folder / f"classes_{label_column}.txt"
    return own if own.is_file() else folder / "classes.txt"


def read_classes(path: Path) -> tuple[str, ...]:
    """Class names of a file with one a line, in the order of their ids; none where there is no such file.

    Raises:
        ManifestError: it is no text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines() if path.is_file() else []
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: is no text in UTF-8 ({error.reason}); save it as such") from error
    return tuple(line.strip() for line in lines if line.strip())


@dataclass(frozen=True)
class _Row:
    path: Path
    label: str
    split: str | None = None
    place: dict[str, Any] = field(default_factory=dict)  # fields of Video that say which part of the file


def _read_folder(folder: Path) -> list[_Row]:
    tables = [table.name for table in _visible(folder) if table.suffix == ".csv" and "path" in _first_line(table)]
    if tables:
        raise ManifestError(f"{folder}: holds the manifests {', '.join(tables)}; give the path of one of them")
    folders = [child for child in _visible(folder) if child.is_dir()]
    if folders and all(child.name.lower() in SPLITS for child in folders):
        return [replace(row, split=child.name) for child in folders for row in _read_classes(child)]
    return _read_classes(folder)


def _read_classes(folder: Path) -> list[_Row]:
    rows = [
        _Row(path=video, label=child.name)
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


def read_further_columns(source: Path, *, split: str | None = None) -> list[dict[str, str]]:
    """What a table's rows say beyond `label` and what is read as a video's place, as texts; empty cells are left out.

    The rows are those of `read_manifest` with the same split, in its order.

    Raises:
        ManifestError: it cannot be read.
    """
    known = {
        "path",
        "label",
        "label_id",
        "split",
        "total_frames",
        *(name for names, _ in _NUMBERS.values() for name in names),
    }
    names = [name for name in _open_table(source, {}).column_names if name not in known]
    table = _open_table(source, dict.fromkeys((*names, "split"), pa.string()))
    columns = [pc.cast(table[name], pa.string()).to_pylist() for name in names]
    rows = [{name: text for name, text in zip(names, row, strict=True) if text} for row in zip(*columns, strict=True)]
    if split is None or not rows:
        return rows
    return [row for row, own in zip(rows, table["split"].to_pylist(), strict=True) if own == split]


def _open_table(source: Path, kinds: Mapping[str, pa.DataType]) -> pa.Table:
    """Read a table, columns of a .csv as the given types.

    Raises:
        ManifestError: it is no table.
    """
    try:
        if source.suffix == ".parquet":
            return parquet.read_table(source)
        if source.suffix == ".csv":
            return csv.read_csv(source, convert_options=csv.ConvertOptions(column_types=dict(kinds)))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _unreadable(source, error) from error
    raise ManifestError(f"{source}: no manifest; give a folder of class folders, a .csv or a .parquet")


def _unreadable(source: Path, error: Exception) -> ManifestError:
    reason = " ".join(str(error).split())
    return ManifestError(f"{source}: cannot be read as {source.suffix[1:]}: {reason}; save it again")


def _read_table(source: Path, *, label_column: str) -> list[_Row]:
    kinds = {name: kind for names, kind in _NUMBERS.values() for name in names}
    kinds |= {"path": pa.string(), "split": pa.string(), label_column: pa.string()}
    table = _open_table(source, kinds)
    try:
        found = {name: _cast(table[name], kinds[name]) for name in table.column_names if name in kinds}
    except pa.ArrowException as error:
        raise _unreadable(source, error) from error
    for name in ("path", label_column):
        if name not in found:
            raise ManifestError(
                f"{source}: no column {name!r}; columns found: {', '.join(table.column_names)}; wanted: "
                f"path, {label_column}[, split, start_seconds, end_seconds, start_frame, end_frame]"
            )
    if not table.num_rows:
        raise ManifestError(f"{source}: holds no rows; give at least one line of path,{label_column}")
    empty = [None] * table.num_rows
    numbers = [next((found[name] for name in names if name in found), empty) for names, _ in _NUMBERS.values()]
    columns = (found["path"], found[label_column], found.get("split", empty), zip(*numbers, strict=True))
    rows = []
    for number, (path, label, split, values) in enumerate(zip(*columns, strict=True), start=1):
        if not path or not label:
            raise ManifestError(f"{source}: row {number} has no path or no {label_column}; fill it in")
        place = _place_of(dict(zip(_NUMBERS, values, strict=True)))
        rows.append(_Row(path=source.parent / path, label=label, split=split or None, place=place))
    return rows


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> list:
    if pa.types.is_floating(column.type):  # tables written by pandas say NaN for nothing
        values = [None if value is None or math.isnan(value) else value for value in column.to_pylist()]
        return pc.cast(pa.array(values, column.type), kind).to_pylist()
    return pc.cast(column, kind).to_pylist()


def _place_of(values: dict[str, Any]) -> dict[str, Any]:
    """Fields of `Video` from the numbers of a row."""
    first, end = values.pop("start_frame"), values.pop("end_frame")
    place = {name: value for name, value in values.items() if value is not None}
    if first is not None:
        place["first_frame"] = first
    if end is not None:
        place["num_frames"] = end - (first or 0)
    return place


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


def _is_id(label: str) -> bool:
    return re.fullmatch(r"\d+", label) is not None


def _same(split: str, other: str) -> bool:
    return SPLITS.get(split.lower(), split) == SPLITS.get(other.lower(), other)


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Write a list of videos that `read_manifest` reads, with absolute paths."""
    columns = manifest.label_names()
    rows = [
        {
            "path": str(video.path.resolve()),
            **{column: labels[row] for column, labels in columns.items()},
            "start_seconds": video.start_seconds,
            "end_seconds": video.end_seconds,
            "start_frame": video.first_frame,
            "end_frame": video.span.stop_frame,
            "byte_offset": video.byte_offset,
            "num_bytes": video.num_bytes,
            "fps": video.fps,
            "split": video.split,
        }
        for row, video in enumerate(manifest.videos)
    ]
    table = pa.Table.from_pylist(rows)
    csv.write_csv(
        table.drop_columns([name for name in table.column_names if table[name].null_count == len(rows)]), path
    )
