"""Heads by name: feature maps -> class scores. To add one: a file here, a line in `HEADS`.

A builder is called as `builder(in_channels, num_classes, dropout=..., initial_std=..., **options)`.
"""

from collections.abc import Callable

from w3action.models.heads.average import AverageHead
from w3action.models.heads.feature_bank import FeatureBankHead
from w3action.models.heads.head import Head
from w3action.models.heads.recurrent import RecurrentHead
from w3action.models.heads.region_graph import RegionGraphHead
from w3action.models.heads.relation import RelationHead
from w3action.models.heads.rsttm import RSTTMHead

HEADS: dict[str, Callable[..., Head]] = {
    "average": AverageHead,
    "relation": RelationHead,
    "recurrent": RecurrentHead,
    "rsttm": RSTTMHead,
    "feature_bank": FeatureBankHead,
    "region_graph": RegionGraphHead,
}

__all__ = [
    "HEADS",
    "AverageHead",
    "FeatureBankHead",
    "Head",
    "RSTTMHead",
    "RecurrentHead",
    "RegionGraphHead",
    "RelationHead",
]
