"""Layers of the same shape in and out: `(B, C, T, H, W)` tensors, one idea per file."""

from w3action.layers.attended import Attended, Masks
from w3action.layers.cbam import CBAM
from w3action.layers.non_local import NonLocal
from w3action.layers.refinement import AttentionGuidedRefinement
from w3action.layers.squeeze_excite import SqueezeExcite
from w3action.layers.temporal_aggregation import TemporalAggregation
from w3action.layers.temporal_shift import PastShift, TemporalShift, past_shift, temporal_shift
from w3action.layers.w3 import W3

__all__ = [
    "CBAM",
    "W3",
    "Attended",
    "AttentionGuidedRefinement",
    "Masks",
    "NonLocal",
    "PastShift",
    "SqueezeExcite",
    "TemporalAggregation",
    "TemporalShift",
    "past_shift",
    "temporal_shift",
]
