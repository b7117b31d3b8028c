"""Pixels to the floats of a network: pixels * scale - shift, by channel, in float32.

The native form is one pass that reads and writes each number once; PyTorch takes three, the first of them over bytes
that lie three apart. Both give the same bits.
"""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from w3action.kernels.dispatch import form_of
from w3action.kernels.native import passes


def scale_pixels(
    pixels: Shaped[Tensor, "*batch c t h w"], scale: Float[Tensor, " c"], shift: Float[Tensor, " c"]
) -> Float[Tensor, "*batch c t h w"]:
    """Return pixels * scale - shift in float32, contiguous.

    Args:
        pixels: uint8 or floats. The native pass takes one clip of RGB as decoders give it: uint8, the colours of a
            pixel side by side, the pixels of a row as well.
        scale: a factor for each channel.
        shift: what is taken away from each channel.
    """
    factor, term = (values.to(pixels.device, torch.float32).contiguous() for values in (scale, shift))
    floats = torch.empty(pixels.shape, dtype=torch.float32, device=pixels.device)
    if _are_as_decoded(pixels, factor, term) and form_of(pixels) == "native":
        passes.normalize(pixels, factor, term, floats)
        return floats
    factor, term = (values[:, None, None, None] for values in (factor, term))
    return floats.copy_(pixels).mul_(factor).sub_(term)


def prepare() -> None:
    """Load the native form now, or compile it: processes that are forked from this one then need not."""
    form_of(torch.empty(0, dtype=torch.uint8, device="cpu"))


def _are_as_decoded(pixels: Tensor, factor: Tensor, term: Tensor) -> bool:
    """Whether the native pass can read the pixels, and nobody records what is done to them."""
    if type(pixels) is not Tensor or torch.compiler.is_compiling() or factor.requires_grad or term.requires_grad:
        return False
    are_colours = pixels.dim() == 4 and len(pixels) == len(factor) == len(term) == 3
    return are_colours and pixels.dtype == torch.uint8 and (pixels.stride(0), pixels.stride(3)) == (1, 3)
