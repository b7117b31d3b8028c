"""Functions on tensors that W3 spends its time in, each in one pass over the features, its small networks, and pixels.

Each pass has up to three forms that compute the same: the plain one of PyTorch's own operators, which defines it; the
native one, in C for the CPU; and the Triton one, for GPUs. `dispatch.py` says which of them a call takes.
"""

from w3action.kernels.dispatch import Kernels, using
from w3action.kernels.frame_shift import shift_frames
from w3action.kernels.mask_networks import channel_mask, mask_over_time, place_mask
from w3action.kernels.mask_product import apply_masks
from w3action.kernels.pixels import scale_pixels
from w3action.kernels.pooling import gated_channel_pool, pool_planes

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
