"""The light of one clip: brightness, contrast and tint, applied to colours before anything is drawn.

Colouring sprites and backdrop once is cheaper than passing every finished frame through a table.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Light:
    """What each level of red, green and blue becomes."""

    tables: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]  # 3 x 256

    def on(self, colour: Iterable[float]) -> tuple[int, int, int, int]:
        """An opaque colour (red, green, blue, 255) in this light; levels beyond 0 to 255 are clipped first."""
        r, g, b = (table[min(255, max(0, int(level)))] for level, table in zip(colour, self.tables, strict=True))
        return r, g, b, 255


DAYLIGHT = Light((tuple(range(256)),) * 3)


def draw_light(rng: np.random.Generator) -> Light:
    """A random light, from dim to bright."""
    levels = np.arange(256.0)
    contrast, brightness = rng.uniform(0.82, 1.1), rng.uniform(-18, 14)
    tint = 1 + rng.uniform(-0.06, 0.06, 3)
    shifted = (levels - 128) * contrast + 128 + brightness
    red, green, blue = (tuple(np.clip(shifted * gain, 0, 255).round().astype(int).tolist()) for gain in tint)
    return Light((red, green, blue))
