"""The rows of a table of videos, .csv or .parquet: its columns, as `w3action.data.manifest` describes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, parquet

from w3action.data.video import ManifestError

NUMBERS = {  # columns that say which part of a file a video is: by which names, of which type
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
    known |= {name for names, _ in NUMBERS.values() for name in names}
    first = open_table(source)
    names = [
        field.name
        for field in first.schema
        if field.name and field.name not in known and _is_text(field.type) and first.column_names.count(field.name) == 1
    ]
    table = open_table(source, dict.fromkeys(names, pa.string())).select(names)
    texts = pa.schema([(name, pa.string()) for name in names])
    rows = table.cast(texts).to_pylist() if names else [{}] * table.num_rows
    return [{name: text for name, text in row.items() if text} for row in rows]


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
    kinds = {name: kind for names, kind in NUMBERS.values() for name in names}
    kinds |= {"path": pa.string(), "split": pa.string(), label_column: pa.string()}
    table = open_table(source, kinds)
    try:
        found = pa.table({name: _cast(table[name], kinds[name]) for name in table.column_names if name in kinds})
    except pa.ArrowException as error:
        raise _unreadable(source, error) from error
    for name in ("path", label_column):
        if name not in found.column_names:
            raise ManifestError(
                f"{source}: no column {name!r}; columns found: {', '.join(table.column_names)}; wanted: "
                f"path, {label_column}[, split, start_seconds, end_seconds, start_frame, end_frame]"
            )
    if not table.num_rows:
        raise ManifestError(f"{source}: holds no rows; give at least one line of path,{label_column}")
    rows = []
    for number, row in enumerate(found.to_pylist(), start=1):
        path, label = row["path"], row[label_column]
        if not path or not label:
            raise ManifestError(f"{source}: row {number} has no path or no {label_column}; fill it in")
        rows.append(Row(source.parent / path, label, split=row.get("split") or None, place=_place_of(row)))
    return rows


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.Array | pa.ChunkedArray:
    if pa.types.is_floating(column.type):  # tables written by pandas say NaN for nothing
        return pc.cast(pa.array(column.to_numpy(), column.type, from_pandas=True), kind)
    return pc.cast(column, kind)


def _place_of(row: dict[str, Any]) -> dict[str, Any]:
    """Return fields of `Video` from the columns of a row; of two names of one column the first counts."""
    place = {field: next((row[name] for name in names if name in row), None) for field, (names, _) in NUMBERS.items()}
    first, end = place.pop("start_frame"), place.pop("end_frame")
    place |= {"first_frame": first, "num_frames": None if end is None else end - (first or 0)}
    return {field: value for field, value in place.items() if value is not None}
