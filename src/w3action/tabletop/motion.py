"""Paths over time, made of pieces that read the same forwards and backwards.

Everything that two mirrored actions share (how a hand comes and goes, how long it dwells, how it speeds up
and slows down) is built here so that reversing it in time leaves its distribution as it was. A bag of frames
then holds no hint of the order; that is the point of the whole data set.
"""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Track:
    """One thing's path, one value per frame (T,)."""

    x: np.ndarray  # screen column of its foot on the table, pixels
    y: np.ndarray  # screen row of its foot; also says how near and thus how large it is
    z: np.ndarray  # height above the table, screen pixels
    yaw: np.ndarray  # turn about its own axis, degrees clockwise from above
    roll: np.ndarray  # tilt in the image plane about its centre, degrees clockwise

    def reversed(self) -> "Track":
        """The same path backwards."""
        return Track(self.x[::-1], self.y[::-1], self.z[::-1], self.yaw[::-1], self.roll[::-1])

    def moved(self, **changes: np.ndarray) -> "Track":
        """A copy with some of its arrays replaced."""
        return replace(self, **changes)


@dataclass(frozen=True)
class Phases:
    """How many frames come before, during and after the action; they sum to the clip's length."""

    before: int
    acting: int
    after: int

    @property
    def total(self) -> int:
        """Frames of the clip."""
        return self.before + self.acting + self.after

    def spread(self, course: np.ndarray) -> np.ndarray:
        """``course`` (acting,) with its ends held: (total,)."""
        return np.concatenate([np.full(self.before, course[0]), course, np.full(self.after, course[-1])])


def rest(num_frames: int, x: float, y: float, *, yaw: float = 0.0, z: float = 0.0) -> Track:
    """A thing that does not move."""
    return Track(*(np.full(num_frames, float(value)) for value in (x, y, z, yaw, 0.0)))


def draw_phases(
    rng: np.random.Generator,
    num_frames: int,
    *,
    share: tuple[float, float] = (0.6, 0.85),
    after: int | None = None,
) -> Phases:
    """Split a clip at random; ``after`` fixes the last phase, else before and after are exchangeable."""
    acting = max(10, round(num_frames * rng.uniform(*share)))
    if after is not None:
        acting = min(acting, num_frames - after)
        return Phases(num_frames - after - acting, acting, after)
    before = int(rng.integers(0, num_frames - acting + 1))
    return Phases(before, acting, num_frames - acting - before)


def draw_course(rng: np.random.Generator, num_frames: int) -> np.ndarray:
    """(num_frames,) from 0 to 1: speeds up and slows down alike, more or less abruptly."""
    t = np.linspace(0, 1, num_frames)
    smooth = t * t * (3 - 2 * t)
    return t + rng.uniform(0.1, 0.8) * (smooth - t)


def draw_reach(rng: np.random.Generator, num_frames: int, *, lingers: float = 0.5) -> np.ndarray:
    """(num_frames,) from out of view (0) to touching (1), ending in touch; reversed, it is a hand that leaves.

    In a share ``lingers`` / 2 of clips the hand touches throughout, else for at most a share ``lingers`` of
    the frames.
    """
    if num_frames == 0 or rng.random() < lingers / 2:
        return np.ones(num_frames)
    travel = int(rng.integers(4, 10))
    dwell = int(rng.integers(0, int(num_frames * lingers) + 1))
    way = draw_course(rng, travel + 1)[:-1]
    full = np.concatenate([np.zeros(num_frames), way, np.ones(dwell)])
    return full[-num_frames:]


def arc(course: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Over and down again: (share of the way across, share of the height) for a course from 0 to 1."""

    def smoothstep(t: np.ndarray) -> np.ndarray:
        t = np.clip(t, 0, 1)
        return t * t * (3 - 2 * t)

    return smoothstep((course - 0.2) / 0.6), smoothstep(course / 0.42) * smoothstep((1 - course) / 0.42)
