"""Heads by name: feature maps -> class scores. To add one: a file here, a line in `HEADS`.

A builder is called as `builder(in_channels, num_classes, dropout=..., initial_std=..., **options)`.
"""

from collections.abc import Callable

from w3action.models.heads.average import AverageHead
from w3action.models.heads.head import Head

HEADS: dict[str, Callable[..., Head]] = {
    "average": AverageHead,
}

__all__ = ["HEADS", "AverageHead", "Head"]
