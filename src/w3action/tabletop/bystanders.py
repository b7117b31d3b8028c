"""Other things on the table that move by themselves: slide, turn, hop, drift, fall. What they do means nothing.

They keep out of the action's way, so that they distract without hiding it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from w3action.tabletop.mesh import Solid
from w3action.tabletop.motion import Track, draw_course, rest, tip_over
from w3action.tabletop.stage import SIZE, Stage
from w3action.tabletop.things import draw_thing

_MOTIONS = {"still": 0.2, "slide": 0.28, "turn": 0.16, "hop": 0.18, "drift": 0.18}  # how probable each is
_TRIES = 12
_FADED = 0.6  # of the way to grey: what nobody touches stands out less

Disc = tuple[float, float, float]  # a place on the table: x, y, radius, pixels


@dataclass(frozen=True)
class Bystander:
    """One such thing and its path."""

    thing: Solid
    track: Track
    dropped: np.ndarray  # (T,) bool: below the table top


def draw_bystanders(rng: np.random.Generator, stage: Stage, num_frames: int, taken: list[Disc]) -> list[Bystander]:
    """Draw up to three things that stay off the discs `taken`."""
    found, turning = [], False
    for _ in range(rng.integers(1, 4)):
        thing = draw_thing(rng, rng.uniform(10, 15)).faded(_FADED)
        motion = str(rng.choice(list(_MOTIONS), p=list(_MOTIONS.values())))
        if motion == "turn" and turning:  # each turned view is drawn anew: one is enough, for speed
            motion = "slide"
        turning |= motion == "turn"
        for _ in range(_TRIES):
            track = _path(rng, stage, motion, num_frames)
            discs = footprints(stage, thing, track, (0, num_frames // 2, num_frames - 1))
            if all(_apart(a, b) for a in discs for b in taken) and _on_table(stage, discs):
                found.append(Bystander(thing, track, np.zeros(num_frames, bool)))
                taken = taken + discs
                break
    return found


def draw_faller(rng: np.random.Generator, stage: Stage, num_frames: int, taken: list[Disc]) -> list[Bystander]:
    """Draw at most one thing near the side edge that creeps over it and drops, or only nearly so."""
    thing = draw_thing(rng, rng.uniform(12, 17)).faded(_FADED)
    for _ in range(_TRIES):
        y = rng.uniform(stage.back + 12, 100)
        scale, edge = float(stage.scale(y)), float(stage.edge_x(y))
        if not all(_apart((edge, y, thing.radius * scale), disc) for disc in taken):
            continue
        begins, lasts = int(rng.integers(0, num_frames - 8)), int(rng.integers(5, 12))
        way = np.clip((np.arange(num_frames) - begins) / lasts, 0, 1)
        track = rest(num_frames, edge, y, yaw=rng.uniform(0, 360)).moved(x=edge - rng.uniform(6, 16) * (1 - way))
        last, tall = min(begins + lasts, num_frames - 1), thing.height * stage.upright * scale
        return [Bystander(thing, *tip_over(rng, track, last, edge=edge, tall=tall, falls=rng.random() < 0.8))]
    return []


def footprints(stage: Stage, thing: Solid, track: Track, frames: Iterable[int]) -> list[Disc]:
    """Return where `thing` stands in some frames of its path."""
    return [(track.x[k], track.y[k], thing.radius * float(stage.scale(track.y[k]))) for k in frames]


def _on_table(stage: Stage, discs: list[Disc]) -> bool:
    return all(bool(stage.back + 6 < y < SIZE + 4) and x < float(stage.edge_x(y)) - r for x, y, r in discs)


def _apart(a: Disc, b: Disc) -> bool:
    dx, dy = a[0] - b[0], (a[1] - b[1]) * 1.3  # rows are foreshortened
    return bool(dx * dx + dy * dy > (0.85 * (a[2] + b[2])) ** 2)


def _path(rng: np.random.Generator, stage: Stage, motion: str, num_frames: int) -> Track:
    x, y = rng.uniform(4, SIZE - 4), rng.uniform(stage.back + 8, SIZE)
    track = rest(num_frames, x, y, yaw=rng.uniform(0, 360))
    begins, lasts = rng.uniform(-0.2, 0.5), rng.uniform(0.3, 0.8)  # shares of the clip
    t = np.clip((np.linspace(0, 1, num_frames) - begins) / lasts, 0, 1)
    way = np.interp(t, np.linspace(0, 1, 32), draw_course(rng, 32))
    if motion == "slide":
        return track.moved(x=x + rng.uniform(-45, 45) * way, y=y + rng.uniform(-14, 14) * way)
    if motion == "turn":
        return track.moved(yaw=track.yaw + rng.choice([-1, 1]) * rng.uniform(80, 260) * way)
    if motion == "hop":
        hops = int(rng.integers(1, 4))
        return track.moved(z=rng.uniform(6, 24) * np.abs(np.sin(np.pi * hops * way)))
    if motion == "drift":
        swing = 2 * np.pi * rng.uniform(0.3, 0.9) * np.linspace(0, 1, num_frames) + rng.uniform(0, 6)
        return track.moved(x=x + rng.uniform(3, 9) * np.sin(swing), y=y + rng.uniform(2, 6) * np.cos(swing))
    return track
