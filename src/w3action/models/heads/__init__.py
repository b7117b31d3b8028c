"""Heads: feature maps -> class scores. To add one: a file here, and a line in `NETWORKS` that names it.

A head is built as `HEAD(in_channels, num_classes, dropout=..., initial_std=..., **options)`.
"""

from w3action.models.heads.feature_bank import FeatureBankHead
from w3action.models.heads.head import AverageHead, Head
from w3action.models.heads.recurrent import RecurrentHead
from w3action.models.heads.region_graph import RegionGraphHead
from w3action.models.heads.relation import RelationHead
from w3action.models.heads.rsttm import RSTTMHead

__all__ = ["AverageHead", "FeatureBankHead", "Head", "RSTTMHead", "RecurrentHead", "RegionGraphHead", "RelationHead"]
