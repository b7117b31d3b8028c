"""What the hand does: for each action the paths of the hand, the object and its container or cover, if any.

Six actions are drawn forwards; their six partners (`REVERSE_OF`) are the very same paths backwards. Where hand and arm
come from, how long they dwell and how fast they move is drawn alike for all. Screen pixels unless said otherwise.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from w3action.tabletop.catalogue import REVERSE_OF
from w3action.tabletop.mesh import Solid
from w3action.tabletop.motion import (
    Phases,
    Track,
    arc,
    backwards,
    draw_course,
    draw_phases,
    draw_reach,
    rest,
    smoothstep,
    tip_over,
)
from w3action.tabletop.stage import SIZE, Rows, Stage

_GRIP_SHARE = 0.78  # how far up an object the fingers hold it


@dataclass(frozen=True)
class Cast:
    """Who plays: the camera, the object acted on and the container or cover."""

    stage: Stage
    target: Solid
    prop: Solid | None = None

    def tall(self, thing: Solid, y: Rows) -> Rows:
        """Return the height of `thing` on the screen when it stands at row `y`."""
        return thing.height * self.stage.upright * self.stage.scale(y)  # pyrefly: ignore[bad-return]

    def wide(self, thing: Solid, y: float) -> float:
        """Return half the width of `thing` on the screen when it stands at row `y`."""
        return thing.radius * float(self.stage.scale(y))

    def right_end(self, y: float) -> float:
        """Return the rightmost column where the target still stands well on the table."""
        return float(self.stage.edge_x(y)) - self.wide(self.target, y) - 3


@dataclass(frozen=True)
class Timeline:
    """One action, frame by frame (T)."""

    target: Track
    prop: Track | None
    grip: Track  # where the fingers hold; z includes the height of the hold above the foot
    reach: np.ndarray  # (T,) 1: the fingers are at the grip; 0: the hand is out of view at the shoulder
    twist: np.ndarray  # (T,) the wrist's turn, degrees clockwise
    acting: np.ndarray  # (T,) bool: the hand is doing it
    inside: np.ndarray  # (T,) bool: the target is within the container's walls
    dropped: np.ndarray  # (T,) bool: the target is below the table top, behind its edge
    shoulder: tuple[float, float]  # where the forearm points from, outside the image
    holds_prop: bool


def draw_timeline(rng: np.random.Generator, label: str, cast: Cast, num_frames: int) -> Timeline:
    """Draw the paths of action `label` over `num_frames` frames."""
    if label in REVERSE_OF:
        return backwards(_FORWARD[REVERSE_OF[label]](rng, cast, num_frames))
    return _FORWARD[label](rng, cast, num_frames)


def _push_right(rng: np.random.Generator, cast: Cast, num_frames: int) -> Timeline:
    phases = draw_phases(rng, num_frames)
    y = rng.uniform(cast.stage.back + 18, 98)
    low, high = 14.0, min(SIZE - 14.0, cast.right_end(y))
    way = rng.uniform(36, min(62, high - low))
    x = rng.uniform(low, high - way)
    course = phases.spread(draw_course(rng, phases.acting))
    target = rest(num_frames, x, y, yaw=rng.uniform(0, 360))
    target = target.moved(x=x + way * course, y=y + rng.uniform(-4, 4) * (course - 0.5))
    return _handled(rng, cast, target, phases)


def _lift(rng: np.random.Generator, cast: Cast, num_frames: int) -> Timeline:
    phases = draw_phases(rng, num_frames)
    y = rng.uniform(68, 100)
    x = rng.uniform(22, min(90, cast.right_end(y)))
    height = rng.uniform(28, min(46, y - cast.tall(cast.target, y) - 4))
    course = phases.spread(draw_course(rng, phases.acting))
    target = rest(num_frames, x, y, yaw=rng.uniform(0, 360))
    target = target.moved(x=x + rng.uniform(-5, 5) * course, z=height * course)
    return _handled(rng, cast, target, phases, keeps_hold=True)


def _bring_closer(rng: np.random.Generator, cast: Cast, num_frames: int) -> Timeline:
    phases = draw_phases(rng, num_frames)
    far, near = cast.stage.back + rng.uniform(8, 16), rng.uniform(90, 102)
    course = phases.spread(draw_course(rng, phases.acting))
    y = far + (near - far) * course
    # Along a ray to the vanishing point, give or take: straight towards the viewer.
    aside = rng.uniform(-30, min(30, (cast.stage.edge or 99) - cast.target.radius - 2))
    x = SIZE / 2 + (aside + rng.uniform(-5, 5) * (course - 0.5)) * cast.stage.scale(y)
    target = rest(num_frames, 0, 0, yaw=rng.uniform(0, 360)).moved(x=x, y=y)
    return _handled(rng, cast, target, phases)


def _carry_over(rng: np.random.Generator, cast: Cast, num_frames: int, *, covers: bool) -> Timeline:
    """Carry the object into its container, or the cover over the object."""
    assert cast.prop is not None
    phases = draw_phases(rng, num_frames)
    x, y, start_x, start_y = _two_places(rng, cast)
    peak = cast.tall(cast.target if covers else cast.prop, y) + rng.uniform(9, 16)
    across, up = arc(phases.spread(draw_course(rng, phases.acting)))
    end_y = y + 1 if covers else y - 2  # a cover ends nearer than the object and is drawn over it
    carried = rest(num_frames, 0, 0, yaw=rng.uniform(0, 360))
    carried = carried.moved(
        x=start_x + (x - start_x) * across,
        y=start_y + (end_y - start_y) * across,
        z=peak * up if covers else peak * up + across,  # one pixel above the container's floor
    )
    stays = rest(num_frames, x, y, yaw=rng.uniform(0, 360) if covers else rng.uniform(-25, 25))
    if covers:
        return _handled(rng, cast, stays, phases, prop=carried, holds_prop=True)
    return replace(_handled(rng, cast, carried, phases, prop=stays), inside=across > 0.5)


def _turn_clockwise(rng: np.random.Generator, cast: Cast, num_frames: int) -> Timeline:
    phases = draw_phases(rng, num_frames)
    y = rng.uniform(cast.stage.back + 26, 96)
    x = rng.uniform(24, min(88, cast.right_end(y)))
    course = phases.spread(draw_course(rng, phases.acting))
    target = rest(num_frames, x, y).moved(yaw=rng.uniform(0, 360) + rng.uniform(120, 210) * course)
    timeline = _handled(rng, cast, target, phases)
    return replace(timeline, twist=rng.uniform(75, 115) * (course - 0.5))


def _pick_up(rng: np.random.Generator, cast: Cast, num_frames: int, *, really: bool) -> Timeline:
    """Carry it up and off, the way the arm came; or do the same movement with an empty hand."""
    phases = draw_phases(rng, num_frames, after=int(rng.integers(0, 5)))
    y = rng.uniform(60, 98)
    x = rng.uniform(24, min(88, cast.right_end(y)))
    shoulder = _draw_shoulder(rng, x, y)
    course = phases.spread(draw_course(rng, phases.acting))
    lifted, gone = smoothstep(2 * course), np.clip((course - 0.3) / 0.7, 0, 1) ** 1.3 * rng.uniform(0.5, 0.85)
    still = rest(num_frames, x, y, yaw=rng.uniform(0, 360))
    carried = still.moved(
        x=x + (shoulder[0] - x) * gone, y=y + (shoulder[1] - y) * gone, z=rng.uniform(14, 24) * lifted
    )
    return _handled(rng, cast, carried if really else still, phases, held=carried, keeps_hold=True, shoulder=shoulder)


def _push_off(rng: np.random.Generator, cast: Cast, num_frames: int, *, falls: bool) -> Timeline:
    """Push it to the table's edge, where it tips; then it drops, or comes back."""
    phases = draw_phases(rng, num_frames, after=int(rng.integers(15, max(16, 11 * num_frames // 20))))
    y = rng.uniform(cast.stage.back + 22, 84)
    edge = float(cast.stage.edge_x(y))
    end = edge + rng.uniform(-1.5, 2.5)
    start = max(13.0, end - rng.uniform(30, 48))
    pushed = phases.spread(start + (end - start) * draw_course(rng, phases.acting))
    track = rest(num_frames, 0, y, yaw=rng.uniform(0, 360)).moved(x=pushed)
    last, tall = phases.before + phases.acting - 1, float(cast.tall(cast.target, y))
    target, dropped = tip_over(rng, track, last, edge=edge, tall=tall, falls=falls)
    return replace(_handled(rng, cast, target, phases, held=track, lingers=0.2), dropped=dropped)


_FORWARD: dict[str, Callable[[np.random.Generator, Cast, int], Timeline]] = {
    "Covering something": partial(_carry_over, covers=True),
    "Lifting something up": _lift,
    "Moving something closer": _bring_closer,
    "Picking something up": partial(_pick_up, really=True),
    "Pretending to pick something up": partial(_pick_up, really=False),
    "Pushing something right": _push_right,
    "Pushing something so that it almost falls": partial(_push_off, falls=False),
    "Pushing something so that it falls": partial(_push_off, falls=True),
    "Putting something into something": partial(_carry_over, covers=False),
    "Turning something clockwise": _turn_clockwise,
}


def _handled(
    rng: np.random.Generator,
    cast: Cast,
    target: Track,
    phases: Phases,
    *,
    prop: Track | None = None,
    held: Track | None = None,
    holds_prop: bool = False,
    keeps_hold: bool = False,
    shoulder: tuple[float, float] | None = None,
    lingers: float = 0.5,
) -> Timeline:
    """Add the hand: it comes, holds `held` (or the target, or the prop), and leaves unless it keeps hold."""
    num_frames, middle = len(target.x), len(target.x) // 2
    thing, share = cast.target, _GRIP_SHARE
    if holds_prop and prop is not None and cast.prop is not None:
        thing, share, held = cast.prop, 1.0, prop
    held = held or target
    grip = held.moved(z=held.z + share * cast.tall(thing, held.y))
    shoulder = shoulder or _draw_shoulder(rng, held.x[middle], held.y[middle])
    grip = _held_at_near_side(rng, grip, shoulder, middle, cast.wide(thing, held.y[middle]))
    leave = np.ones(phases.after) if keeps_hold else draw_reach(rng, phases.after, lingers=lingers)[::-1]
    acting = np.zeros(num_frames, bool)
    acting[phases.before : phases.before + phases.acting] = True
    return Timeline(
        target=target,
        prop=prop,
        grip=grip,
        reach=np.concatenate([draw_reach(rng, phases.before), np.ones(phases.acting), leave]),
        twist=np.zeros(num_frames),
        acting=acting,
        inside=np.zeros(num_frames, bool),
        dropped=np.zeros(num_frames, bool),
        shoulder=shoulder,
        holds_prop=holds_prop,
    )


def _held_at_near_side(
    rng: np.random.Generator, grip: Track, shoulder: tuple[float, float], middle: int, wide: float
) -> Track:
    """Move the fingers to the side that the arm comes from, so that the object stays in sight."""
    to_x = shoulder[0] - grip.x[middle]
    to_y = shoulder[1] - (grip.y[middle] - grip.z[middle])
    step = rng.uniform(0.15, 0.55) * wide / np.hypot(to_x, to_y)
    return grip.moved(x=grip.x + step * to_x, z=grip.z - step * to_y)


def _draw_shoulder(rng: np.random.Generator, x: float, y: float) -> tuple[float, float]:
    """Choose a place left of, right of or below the image, whatever the action; from below, the arm slants."""
    side = rng.integers(3)
    if side == 2:
        return x + rng.choice([-1, 1]) * rng.uniform(30, 75), SIZE + 44.0
    return (-42.0 if side == 0 else SIZE + 42.0), y + rng.uniform(-14, 42)


def _two_places(rng: np.random.Generator, cast: Cast) -> tuple[float, float, float, float]:
    """Draw (x, y) of what stays and, beside it, (x, y) of where the other begins; all on the table, in the image."""
    y = rng.uniform(64, 94)
    right = min(SIZE - 16.0, cast.right_end(y))
    apart = rng.uniform(34, 44)
    x = rng.uniform(18, right - apart)
    stays, begins = (x, x + apart) if rng.integers(2) == 0 else (x + apart, x)
    return stays, y, begins, float(np.clip(y + rng.uniform(-10, 8), 58, 98))
