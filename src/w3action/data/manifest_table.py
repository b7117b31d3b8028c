"""The rows of a table of videos, .csv or .parquet: its columns, as `w3action.data.manifest` describes them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, parquet

from w3action.data.video import ManifestError

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
class Row:
    """A video as it is listed."""

    path: Path
    label: str
    split: str | None = None
    place: dict[str, Any] = field(default_factory=dict)  # fields of Video that say which part of the file


def read_further_columns(source: Path) -> list[dict[str, str]]:
    """Read what each row says beyond `label` and what is read as a video's place, as texts; empty cells are left out.

    Raises:
        ManifestError: it cannot be read.
    """
    known = {"path", "label", "label_id", "split", "total_frames"}
    known |= {name for names, _ in _NUMBERS.values() for name in names}
    first = open_table(source)
    names = [
        field.name
        for field in first.schema
        if field.name and field.name not in known and _is_text(field.type) and first.column_names.count(field.name) == 1
    ]
    table = open_table(source, dict.fromkeys(names, pa.string()))
    columns = [pc.cast(table[name], pa.string()).to_pylist() for name in names]
    return [
        {name: text for name, text in zip(names, row, strict=True) if text}
        for row in (zip(*columns, strict=True) if names else [()] * table.num_rows)
    ]


def _is_text(kind: pa.DataType) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_floating)
    return any(test(kind) for test in (*tests, pa.types.is_boolean, pa.types.is_null, pa.types.is_dictionary))


def open_table(source: Path, kinds: Mapping[str, pa.DataType] | None = None) -> pa.Table:
    """Read a table, columns of a .csv as the given types.

    Raises:
        ManifestError: it is no table.
    """
    try:
        if source.suffix == ".parquet":
            return parquet.read_table(source)
        if source.suffix == ".csv":
            return csv.read_csv(source, convert_options=csv.ConvertOptions(column_types=kinds))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _unreadable(source, error) from error
    raise ManifestError(f"{source}: no manifest; give a folder of class folders, a .csv or a .parquet")


def _unreadable(source: Path, error: Exception) -> ManifestError:
    reason = " ".join(str(error).split())
    return ManifestError(f"{source}: cannot be read as {source.suffix[1:]}: {reason}; save it again")


def read_table(source: Path, *, label_column: str) -> list[Row]:
    """Read the rows of a table, labelled by one of its columns.

    Raises:
        ManifestError: it cannot be read, a column is missing, it has no rows, or one has no path or no label.
    """
    kinds = {name: kind for names, kind in _NUMBERS.values() for name in names}
    kinds |= {"path": pa.string(), "split": pa.string(), label_column: pa.string()}
    table = open_table(source, kinds)
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
        rows.append(Row(path=source.parent / path, label=label, split=split or None, place=place))
    return rows


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> list:
    if pa.types.is_floating(column.type):  # tables written by pandas say NaN for nothing
        values = [None if value is None or math.isnan(value) else value for value in column.to_pylist()]
        return pc.cast(pa.array(values, column.type), kind).to_pylist()
    return pc.cast(column, kind).to_pylist()


def _place_of(values: dict[str, Any]) -> dict[str, Any]:
    """Return fields of `Video` from the numbers of a row."""
    first, end = values.pop("start_frame"), values.pop("end_frame")
    place = {name: value for name, value in values.items() if value is not None}
    if first is not None:
        place["first_frame"] = first
    if end is not None:
        place["num_frames"] = end - (first or 0)
    return place
