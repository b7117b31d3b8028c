"""Paths over time: pieces that read the same forwards and backwards, and a fall, which does not.

Everything that two mirrored actions share (how a hand comes and goes, how long it dwells, how it speeds up and slows
down) is built here so that playing it backwards leaves its distribution as it was. A bag of frames then holds no hint
of the order; that is the point of the whole data set.
"""

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np

_GRAVITY = 0.9  # pixels per frame squared: gentle, so that a model that samples few frames can see the fall


@dataclass(frozen=True)
class Track:
    """One thing's path, one value per frame (T,)."""

    x: np.ndarray  # screen column of its foot on the table, pixels
    y: np.ndarray  # screen row of its foot; also says how near and thus how large it is
    z: np.ndarray  # height above the table, screen pixels
    yaw: np.ndarray  # turn about its own axis, degrees clockwise from above
    roll: np.ndarray  # tilt in the image plane about its centre, degrees clockwise

    def moved(self, **changes: np.ndarray) -> "Track":
        """Return a copy with some of its arrays replaced."""
        return replace(self, **changes)


def backwards(part: Any) -> Any:
    """Return arrays over time, and dataclasses that hold such, played backwards; anything else as it is."""
    if is_dataclass(part):
        return replace(part, **{field.name: backwards(getattr(part, field.name)) for field in fields(part)})
    return part[::-1] if isinstance(part, np.ndarray) else part


@dataclass(frozen=True)
class Phases:
    """How many frames come before, during and after the action; they sum to the clip's length."""

    before: int
    acting: int
    after: int

    def spread(self, course: np.ndarray) -> np.ndarray:
        """Hold the ends of `course` (acting,) before and after it, to (T,)."""
        return np.concatenate([np.full(self.before, course[0]), course, np.full(self.after, course[-1])])


def draw_phases(rng: np.random.Generator, num_frames: int, *, after: int | None = None) -> Phases:
    """Split a clip at random; `after` fixes the last phase, else before and after are exchangeable."""
    acting = max(10, round(num_frames * rng.uniform(0.6, 0.85)))
    if after is not None:
        acting = min(acting, num_frames - after)
        return Phases(num_frames - after - acting, acting, after)
    before = int(rng.integers(0, num_frames - acting + 1))
    return Phases(before, acting, num_frames - acting - before)


def rest(num_frames: int, x: float, y: float, *, yaw: float = 0.0) -> Track:
    """Return the path of a thing that does not move."""
    return Track(*(np.full(num_frames, float(value)) for value in (x, y, 0.0, yaw, 0.0)))


def smoothstep(t: np.ndarray) -> np.ndarray:
    """Rise from 0 to 1 as `t` does, at rest at both ends."""
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)


def arc(course: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Go over and down again: (share of the way across, share of the height) for a course from 0 to 1."""
    return smoothstep((course - 0.2) / 0.6), smoothstep(course / 0.42) * smoothstep((1 - course) / 0.42)


def draw_course(rng: np.random.Generator, num_frames: int) -> np.ndarray:
    """Draw (num_frames,) from 0 to 1 that speeds up and slows down alike, more or less abruptly."""
    t = np.linspace(0, 1, num_frames)
    return t + rng.uniform(0.1, 0.8) * (smoothstep(t) - t)


def draw_reach(rng: np.random.Generator, num_frames: int, *, lingers: float = 0.5) -> np.ndarray:
    """Draw (num_frames,) from out of view (0) to touching (1), ending in touch; backwards, it is a hand that leaves.

    In a share `lingers` / 2 of clips the hand touches throughout, else for at most a share `lingers` of the frames.
    """
    if num_frames == 0 or rng.random() < lingers / 2:
        return np.ones(num_frames)
    travel = int(rng.integers(4, 10))
    dwell = int(rng.integers(0, int(num_frames * lingers) + 1))
    way = draw_course(rng, travel + 1)[:-1]
    return np.concatenate([np.zeros(num_frames), way, np.ones(dwell)])[-num_frames:]


def tip_over(
    rng: np.random.Generator, track: Track, last_pushed: int, *, edge: float, tall: float, falls: bool
) -> tuple[Track, np.ndarray]:
    """Let a thing that was pushed to the table's edge tip over it, then drop, or come back.

    Up to the moment of decision both outcomes are drawn alike.

    Args:
        rng: randomness.
        track: the push, at rest after `last_pushed`.
        last_pushed: the last frame of the push.
        edge: the edge's column where the object stands, pixels.
        tall: the object's height on the screen, pixels.
        falls: whether it drops in the end.

    Returns:
        The new track and, per frame, whether the object is below the table top.
    """
    num_frames = len(track.x)
    tips, hangs, decides = int(rng.integers(3, 6)), int(rng.integers(0, 4)), int(rng.integers(3, 5))
    peak, sway = rng.uniform(24, 38), rng.uniform(0, 4)
    drift, spin, settles = rng.uniform(0.8, 1.8), rng.uniform(10, 20), max(0.0, rng.uniform(-2, 8))
    up = peak * np.sin(np.linspace(0, np.pi / 2, tips + 1)[1:]) ** 1.5
    hang = peak + sway * np.sin(np.arange(hangs) * 1.7)
    way = np.linspace(0, 1, decides + 1)[1:]
    tail = peak + (90 - peak) * way**1.5 if falls else peak * (1 - smoothstep(way))
    angle = np.concatenate([np.zeros(last_pushed + 1), up, hang, tail])
    since_decided = np.arange(num_frames) - len(angle) + 1
    angle = np.concatenate([angle, np.full(num_frames, angle[-1])])[:num_frames]

    # The object turns about the edge: its centre starts `lean` beyond it and half its height up.
    turn, lean, half = np.radians(angle), track.x - edge, tall / 2
    tipping = np.arange(num_frames) > last_pushed
    x = np.where(tipping, edge + lean * np.cos(turn) + half * np.sin(turn), track.x)
    z = np.where(tipping, half * np.cos(turn) - lean * np.sin(turn) - half, 0.0)
    if not falls:  # it may settle a little further in
        settled = np.clip((since_decided + 2) / 4, 0, 1)
        return track.moved(x=x - settles * settled, z=z, roll=angle), np.zeros(num_frames, bool)
    t = np.clip(since_decided, 0, None)  # frames since it lost the table
    track = track.moved(x=x + drift * t, z=z - 2.2 * t - 0.5 * _GRAVITY * t * t, roll=angle + spin * t)
    return track, t > 0
