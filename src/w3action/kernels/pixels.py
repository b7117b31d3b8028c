"""Pixels to the floats of a network: pixels * scale - shift, by channel, in float32.

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
    factor, term = (values.to(pixels.device, torch.float32).contiguous() for values in (scale, shift))
    functions = library(CODE) if _takes_native(pixels, factor, term) else None
    floats = torch.empty(pixels.shape, dtype=torch.float32, device=pixels.device)
    if functions is None:
        factor, term = (values[:, None, None, None] for values in (factor, term))
        return floats.copy_(pixels).mul_(factor).sub_(term)
    sizes = (*pixels.shape[1:], *pixels.stride()[1:3])
    addresses = [ctypes.c_void_p(numbers.data_ptr()) for numbers in (pixels, factor, term, floats)]
    functions.normalize(addresses[0], *map(ctypes.c_int64, sizes), *addresses[1:])
    return floats


def prepare() -> None:
    """Compile now: processes that are forked from this one then need not."""
    if dispatch.allows_native():
        library(CODE)


def _takes_native(pixels: Tensor, factor: Tensor, term: Tensor) -> bool:
    if not dispatch.allows_native() or dispatch.is_followed(pixels) or factor.requires_grad or term.requires_grad:
        return False
    are_bytes = pixels.device.type == "cpu" and pixels.dtype == torch.uint8
    are_colours = pixels.dim() == 4 and len(pixels) == len(factor) == len(term) == 3
    return are_bytes and are_colours and (pixels.stride(0), pixels.stride(3)) == (1, 3)
