"""The hand: drawn fingers, palm, forearm and sleeve in four poses, ready to be placed as sprites.

The hand points along +x with its wrist at the origin, in scene units; its palm faces the table, so what shows is its
back. Each pose is two sprites: what passes behind the held object (the thumb) and what lies before it.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from w3action.tabletop.mesh import Colour
from w3action.tabletop.sprite import DENSITY, SUPERSAMPLE, Sprite, average_down
from w3action.tabletop.stage import Light
from w3action.tabletop.things import draw_colours

Point = tuple[float, float]

_SKINS: tuple[Colour, ...] = (
    (238, 200, 174), (230, 184, 150), (222, 168, 128), (200, 144, 102), (166, 112, 76), (126, 82, 56), (92, 60, 44),
)  # fmt: skip
_FINE = DENSITY * SUPERSAMPLE  # drawn pixels per scene unit
_LEFT, _RIGHT, _HALF = -150.0, 34.0, 24.0  # the canvas in scene units: a forearm long enough to leave any image

# Each finger: knuckle, middle joint, tip, and its width. Little finger first: the index lies on top.
_FINGERS: dict[str, tuple[tuple[Point, Point, Point, float], ...]] = {
    "open": (
        ((11.0, 7.0), (16.0, 10.4), (19.0, 12.2), 4.0),
        ((14.0, 3.4), (20.5, 5.2), (25.0, 6.4), 4.5),
        ((14.6, -0.8), (21.8, -1.0), (27.0, -1.2), 4.7),
        ((13.6, -5.0), (20.0, -7.4), (24.4, -9.0), 4.6),
    ),
    "grasp": (
        ((10.5, 7.4), (17.6, 12.6), (22.0, 12.4), 4.1),
        ((13.0, 4.4), (20.6, 9.4), (25.4, 8.4), 4.6),
        ((14.2, 0.8), (22.4, 5.4), (27.2, 4.2), 4.8),
        ((13.8, -3.2), (22.4, 0.6), (27.4, -0.8), 4.7),
    ),
    "point": (
        ((11.0, 6.4), (15.4, 7.4), (13.0, 5.8), 4.4),
        ((13.2, 3.2), (18.0, 3.8), (14.6, 3.0), 4.8),
        ((13.8, -0.8), (19.0, -0.8), (15.0, -0.8), 5.0),
        ((13.0, -4.8), (20.6, -4.6), (27.6, -3.6), 4.6),
    ),
    "flat": (
        ((11.0, 6.4), (16.4, 7.8), (20.4, 8.0), 4.1),
        ((13.4, 3.0), (20.0, 3.8), (25.4, 4.0), 4.6),
        ((14.0, -1.0), (21.4, -0.8), (27.4, -0.6), 4.8),
        ((13.2, -5.0), (20.2, -5.6), (25.6, -5.4), 4.7),
    ),
}
_THUMBS: dict[str, tuple[Point, Point, Point]] = {
    "open": ((4.0, -6.6), (10.6, -12.6), (16.0, -14.6)),
    "grasp": ((4.5, -6.4), (12.0, -12.8), (20.0, -12.2)),
    "point": ((4.6, -6.2), (10.6, -8.6), (15.0, -6.2)),
    "flat": ((4.0, -6.4), (10.4, -10.6), (15.8, -11.0)),
}
# Where in its own frame each pose touches things.
GRIPS: dict[str, Point] = {"open": (24.0, 0.0), "grasp": (24.5, -3.0), "point": (27.0, -3.6), "flat": (24.0, 0.0)}
_PALM: tuple[Point, ...] = (
    (-1.5, -5.0), (3.0, -6.9), (9.0, -7.6), (14.4, -6.6), (15.6, -1.0),
    (14.4, 4.0), (11.8, 8.4), (6.0, 8.2), (1.5, 6.4), (-1.5, 5.0),
)  # fmt: skip


@dataclass(frozen=True)
class Hand:
    """One person's hand."""

    front: dict[str, Sprite]  # pose -> hand and forearm without what goes behind the object
    behind: dict[str, Sprite]  # pose -> the thumb
    outline: dict[str, np.ndarray]  # pose -> (n, 2) points around the hand without forearm, scene units


def draw_hand(rng: np.random.Generator, poses: Iterable[str], light: Light) -> Hand:
    """Draw a hand of random skin, sleeve and wrist in the given poses."""
    skin = np.array(_SKINS[rng.integers(len(_SKINS))], float) + rng.uniform(-8, 8, 3)
    sleeve = np.array(draw_colours(rng, 1)[0], float)
    cuff = rng.uniform(-34, -6) if rng.random() < 0.8 else _LEFT
    watch = draw_colours(rng, 1)[0] if rng.random() < 0.3 and cuff < -16 else None
    hand = Hand({}, {}, {})
    for pose in poses:
        hand.front[pose] = _front(_Pen(light), pose, skin, sleeve, cuff, watch)
        hand.behind[pose] = _thumb(_Pen(light), pose, skin)
        hand.outline[pose] = _outline(pose)
    return hand


class _Pen:
    """Draws in scene units onto a fresh canvas."""

    def __init__(self, light: Light):
        size = (round((_RIGHT - _LEFT) * _FINE), round(2 * _HALF * _FINE))
        self._image, self._light = Image.new("RGBA", size), light
        self._draw = ImageDraw.Draw(self._image)

    def sprite(self) -> Sprite:
        """Return what was drawn, anchored at the wrist."""
        return average_down(self._image, anchor=(-_LEFT * DENSITY, _HALF * DENSITY))

    def polygon(self, points: Iterable[Point], tone: np.ndarray) -> None:
        """Fill an outline."""
        self._draw.polygon([self._at(p) for p in points], fill=self._light.on(tone))

    def bar(self, x0: float, half0: float, x1: float, half1: float, tone: np.ndarray, *, shift: float = 0.0) -> None:
        """Fill a band along the arm from x0, so wide each way, to x1, moved aside by `shift`."""
        self.polygon([(x0, shift - half0), (x1, shift - half1), (x1, shift + half1), (x0, shift + half0)], tone)

    def dot(self, centre: Point, radius: float, tone: np.ndarray) -> None:
        """Fill a circle."""
        x, y = self._at(centre)
        r = radius * _FINE
        self._draw.ellipse((x - r, y - r, x + r, y + r), fill=self._light.on(tone))

    def capsule(self, a: Point, b: Point, width: float, tone: np.ndarray) -> None:
        """Draw a thick line with round ends."""
        self._draw.line([self._at(a), self._at(b)], fill=self._light.on(tone), width=round(width * _FINE))
        self.dot(a, width / 2, tone)
        self.dot(b, width / 2, tone)

    @staticmethod
    def _at(point: Point) -> Point:
        return (point[0] - _LEFT) * _FINE, (point[1] + _HALF) * _FINE


def _tones(skin: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what the skin is at its rim, in the shade and in the light."""
    return skin * 0.55, skin * 0.86, np.minimum(skin * 1.08 + 6, 255)


def _front(pen: _Pen, pose: str, skin: np.ndarray, sleeve: np.ndarray, cuff: float, watch: Colour | None) -> Sprite:
    rim, low, high = _tones(skin)
    # Forearm: bands of light make the tube round.
    for half, shift, tone in ((1.0, 0.0, rim), (0.9, 0.0, low), (0.72, -0.6, skin), (0.34, -1.4, high)):
        pen.bar(_LEFT, 9.5 * half, 0.0, 5.4 * half, tone, shift=shift)
    if watch is not None:
        pen.bar(-6.5, 6.2, -3.0, 6.0, np.array(watch) * 0.7)
        pen.bar(-7.6, 3.0, -2.0, 3.0, np.array((224.0, 224.0, 216.0)))
    if cuff > _LEFT:
        for half, shift, tone in ((1.0, 0.0, sleeve * 0.5), (0.93, 0.0, sleeve * 0.84), (0.7, -0.7, sleeve)):
            pen.bar(_LEFT, 12.5 * half, cuff, 8.6 * half, tone, shift=shift)
        pen.bar(cuff - 2.6, 8.9, cuff + 0.6, 8.9, sleeve * 0.62)
    pen.polygon(_grown(_PALM, 0.7), rim)
    pen.polygon(_PALM, low)
    pen.polygon([(x * 0.96 + 0.3, y * 0.86 - 0.8) for x, y in _PALM], skin)
    for a, b, tip, width in _FINGERS[pose]:
        _finger(pen, a, b, tip, width, skin, nail=pose in ("open", "flat") or tip[0] > 26)
    for (x, y), *_ in _FINGERS[pose]:  # knuckles
        pen.dot((x - 0.6, y - 0.3), 1.5, high)
        pen.dot((x - 1.4, y), 0.9, skin)
    return pen.sprite()


def _thumb(pen: _Pen, pose: str, skin: np.ndarray) -> Sprite:
    a, b, tip = _THUMBS[pose]
    _finger(pen, a, b, tip, 5.2, skin * 0.95, nail=pose in ("open", "flat"))
    return pen.sprite()


def _finger(pen: _Pen, a: Point, b: Point, tip: Point, width: float, skin: np.ndarray, *, nail: bool) -> None:
    rim, low, high = _tones(skin)
    for grow, shift, tone in ((1.1, 0.0, rim), (-0.2, 0.0, low), (-1.3, -0.35, skin), (-3.2, -0.7, high)):
        for p, q in ((a, b), (b, tip)):
            pen.capsule((p[0], p[1] + shift), (q[0], q[1] + shift), max(0.8, width + grow), tone)
    pen.dot(b, 0.55, low)  # the crease of the joint
    if nail:
        length = math.dist(tip, b) or 1.0
        centre = (tip[0] + (tip[0] - b[0]) / length * 0.7, tip[1] + (tip[1] - b[1]) / length * 0.7)
        pen.dot(centre, 1.25, np.minimum(skin * 0.7 + (88, 70, 66), 255))


def _outline(pose: str) -> np.ndarray:
    joints = list(_PALM)
    for *finger, _ in (*_FINGERS[pose], (*_THUMBS[pose], 5.0)):
        joints += finger
    reach = 2.4  # half a finger
    return np.array([(x + dx, y + dy) for x, y in joints for dx in (-reach, reach) for dy in (-reach, reach)])


def _grown(points: Sequence[Point], by: float) -> list[Point]:
    """Move each point away from the middle of all."""
    cx, cy = sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)
    away = [math.dist((x, y), (cx, cy)) or 1.0 for x, y in points]
    return [(x + (x - cx) / r * by, y + (y - cy) / r * by) for (x, y), r in zip(points, away, strict=True)]
