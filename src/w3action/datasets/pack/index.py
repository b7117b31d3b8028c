"""The index of a packed set: `index.parquet`, `classes.txt` (`classes_verb.txt` ...) and `failed.csv`.

One row a video, with the columns that `read_manifest` knows (path of the shard relative to the index, label, split,
byte_offset, num_bytes) and what they hold (total_frames, fps, width, height, key, source, label_id), the shard's size
and SHA-256 for copies of it elsewhere (shard_bytes, shard_sha256), and whatever else the manifest's table said.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
from pyarrow import parquet

from w3action.data.manifest import Manifest, read_classes
from w3action.data.mirror import CLASS_LISTS_KEY
from w3action.data.video import relative_name
from w3action.datasets.pack.shard_file import FinishedShard
from w3action.files import whole_file, write_lines, write_text

# Columns of a manifest that do not hold for what was packed from it: places and spans in the source.
_REPLACED = {
    *("path", "label", "label_id", "split", "byte_offset", "num_bytes", "total_frames", "fps", "width", "height"),
    *("start_seconds", "end_seconds", "start_s", "end_s", "start_frame", "end_frame", "first_frame", "num_frames"),
    *("key", "source", "shard_bytes", "shard_sha256"),
}


def write_index(folder: Path, manifest: Manifest, shards: Sequence[FinishedShard]) -> Path:
    """Write the three files, the index last; rows stand in the order of the manifest.

    A column of the manifest's table that the index does not have itself is carried over, with the list of its classes.
    """
    packed = sorted(((sample, shard) for shard in shards for sample in shard.samples), key=lambda pair: pair[0].row)
    videos = [manifest.videos[sample.row] for sample, _ in packed]
    parts = {column or "label": part for column, part in manifest.by_labelling().items()}
    names = manifest.label_names()
    columns = {"path": pa.array([shard.name for _, shard in packed], pa.string())}
    for column in parts:
        columns[column] = pa.array([names[column][sample.row] for sample, _ in packed], pa.string())
    if not manifest.labellings:
        columns["label_id"] = pa.array([video.label for video in videos], pa.int64())
    sources = [relative_name(video.path, source=manifest.source) for video in videos]
    columns |= {
        "split": pa.array([video.split for video in videos], pa.string()),
        "byte_offset": pa.array([sample.byte_offset for sample, _ in packed], pa.int64()),
        "num_bytes": pa.array([sample.num_bytes for sample, _ in packed], pa.int64()),
        "total_frames": pa.array([sample.total_frames for sample, _ in packed], pa.int64()),
        "fps": pa.array([sample.fps for sample, _ in packed], pa.float64()),
        "width": pa.array([sample.width for sample, _ in packed], pa.int64()),
        "height": pa.array([sample.height for sample, _ in packed], pa.int64()),
        "key": pa.array([sample.key for sample, _ in packed], pa.string()),
        "source": pa.array(sources, pa.string()),
        "shard_bytes": pa.array([shard.num_bytes for _, shard in packed], pa.int64()),
        "shard_sha256": pa.array([shard.sha256 for _, shard in packed], pa.string()),
    }
    class_lists = {_list_of(column): part.classes for column, part in parts.items()}
    carried = read_columns(manifest)
    rows = pa.array([sample.row for sample, _ in packed], pa.int64())
    for name in carried.column_names if carried is not None else ():
        is_own = name in columns if manifest.labellings and name == "label" else name in _REPLACED or name in columns
        if carried is not None and not is_own:
            columns[name] = carried[name].take(rows)
            listed = read_classes(manifest.source.parent / _list_of(name))
            if listed:
                class_lists[_list_of(name)] = listed
    failed = sorted((row for shard in shards for row in shard.failed), key=lambda failed: failed.row)
    lines = []
    for row in failed:
        label = ", ".join(labels[row.row] for labels in names.values())
        lines.append((row.row + 1, manifest.videos[row.row].path, label, row.kind, row.reason))
    write_failed(folder, lines)
    return write_table(folder, pa.table(columns), class_lists=class_lists)


def _list_of(column: str) -> str:
    return "classes.txt" if column == "label" else f"classes_{column}.txt"


def write_table(folder: Path, table: pa.Table, *, class_lists: Mapping[str, Sequence[str]]) -> Path:
    """Write the lists of classes, by their names, then `index.parquet`, which names them for copies elsewhere."""
    for name, classes in class_lists.items():
        write_lines(folder / name, classes)
    named = {CLASS_LISTS_KEY: json.dumps(list(class_lists))}
    with whole_file(folder / "index.parquet") as part:
        parquet.write_table(table.replace_schema_metadata({**(table.schema.metadata or {}), **named}), part)
    return folder / "index.parquet"


def read_columns(manifest: Manifest) -> pa.Table | None:
    """The table that a manifest was read from, None for a folder of classes."""
    if manifest.source.suffix == ".parquet":
        return parquet.read_table(manifest.source)
    if manifest.source.suffix == ".csv":
        return pa_csv.read_csv(manifest.source)
    return None


def write_failed(folder: Path, lines: Sequence[Sequence]) -> None:
    """Write `failed.csv`: row (from 1), path, label, kind, reason of what is not in the index."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("row", "path", "label", "kind", "reason"))
    writer.writerows(lines)
    write_text(folder / "failed.csv", text.getvalue())
