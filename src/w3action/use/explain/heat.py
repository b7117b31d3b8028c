"""What pictures are made of: the frames to show, and a spatial mask as light on them.

M^s -> heat between 0 and 1 -> colours over the frame. A mask that starts near 0.9 varies little, so heat is the mask
stretched to its full range, over the whole clip and not frame by frame: frames stay comparable, and one in which
nothing happens stays dark, which is the point of Figure 3 ("Knowing What, Where and When to Look", 2020).
"""

from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from w3action.clip_format import ClipFormat
from w3action.data import TestTransform, denormalize, open_frames
from w3action.use.explain.masks import Range, resample

PICTURE_PIXELS = 224  # pictures have about this side at least: those of a 64-pixel network could not be read
MAX_FILM_FRAMES = 300
MIN_FILM_FPS = 10  # of a film that shows only some frames of a long video
COLORMAP = matplotlib.colormaps["inferno"]  # perceptually uniform: equal steps of the mask look equal
OPACITY = 0.55  # of the heat over the frame
_COLORS = (COLORMAP(np.arange(256))[:, :3] * 255).astype(np.float32)  # (256, 3)


@dataclass(frozen=True)
class ShownFrames:
    """The frames that the network saw, and those of the film, all cropped as the network's."""

    seen: UInt8[Tensor, "3 t side side"]
    film: UInt8[Tensor, "3 n side side"]
    film_seconds: Float[Tensor, " n"]
    film_fps: float


def take_frames(video: Path, numbers: Int64[np.ndarray, " t"], clip_format: ClipFormat) -> ShownFrames:
    """Decode the frames to show, larger than the network's where those are small, and cut the same crop out.

    Args:
        video: the file.
        numbers: which of its frames the network saw.
        clip_format: of the network.
    """
    zoom = max(1, round(PICTURE_PIXELS / clip_format.size))
    with open_frames(video, short_side=zoom * clip_format.resize) as opened:
        count = opened.count
        film = np.linspace(0, count - 1, min(count, MAX_FILM_FRAMES)).round().astype(np.int64)
        clip = opened.read(np.concatenate([numbers, film]))
    crop = TestTransform(size=zoom * clip_format.size, resize=zoom * clip_format.resize, crops="center")
    frames = torch.cat([denormalize(crop(part)[0][0]) for part in clip.split(32)], dim=1)  # 32 at once bound the memory
    seconds = clip.pts_seconds[len(numbers) :]
    span = float(seconds[-1] - seconds[0])
    fps = (len(seconds) - 1) / span if span > 0 else 1.0
    if count > MAX_FILM_FRAMES:
        fps = max(fps, MIN_FILM_FPS)
    return ShownFrames(frames[:, : len(numbers)], frames[:, len(numbers) :], seconds, fps)


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
