"""Data sets and lists of others, made into manifests: `prepare(name, root, out)` of one in `SETS`."""

from w3action.datasets.sets.listing import Entry, Listing
from w3action.datasets.sets.prepare import SETS, Prepared, prepare
from w3action.datasets.sets.write import write_parquet

__all__ = ["SETS", "Entry", "Listing", "Prepared", "prepare", "write_parquet"]
