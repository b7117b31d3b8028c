"""One clip before it is drawn: who is on the table, in which light, moving how.

`draw_scene` is where an action's name meets sizes: an object small enough for its container, a cover large enough for
its object, a side edge to push things off.
"""

from dataclasses import dataclass

import numpy as np

from w3action.tabletop.actions import Cast, Timeline, draw_timeline
from w3action.tabletop.bystanders import Bystander, Disc, draw_bystanders, draw_faller, footprints
from w3action.tabletop.stage import Stage, draw_stage
from w3action.tabletop.things import THINGS, draw_container, draw_cover, draw_thing

MIN_FRAMES, MAX_FRAMES = 24, 60

_OFF_THE_EDGE = ("Pushing something so that it falls", "Pushing something so that it almost falls")
_INTO = ("Putting something into something", "Taking something out of something")
_COVERING = ("Covering something", "Uncovering something")
_TURNING = ("Turning something clockwise", "Turning something counterclockwise")
_CARRIED_OFF = ("Picking something up", "Pretending to pick something up")
_MARKED = tuple(name for name in THINGS if name != "bottle")  # a bottle's far side shows no mark
_STANDING = ("block", "cup", "bottle", "can", "house")  # things that tip; a book would not, a ball would roll


@dataclass(frozen=True)
class Scene:
    """Everything of a clip but the pixels; T frames."""

    cast: Cast
    timeline: Timeline
    bystanders: list[Bystander]
    pose: str  # of the hand when it holds
    hand_size: float  # scene scale of the hand
    thumb_down: bool
    shake: np.ndarray  # (T, 2) pixels


def draw_scene(rng: np.random.Generator, label: str) -> Scene:
    """Draw a random scene in which the hand does `label`."""
    num_frames = int(rng.integers(MIN_FRAMES, MAX_FRAMES + 1))
    edge = None
    if label in _OFF_THE_EDGE:
        edge = rng.uniform(17, 30)
    elif rng.random() < 0.3:
        edge = rng.uniform(38, 52)
    stage = draw_stage(rng, edge=edge)
    cast = _draw_cast(rng, label, stage)
    timeline = draw_timeline(rng, label, cast, num_frames)
    taken, bystanders = _taken(cast, timeline), []
    # More things fall by themselves where the hand's object only nearly does: the mere sight of a fall tells little.
    if edge is not None and rng.random() < (0.5 if label == "Pushing something so that it almost falls" else 0.3):
        bystanders += draw_faller(rng, stage, num_frames, taken)
    taken = taken + [(b.track.x[0], b.track.y[0], b.thing.radius) for b in bystanders]
    bystanders += draw_bystanders(rng, stage, num_frames, taken)
    return Scene(
        cast=cast,
        timeline=timeline,
        bystanders=bystanders,
        pose=_draw_pose(rng, label),
        hand_size=rng.uniform(0.82, 0.98),
        thumb_down=bool(rng.random() < 0.5),
        shake=_draw_shake(rng, num_frames),
    )


def _draw_pose(rng: np.random.Generator, label: str) -> str:
    if label in _OFF_THE_EDGE:
        return str(rng.choice(["point", "flat"]))
    return {"Pushing": "flat", "Moving": "point"}.get(label.split()[0], "grasp")


def _draw_cast(rng: np.random.Generator, label: str, stage: Stage) -> Cast:
    if label in _INTO:
        container = draw_container(rng, rng.uniform(31, 37))
        return Cast(stage, draw_thing(rng, rng.uniform(18, 22)), container)
    if label in _COVERING:
        target = draw_thing(rng, rng.uniform(18, 22))
        width = 2 * target.radius + rng.uniform(4, 8)
        return Cast(stage, target, draw_cover(rng, width, target.height + rng.uniform(2, 4)))
    narrow, wide, kinds = 23, 29, tuple(THINGS)
    if label in _TURNING:
        narrow, wide, kinds = 26, 31, _MARKED
    elif label in _OFF_THE_EDGE:
        narrow, wide, kinds = 22, 28, _STANDING
    elif label in _CARRIED_OFF:
        narrow, wide = 20, 26
    return Cast(stage, draw_thing(rng, rng.uniform(narrow, wide), kinds))


def _taken(cast: Cast, timeline: Timeline) -> list[Disc]:
    """Return the places on the table that the action needs."""
    frames = np.linspace(0, len(timeline.reach) - 1, 6).astype(int).tolist()
    discs = footprints(cast.stage, cast.target, timeline.target, frames)
    if timeline.prop is not None and cast.prop is not None:
        discs += footprints(cast.stage, cast.prop, timeline.prop, frames)
    return discs


def _draw_shake(rng: np.random.Generator, num_frames: int) -> np.ndarray:
    """Draw (num_frames, 2) pixels: a hand-held camera that stays within 1.5 pixels of its place."""
    noise = rng.normal(0, 1, (num_frames + 2, 2))
    smooth = (noise[:-2] + 2 * noise[1:-1] + noise[2:]) / 4
    return np.clip(smooth * rng.uniform(0, 1.1), -1.5, 1.5)
