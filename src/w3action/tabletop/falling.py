"""Over the table's edge: tipping about it, then dropping, or coming back.

Up to the moment of decision both outcomes are drawn alike.
"""

import numpy as np

from w3action.tabletop.motion import Track

_GRAVITY = 0.9  # pixels per frame squared: gentle, so that a model that samples few frames can see the fall


def tip_over(
    rng: np.random.Generator, track: Track, last_pushed: int, *, edge: float, tall: float, falls: bool
) -> tuple[Track, np.ndarray]:
    """``track`` with its tail, from frame ``last_pushed`` on, tipping to the right over the edge.

    Args:
        rng: randomness.
        track: the push, at rest after ``last_pushed``.
        last_pushed: the last frame of the push.
        edge: the edge's column where the object stands, pixels.
        tall: the object's height on the screen, pixels.
        falls: whether it drops in the end.

    Returns:
        The new track and, per frame, whether the object is below the table top.
    """
    tips, hangs, decides = int(rng.integers(3, 6)), int(rng.integers(0, 4)), int(rng.integers(3, 5))
    peak, sway = rng.uniform(24, 38), rng.uniform(0, 4)
    drift, spin, settles = rng.uniform(0.8, 1.8), rng.uniform(10, 20), max(0.0, rng.uniform(-2, 8))
    up = peak * np.sin(np.linspace(0, np.pi / 2, tips + 1)[1:]) ** 1.5
    hang = peak + sway * np.sin(np.arange(hangs) * 1.7)
    way = np.linspace(0, 1, decides + 1)[1:]
    tail = peak + (90 - peak) * way**1.5 if falls else peak * (1 - way * way * (3 - 2 * way))
    angle = np.concatenate([np.zeros(last_pushed + 1), up, hang, tail])
    num_frames = len(track.x)
    decided = len(angle)
    angle = np.concatenate([angle, np.full(max(0, num_frames - decided), angle[-1])])[:num_frames]

    # The object turns about the edge: its centre starts `lean` beyond it and half its height up.
    turn, lean, half = np.radians(angle), track.x - edge, tall / 2
    tipping = np.arange(num_frames) > last_pushed
    x = np.where(tipping, edge + lean * np.cos(turn) + half * np.sin(turn), track.x)
    z = np.where(tipping, half * np.cos(turn) - lean * np.sin(turn) - half, 0.0)
    dropped = np.zeros(num_frames, bool)
    if falls:
        t = np.clip(np.arange(num_frames) - decided + 1, 0, None)  # frames since it lost the table
        x = x + drift * t
        z = z - 2.2 * t - 0.5 * _GRAVITY * t * t
        angle = angle + spin * t
        dropped = t > 0
    else:  # it may settle a little further in
        x = x - settles * np.clip((np.arange(num_frames) - decided + 3) / 4, 0, 1)
    return track.moved(x=x, z=z, roll=angle), dropped
