"""The index of a packed set: `index.parquet`, `classes.txt` (`classes_verb.txt` ...) and `failed.csv`.

One row a video, with the columns that `read_manifest` knows (path of the shard relative to the index, label, split,
byte_offset, num_bytes) and what they hold (total_frames, fps, width, height, key, source, label_id), the shard's size
and SHA-256 for copies of it elsewhere (shard_bytes, shard_sha256), and whatever else the manifest's table said.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa

from w3action.data.manifest import Manifest, read_classes
from w3action.data.manifest_table import open_table
from w3action.data.video import relative_name
from w3action.datasets.pack.shard_file import FinishedShard
from w3action.datasets.parquet_manifest import class_list_name, to_table, write_parquet
from w3action.files import write_csv

INDEX_FILE, FAILED_FILE = "index.parquet", "failed.csv"
VIDEO_COLUMNS = ("split", "byte_offset", "num_bytes", "total_frames", "fps", "width", "height", "key")
SHARD_COLUMNS = ("shard_bytes", "shard_sha256")
# Columns of a manifest that do not hold for what was packed from it: places and spans in the source.
_REPLACED = {
    *("path", "label", "label_id", "source", *VIDEO_COLUMNS, *SHARD_COLUMNS),
    *("start_seconds", "end_seconds", "start_s", "end_s", "start_frame", "end_frame", "first_frame", "num_frames"),
}


def write_index(folder: Path, manifest: Manifest, shards: Sequence[FinishedShard]) -> Path:
    """Write the three files, the index last; rows stand in the order of the manifest.

    A column of the manifest's table that the index does not have itself is carried over, with the list of its classes.
    """
    packed = sorted(((sample, shard) for shard in shards for sample in shard.samples), key=lambda pair: pair[0].row)
    names = manifest.label_names()
    rows = []
    for sample, shard in packed:
        video = manifest.videos[sample.row]
        own = {
            "path": shard.name,
            "label_id": video.label,
            "split": video.split,
            "source": relative_name(video.path, source=manifest.source),
            "shard_bytes": shard.num_bytes,
            "shard_sha256": shard.sha256,
        }
        rows.append({**{column: of_rows[sample.row] for column, of_rows in names.items()}, **vars(sample), **own})
    labels = [*names] if manifest.labellings else ["label", "label_id"]
    table = to_table(rows, ["path", *labels, *VIDEO_COLUMNS, "source", *SHARD_COLUMNS])

    class_lists = {column or "label": part.classes for column, part in manifest.by_labelling().items()}
    carried = open_table(manifest.source) if manifest.source.is_file() else pa.table({})
    for column in carried.column_names:
        is_own = column in names if manifest.labellings and column == "label" else column in {*_REPLACED, *names}
        if not is_own:
            table = table.append_column(column, carried[column].take(pa.array([sample.row for sample, _ in packed])))
            class_lists[column] = read_classes(manifest.source.parent / class_list_name(column))
    failed = sorted((row for shard in shards for row in shard.failed), key=lambda failed: failed.row)
    labels_of = [", ".join(of_video) for of_video in zip(*names.values(), strict=True)]
    lines = [(row.row + 1, manifest.videos[row.row].path, labels_of[row.row], row.kind, row.reason) for row in failed]
    write_failed(folder, lines)
    return write_parquet(folder / INDEX_FILE, table, class_lists=class_lists)


def write_failed(folder: Path, rows: Iterable[Sequence]) -> None:
    """Write `failed.csv`: row (from 1), path, label, kind, reason of what is not in the index."""
    write_csv(folder / FAILED_FILE, ("row", "path", "label", "kind", "reason"), rows)
