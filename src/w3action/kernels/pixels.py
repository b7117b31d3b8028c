"""Pixels to the floats of a network: pixels * scale - shift, by channel.

On a CPU one pass of a compiled function (`pixels.c`) reads and writes each number once; PyTorch takes three, the first
of them over bytes that lie three apart. Both give the same bits.
"""

import ctypes

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from w3action.kernels import dispatch
from w3action.kernels.native_build import Code, library

CODE = Code("pixels.c", ("normalize",), ("-ffp-contract=off",))


def scale_pixels(
    pixels: Shaped[Tensor, "*batch c t h w"], scale: Float[Tensor, " c"], shift: Float[Tensor, " c"]
) -> Float[Tensor, "*batch c t h w"]:
    """Return pixels * scale - shift in float32, contiguous.

    Args:
        pixels: uint8 or floats. Compiled is the pass over one clip of RGB as decoders give it: uint8, the colours of a
            pixel side by side, the pixels of a row as well.
        scale: a factor for each channel.
        shift: what is taken away from each channel.
    """
    functions = library(CODE) if _are_as_decoded(pixels) and dispatch.allows_native() else None
    if functions is None:
        floats = torch.empty(pixels.shape, dtype=torch.float32, device=pixels.device).copy_(pixels)
        factor, term = (values.to(pixels.device)[:, None, None, None] for values in (scale, shift))
        return floats.mul_(factor).sub_(term)
    floats = torch.empty(pixels.shape)
    factor, term = (values.to("cpu", torch.float32).contiguous() for values in (scale, shift))
    sizes = (*pixels.shape[1:], *pixels.stride()[1:3])
    addresses = [ctypes.c_void_p(numbers.data_ptr()) for numbers in (pixels, factor, term, floats)]
    functions.normalize(addresses[0], *map(ctypes.c_int64, sizes), *addresses[1:])
    return floats


def _are_as_decoded(pixels: Tensor) -> bool:
    is_bytes = pixels.device.type == "cpu" and pixels.dtype == torch.uint8
    return is_bytes and pixels.dim() == 4 and len(pixels) == 3 and (pixels.stride(0), pixels.stride(3)) == (1, 3)
