"""Labelled videos packed for fast random access: short groups of pictures, in tar shards, with an index.

`pack_manifest` writes `DIR/index.parquet`, a manifest like any other whose rows point into the shards beside it;
`index_shards` makes such an index for WebDataset shards of others. The shards are plain WebDataset: per sample
`KEY.mp4` and `KEY.json`.
"""

from w3action.datasets.pack.foreign_shards import index_shards
from w3action.datasets.pack.options import PackOptions
from w3action.datasets.pack.packing import PackReport, pack_manifest

__all__ = ["PackOptions", "PackReport", "index_shards", "pack_manifest"]
