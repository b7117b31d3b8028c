"""Convolve a map over time and space with one 3D kernel: the "when" of W3's spatial mask (equation 6).

    y[t, p] = b + sum over i, q of w[i, q] x[t + i - 1, p + q]        zeros beyond the ends, as many places as before

A 3D convolution of one channel has no fast form on a CPU. Frames taken as channels, it is a 2D convolution from T to T
channels whose kernels are w's slices on three diagonals and zero elsewhere: five times as fast for 8 maps of 56x56.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from w3action.kernels import dispatch

MIN_PLACES = 400  # of a map; below it building the kernels costs what they save
MAX_FRAMES = 32  # the work grows with T squared


def convolve_frames(
    x: Float[Tensor, "b t h w"], weight: Float[Tensor, "1 1 k kh kw"], bias: Float[Tensor, "1"]
) -> Float[Tensor, "b t h w"]:
    """Return y; every side of the kernel is odd."""
    if dispatch.takes_frames_as_channels(x, min_places=MIN_PLACES, max_frames=MAX_FRAMES):
        return _convolve_frames_as_channels(x, weight, bias)
    return convolve_frames_plain(x, weight, bias)


def convolve_frames_plain(
    x: Float[Tensor, "b t h w"], weight: Float[Tensor, "1 1 k kh kw"], bias: Float[Tensor, "1"]
) -> Float[Tensor, "b t h w"]:
    """Compute it by PyTorch's own 3D convolution: the definition."""
    k, kh, kw = weight.shape[2:]
    return F.conv3d(x[:, None], weight, bias, padding=(k // 2, kh // 2, kw // 2))[:, 0]


def _convolve_frames_as_channels(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    t, (k, kh, kw) = x.shape[1], weight.shape[2:]
    frames = torch.arange(t, device=x.device)
    ahead = torch.arange(k, device=x.device) - k // 2
    reads = (frames[None, None, :] - frames[None, :, None] == ahead[:, None, None]).to(
        weight.dtype
    )  # (k, T to, T from)
    kernels = torch.einsum("kts,khw->tshw", reads, weight[0, 0])
    return F.conv2d(x, kernels, bias.expand(t), padding=(kh // 2, kw // 2))
