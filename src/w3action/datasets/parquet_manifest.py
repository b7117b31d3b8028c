"""Write a manifest as Parquet with the lists of its classes beside it: of a data set, of packed videos.

`read_manifest` reads it. The lists are `classes.txt` of the column label and `classes_verb.txt` of a column verb. The
file's metadata names them, so that a copy elsewhere fetches them too (see `data/mirror.py`).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from w3action.data.mirror import CLASS_LISTS_KEY
from w3action.files import whole_file, write_lines

_FLOATS = ("start_seconds", "end_seconds", "fps")
_INTEGERS = ("label_id", "start_frame", "end_frame", "total_frames", "byte_offset", "num_bytes", "width", "height")
_KINDS = {**dict.fromkeys(_FLOATS, pa.float64()), **dict.fromkeys((*_INTEGERS, "shard_bytes"), pa.int64())}  # else text


def class_list_name(column: str) -> str:
    """Return the name of the file that lists the classes of a column; "" stands for "label"."""
    return "classes.txt" if column in ("", "label") else f"classes_{column}.txt"


def write_class_lists(folder: Path, class_lists: Mapping[str, Sequence[str]]) -> list[str]:
    """Write the class names of each column, one a line in the order of their ids; return the files' names."""
    named = {class_list_name(column): names for column, names in class_lists.items() if names}
    for name, classes in named.items():
        write_lines(folder / name, classes)
    return list(named)


def to_table(rows: Iterable[Mapping[str, object]], columns: Iterable[str]) -> pa.Table:
    """Make a table of these columns of the rows; what a row does not say is null."""
    return pa.Table.from_pylist(list(rows), pa.schema([(name, _KINDS.get(name, pa.string())) for name in columns]))


def write_parquet(path: Path, table: pa.Table, *, class_lists: Mapping[str, Sequence[str]]) -> Path:
    """Write the class lists by column, then the table, which without them means something else; return its path.

    Raises:
        OSError: as for `whole_file`.
    """
    names = write_class_lists(path.parent, class_lists)
    with whole_file(path) as part:
        parquet.write_table(table.replace_schema_metadata({CLASS_LISTS_KEY: json.dumps(names)}), part)
    return path
