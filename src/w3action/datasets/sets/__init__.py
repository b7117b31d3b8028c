"""Data sets and lists of others, made into manifests: `prepare(name, root, out)` of one in `SETS`."""

from w3action.datasets.sets.listed_videos import ListedVideo, Listing
from w3action.datasets.sets.prepare import SETS, Prepared, prepare, write_listing

__all__ = ["SETS", "ListedVideo", "Listing", "Prepared", "prepare", "write_listing"]
