"""The table as the camera sees it: one-point perspective over a 112 x 112 image, and the light of the clip.

Screen coordinates are pixels, x to the right, y down. A point of the table top is named by its screen position; how
large things look there follows from its distance below the horizon, so nearer (lower) is larger. The table may end at
a side edge on the right; flipping whole clips puts that edge on the left just as often.

Light is applied to colours before anything is drawn: sprites and backdrop are coloured once, which is cheaper than
passing every finished frame through a table.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

SIZE = 112  # pixels, both ways
CENTRE_X = SIZE / 2
UNIT_Y = 72.0  # at this screen row one scene unit is one pixel

Rows = TypeVar("Rows", float, np.ndarray)  # one row or many, pixels


@dataclass(frozen=True)
class Stage:
    """Camera and table of one clip (screen pixels unless said otherwise)."""

    horizon: float  # row of the vanishing point, above the image (negative)
    back: float  # row where the table top ends and the wall begins
    edge: float | None  # the side edge's distance right of the centre at UNIT_Y; None: no side edge
    elevation: float  # radians, the camera's angle above the table top

    def scale(self, y: Rows) -> Rows:
        """Return the pixels per scene unit at screen row `y` of the table top."""
        return (y - self.horizon) / (UNIT_Y - self.horizon)  # pyrefly: ignore[bad-return]

    def edge_x(self, y: Rows) -> Rows:
        """Return the screen column of the side edge at row `y`; beyond the image when there is none."""
        reach = 4 * SIZE if self.edge is None else self.edge
        return CENTRE_X + reach * self.scale(y)  # pyrefly: ignore[bad-return]

    @property
    def upright(self) -> float:
        """Screen pixels that one vertical scene unit covers (at scale 1)."""
        return math.cos(self.elevation)

    @property
    def lying(self) -> float:
        """Screen pixels that one scene unit of depth covers (at scale 1)."""
        return math.sin(self.elevation)


def draw_stage(rng: np.random.Generator, *, edge: float | None) -> Stage:
    """Draw a random camera; `edge` as in `Stage`."""
    return Stage(
        horizon=rng.uniform(-70, -35),
        back=rng.uniform(20, 34),
        edge=edge,
        elevation=math.radians(rng.uniform(38, 50)),
    )


@dataclass(frozen=True)
class Light:
    """What each level of red, green and blue becomes."""

    tables: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]  # 3 x 256

    def on(self, colour: Iterable[float]) -> tuple[int, int, int, int]:
        """Return (red, green, blue, 255) of a colour in this light; levels beyond 0 to 255 are clipped first."""
        r, g, b = (table[min(255, max(0, int(level)))] for level, table in zip(colour, self.tables, strict=True))
        return r, g, b, 255


DAYLIGHT = Light((tuple(range(256)),) * 3)


def draw_light(rng: np.random.Generator) -> Light:
    """Draw a random light, from dim to bright."""
    contrast, brightness = rng.uniform(0.82, 1.1), rng.uniform(-18, 14)
    tint = 1 + rng.uniform(-0.06, 0.06, 3)
    levels = (np.arange(256.0) - 128) * contrast + 128 + brightness
    red, green, blue = (tuple(np.clip(levels * gain, 0, 255).round().astype(int).tolist()) for gain in tint)
    return Light((red, green, blue))
