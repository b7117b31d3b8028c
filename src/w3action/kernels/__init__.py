"""Functions on tensors that W3 spends its time in, each in one pass over the features.

Of each there are three forms that compute the same: the plain one, which defines it; one that keeps what it works on
in the cache, for CPUs; and a Triton kernel, for GPUs. `dispatch.py` says which of them a call takes.
"""

from w3action.kernels.channel_pool import gated_channel_pool
from w3action.kernels.dispatch import Kernels, using
from w3action.kernels.frame_convolution import convolve_frames
from w3action.kernels.frame_shift import shift_frames
from w3action.kernels.mask_product import apply_masks
from w3action.kernels.plane_pool import pool_planes

__all__ = ["Kernels", "apply_masks", "convolve_frames", "gated_channel_pool", "pool_planes", "shift_frames", "using"]
