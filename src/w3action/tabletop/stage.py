"""The table as the camera sees it: one-point perspective over a 112 x 112 image.

Screen coordinates are pixels, x to the right, y down. A point of the table top is named by its screen
position; how large things look there follows from its distance below the horizon, so nearer (lower) is
larger. The table may end at a side edge on the right; flipping whole clips puts that edge on the left just as
often.
"""

import math
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
        """Pixels per scene unit at screen row ``y`` of the table top."""
        return (y - self.horizon) / (UNIT_Y - self.horizon)  # pyrefly: ignore[bad-return]

    def edge_x(self, y: Rows) -> Rows:
        """Screen column of the side edge at row ``y``; beyond the image when there is none."""
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
    """A random camera; ``edge`` as in `Stage`."""
    return Stage(
        horizon=rng.uniform(-70, -35),
        back=rng.uniform(20, 34),
        edge=edge,
        elevation=math.radians(rng.uniform(38, 50)),
    )
