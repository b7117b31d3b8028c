"""A spatial mask as light on a picture: M^s -> heat between 0 and 1 -> colours over the frame.

A mask that starts near 0.9 varies little, so heat is the mask stretched to its full range, over the whole clip and
not frame by frame: frames stay comparable, and one in which nothing happens stays dark, which is the point of
Figure 3 ("Knowing What, Where and When to Look", 2020).
"""

from typing import NamedTuple

import matplotlib
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from w3action.use.explain.masks import resample

COLORMAP = matplotlib.colormaps["inferno"]  # perceptually uniform: equal steps of the mask look equal
OPACITY = 0.55  # of the heat over the frame
FLAT = 1e-6  # a mask that varies less is the same everywhere, and what is left of it is rounding
_COLORS = (COLORMAP(np.arange(256))[:, :3] * 255).astype(np.float32)  # (256, 3)


class Range(NamedTuple):
    """The lowest and the highest value of a mask over its clip."""

    low: float
    high: float

    @property
    def is_flat(self) -> bool:
        """Whether the mask is the same at every place and time."""
        return self.high - self.low < FLAT

    def __str__(self) -> str:
        """Write it as the pictures show it."""
        return f"{self.low:.4f} everywhere" if self.is_flat else f"{self.low:.4f} to {self.high:.4f}"


def range_of(mask: Float[Tensor, "*axes"]) -> Range:
    """Return the range of a mask over the whole clip."""
    return Range(float(mask.min()), float(mask.max()))


def heat_of(mask: Float[Tensor, "t h w"], values: Range, *, size: int, side: int) -> Float[Tensor, "t side side"]:
    """Stretch a mask to [0, 1] and interpolate it to pictures of `side` pixels that show the clip's `size` pixels."""
    at = (torch.arange(side) + 0.5) * size / side - 0.5  # picture pixels in the clip's pixels
    pixels = resample(mask, rows=at, columns=at, size=size)
    if values.is_flat:
        return torch.full_like(pixels, 0.5)
    return ((pixels - values.low) / (values.high - values.low)).clamp(0, 1)


def light_up(pictures: UInt8[np.ndarray, "t h w 3"], heat: Float[np.ndarray, "t h w"]) -> UInt8[np.ndarray, "t h w 3"]:
    """Lay heat over pictures: they go grey, dark where the mask is closed and bright where it is open."""
    grey = (pictures @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]  # (t, h, w, 1)
    colors = _COLORS[(heat * 255).round().astype(np.uint8)]  # (t, h, w, 3)
    return (grey * (1 - OPACITY) + colors * OPACITY).round().astype(np.uint8)


def at_seconds(
    mask: Float[Tensor, "t h w"], mask_seconds: Float[Tensor, " t"], seconds: Float[Tensor, " n"]
) -> Float[Tensor, "n h w"]:
    """Interpolate a mask linearly in time; before the first and after the last sampled frame it stands still."""
    frames = np.interp(seconds.numpy(), mask_seconds.numpy(), np.arange(len(mask)))  # fractional frame numbers
    before = torch.from_numpy(np.floor(frames)).long()
    after = (before + 1).clamp(max=len(mask) - 1)
    share = torch.from_numpy(frames).to(mask) - before
    return torch.lerp(mask[before], mask[after], share[:, None, None])
