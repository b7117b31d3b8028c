"""The index of a packed set: `index.parquet`, `classes.txt` and `failed.csv`.

One row a video, with the columns that `read_manifest` knows (path of the shard relative to the index, label, split,
byte_offset, num_bytes) and what they hold (total_frames, fps, width, height, key, source, label_id), the shard's size
and SHA-256 for copies of it elsewhere (shard_bytes, shard_sha256), and whatever else the manifest's table said.
"""

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
from pyarrow import parquet

from w3action.data.manifest import Manifest
from w3action.data.pack.options import name_of_source
from w3action.data.pack.shard_file import FinishedShard, write_text

# Columns of a manifest that do not hold for what was packed from it: places and spans in the source.
_REPLACED = {
    *("path", "label", "label_id", "split", "byte_offset", "num_bytes", "total_frames", "fps", "width", "height"),
    *("start_seconds", "end_seconds", "start_s", "end_s", "start_frame", "end_frame", "first_frame", "num_frames"),
    *("key", "source", "shard_bytes", "shard_sha256"),
}


def write_index(folder: Path, manifest: Manifest, shards: Sequence[FinishedShard]) -> Path:
    """Write the three files, the index last; rows stand in the order of the manifest.

    A column of the manifest's table that the index does not have itself is carried over.
    """
    packed = sorted(((sample, shard) for shard in shards for sample in shard.samples), key=lambda pair: pair[0].row)
    videos = [manifest.videos[sample.row] for sample, _ in packed]
    table = pa.table(
        {
            "path": pa.array([shard.name for _, shard in packed], pa.string()),
            "label": pa.array([manifest.classes[video.label] for video in videos], pa.string()),
            "label_id": pa.array([video.label for video in videos], pa.int64()),
            "split": pa.array([video.split for video in videos], pa.string()),
            "byte_offset": pa.array([sample.byte_offset for sample, _ in packed], pa.int64()),
            "num_bytes": pa.array([sample.num_bytes for sample, _ in packed], pa.int64()),
            "total_frames": pa.array([sample.total_frames for sample, _ in packed], pa.int64()),
            "fps": pa.array([sample.fps for sample, _ in packed], pa.float64()),
            "width": pa.array([sample.width for sample, _ in packed], pa.int64()),
            "height": pa.array([sample.height for sample, _ in packed], pa.int64()),
            "key": pa.array([sample.key for sample, _ in packed], pa.string()),
            "source": pa.array([name_of_source(video, manifest) for video in videos], pa.string()),
            "shard_bytes": pa.array([shard.num_bytes for _, shard in packed], pa.int64()),
            "shard_sha256": pa.array([shard.sha256 for _, shard in packed], pa.string()),
        }
    )
    source = read_columns(manifest)
    rows = pa.array([sample.row for sample, _ in packed], pa.int64())
    if source is not None:
        for name in source.column_names:
            if name not in _REPLACED:
                table = table.append_column(name, source[name].take(rows))
    failed = sorted((row for shard in shards for row in shard.failed), key=lambda failed: failed.row)
    lines = []
    for row in failed:
        video = manifest.videos[row.row]
        lines.append((row.row + 1, video.path, manifest.classes[video.label], row.kind, row.reason))
    write_failed(folder, lines)
    return write_table(folder, table, classes=manifest.classes)


def write_table(folder: Path, table: pa.Table, *, classes: Sequence[str]) -> Path:
    """Write `classes.txt`, then `index.parquet`; both appear whole or not at all."""
    write_text(folder / "classes.txt", "".join(f"{name}\n" for name in classes))
    index, part = folder / "index.parquet", folder / "index.parquet.part"
    parquet.write_table(table, part)
    os.replace(part, index)
    return index


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
