"""A listing as a Parquet manifest that `read_manifest` reads, with `classes.txt` (`classes_verb.txt` ...) beside it.

Columns: path, label, label_id, split, start_seconds, end_seconds, start_frame, end_frame, fps, total_frames and the
listing's own, each only where an entry has it. Paths below the manifest's folder are relative to it, so that both can
be moved together; others are absolute.
"""

import os
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from w3action.data.manifest import read_classes
from w3action.data.video import ManifestError
from w3action.datasets.sets.listing import Entry, Listing
from w3action.files import whole_file, write_lines

_COLUMNS = {
    "path": pa.string(),
    "label": pa.string(),
    "label_id": pa.int64(),
    "split": pa.string(),
    "start_seconds": pa.float64(),
    "end_seconds": pa.float64(),
    "start_frame": pa.int64(),
    "end_frame": pa.int64(),
    "fps": pa.float64(),
    "total_frames": pa.int64(),
}


def write_parquet(listing: Listing, out: Path) -> None:
    """Write a manifest.

    Args:
        listing: at least one entry.
        out: a path that ends in .parquet; its folder is made.

    Raises:
        ManifestError: another suffix, no entries, or a class list of other classes lies beside.
    """
    if out.suffix != ".parquet":
        raise ManifestError(f"{out}: manifests are written as Parquet; give a path that ends in .parquet")
    if not listing.entries:
        raise ManifestError(f"{out}: there is not one video to list; check the root")
    names = {"": listing.classes, **{f"_{column}": found for column, found in listing.more_classes.items()}}
    lists = {out.parent / f"classes{suffix}.txt": found for suffix, found in names.items() if found}
    for path, found in lists.items():
        if path.exists() and read_classes(path) != tuple(found):
            raise ManifestError(
                f"{path}: lists other classes, which another manifest there may need; write to another folder"
            )
    out.parent.mkdir(parents=True, exist_ok=True)
    ids = {name: place for place, name in enumerate(listing.classes)}
    folder = Path(os.path.abspath(out.parent))
    rows = [_row(entry, ids=ids, folder=folder) for entry in listing.entries]
    more = sorted({name for entry in listing.entries for name in entry.more}, key=_order_of(listing))
    schema = pa.schema([*_COLUMNS.items(), *((name, pa.string()) for name in more)])
    table = pa.Table.from_pylist(rows, schema=schema)
    empty = [name for name in table.column_names if table[name].null_count == len(rows)]
    for path, found in lists.items():  # before the manifest, which means something else without them
        write_lines(path, found)
    with whole_file(out) as part:
        parquet.write_table(table.drop_columns(empty), part)


def _row(entry: Entry, *, ids: dict[str, int], folder: Path) -> dict[str, object]:
    path = Path(os.path.abspath(entry.path))
    end = None if entry.num_frames is None else (entry.first_frame or 0) + entry.num_frames
    return {
        "path": str(path.relative_to(folder) if path.is_relative_to(folder) else path),
        "label": entry.label,
        "label_id": None if entry.label is None else ids[entry.label],
        "split": entry.split,
        "start_seconds": entry.start_seconds,
        "end_seconds": entry.end_seconds,
        "start_frame": entry.first_frame,
        "end_frame": end,
        "fps": entry.fps,
        "total_frames": entry.total_frames,
        **entry.more,
    }


def _order_of(listing: Listing):
    """Label columns first, as the listing orders them; then the others by name."""
    first = list(listing.more_classes)
    return lambda name: (first.index(name) if name in first else len(first), name)
