"""Functions on tensors that W3 spends its time in, each in one pass over the features, its small networks, and pixels.

Of each pass over features there are four forms that compute the same: the plain one, which defines it; one in C,
compiled for the CPU at its first use, and one of PyTorch's operators on pieces that stay in the cache, where there is
no compiler; and a Triton kernel, for GPUs. `dispatch.py` says which of them a call takes.
"""

from w3action.kernels.channel_network import channel_mask
from w3action.kernels.channel_pool import gated_channel_pool
from w3action.kernels.dispatch import Kernels, using
from w3action.kernels.frame_shift import shift_frames
from w3action.kernels.mask_product import apply_masks
from w3action.kernels.pixels import scale_pixels
from w3action.kernels.place_network import mask_over_time, place_mask
from w3action.kernels.plane_pool import pool_planes

__all__ = [
    "Kernels",
    "apply_masks",
    "channel_mask",
    "gated_channel_pool",
    "mask_over_time",
    "place_mask",
    "pool_planes",
    "scale_pixels",
    "shift_frames",
    "using",
]
