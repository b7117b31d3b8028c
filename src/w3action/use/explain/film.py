"""The whole video with its spatial mask, as a film: the plain frame, beside it the same frame lit by M^s.

Between the T frames that the network saw, the mask is interpolated in time. Below runs the mask's mean over the
frame, with a playhead.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from w3action.use.explain.heat import at_seconds, heat_of, light_up, range_of

GAP_PIXELS = 8
FOOTER_PIXELS = 44
TEXT_PIXELS = 62  # of the footer's width, left of the curve
BACKGROUND, TEXT, CURVE, PLAYHEAD = (18, 18, 20), (225, 225, 225), (150, 150, 155), (252, 165, 10)
FRAMES_AT_ONCE = 16  # bounds the memory that heat takes


def write_film(
    path: Path,
    frames: UInt8[Tensor, "3 n side side"],
    seconds: Float[Tensor, " n"],
    *,
    mask: Float[Tensor, "t h w"],
    mask_seconds: Float[Tensor, " t"],
    size: int,
    fps: float,
) -> None:
    """Write an H.264 film of the frames.

    Args:
        path: an .mp4 file.
        frames: RGB pictures of what the network saw.
        seconds: presentation time of each frame in the video.
        mask: M^s at the T frames that the network saw.
        mask_seconds: their times.
        size: side of the clip that the mask was computed from, in pixels.
        fps: frames per second of the film.
    """
    side = frames.shape[-1]
    footer = _Footer(2 * side + GAP_PIXELS, FOOTER_PIXELS + side % 2, mask.mean(dim=(1, 2)), mask_seconds, seconds)
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = footer.width, side + footer.height, "yuv420p"
        stream.options = {"crf": "20", "preset": "fast"}
        for picture in _pictures(frames, seconds, mask=mask, mask_seconds=mask_seconds, size=size, footer=footer):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def _pictures(
    frames: Tensor, seconds: Tensor, *, mask: Tensor, mask_seconds: Tensor, size: int, footer: "_Footer"
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    values, side = range_of(mask), frames.shape[-1]
    for start in range(0, len(seconds), FRAMES_AT_ONCE):
        shown = slice(start, start + FRAMES_AT_ONCE)
        heat = heat_of(at_seconds(mask, mask_seconds, seconds[shown]), values, size=size, side=side)
        plain = frames[:, shown].permute(1, 2, 3, 0).numpy()  # (t, side, side, 3)
        for picture, lit, second in zip(plain, light_up(plain, heat.numpy()), seconds[shown].tolist(), strict=True):
            canvas = np.empty((side + footer.height, footer.width, 3), np.uint8)
            canvas[:] = BACKGROUND
            canvas[:side, :side] = picture
            canvas[:side, side + GAP_PIXELS :] = lit
            canvas[side:] = footer.at(second)
            yield canvas


class _Footer:
    """The time, and a curve of the mask's mean with a playhead; as wide as the film."""

    def __init__(self, width: int, height: int, energy: Tensor, energy_seconds: Tensor, seconds: Tensor):
        self.width, self.height = width, height
        self.first, self.span = float(seconds[0]), max(float(seconds[-1] - seconds[0]), 1e-9)
        self.font = ImageFont.load_default(15)
        self.image = Image.new("RGB", (width, height), BACKGROUND)
        columns = np.arange(TEXT_PIXELS, width - GAP_PIXELS)
        times = self.first + (columns - TEXT_PIXELS) / max(len(columns) - 1, 1) * self.span
        curve = np.interp(times, energy_seconds.numpy(), energy.numpy())
        low, high = curve.min(), curve.max()
        top, bottom = 10, height - 11
        rows = bottom - (curve - low) / max(high - low, 1e-6) * (bottom - top)
        self.columns = columns
        ImageDraw.Draw(self.image).line(list(zip(columns.tolist(), rows.tolist(), strict=True)), fill=CURVE, width=2)

    def at(self, second: float) -> UInt8[np.ndarray, "height width 3"]:
        image = self.image.copy()
        draw = ImageDraw.Draw(image)
        draw.text((GAP_PIXELS, self.height / 2), f"{second:.2f} s", fill=TEXT, font=self.font, anchor="lm")
        place = round((second - self.first) / self.span * (len(self.columns) - 1))
        x = int(self.columns[min(max(place, 0), len(self.columns) - 1)])
        draw.line([(x, 5), (x, self.height - 6)], fill=PLAYHEAD, width=2)
        return np.asarray(image)
