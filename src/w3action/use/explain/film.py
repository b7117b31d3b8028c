"""The whole video with its spatial mask, as a film: the plain frame, beside it the same frame lit by M^s.

Between the T frames that the network saw, the mask is interpolated in time. Below runs the mask's mean over the
frame, with a playhead.
"""

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from w3action.use.explain.explanation import Explanation
from w3action.use.explain.heat import ShownFrames, at_seconds, heat_of, light_up
from w3action.use.explain.masks import range_of

GAP_PIXELS = 8
FOOTER_PIXELS = 44
TEXT_PIXELS = 62  # of the footer's width, left of the curve
BACKGROUND, TEXT, CURVE, PLAYHEAD = (18, 18, 20), (225, 225, 225), (150, 150, 155), (252, 165, 10)
FRAMES_AT_ONCE = 16  # bounds the memory that heat takes


def write_film(found: Explanation, shown: ShownFrames) -> None:
    """Write `overlay.mp4` (H.264) of a network that has a spatial mask."""
    energy, side = found.mask_energy, shown.film.shape[-1]
    assert energy is not None
    footer = _Footer(2 * side + GAP_PIXELS, FOOTER_PIXELS + side % 2, energy, found.times_seconds, shown.film_seconds)
    with av.open(str(found.files["overlay.mp4"]), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(shown.film_fps).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = footer.width, side + footer.height, "yuv420p"
        stream.options = {"crf": "20", "preset": "fast"}
        for picture in _pictures(found, shown, footer):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def _pictures(
    found: Explanation, shown: ShownFrames, footer: "_Footer"
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    mask, side = found.spatial_mask, shown.film.shape[-1]
    assert mask is not None
    values, size = range_of(mask), found.checkpoint.clip_format.size
    for start in range(0, len(shown.film_seconds), FRAMES_AT_ONCE):
        part = slice(start, start + FRAMES_AT_ONCE)
        seconds = shown.film_seconds[part]
        heat = heat_of(at_seconds(mask, found.times_seconds, seconds), values, size=size, side=side)
        plain = shown.film[:, part].permute(1, 2, 3, 0).numpy()  # (t, side, side, 3)
        for picture, lit, second in zip(plain, light_up(plain, heat.numpy()), seconds.tolist(), strict=True):
            canvas = np.full((side + footer.height, footer.width, 3), BACKGROUND, np.uint8)
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
