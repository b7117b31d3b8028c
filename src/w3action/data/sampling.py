"""Which frames of a video a network sees: segment and dense sampling as pure functions of the frame count.

Segment sampling (TSN, TSM; the paper's "common practice") cuts the video into `num_segments` parts and takes
one frame of each; dense sampling (I3D, Kinetics) takes frames at a fixed stride out of a window.

Every function maps a number of frames to 0-based frame indices of shape (num_clips, num_segments), int64, and
never looks at the video. Where a video is shorter than `num_segments`, frames repeat. Randomness comes from
`rng` alone.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

Indices = Int64[np.ndarray, "clips segments"]


def train_segments(num_frames: int, *, num_segments: int, rng: np.random.Generator) -> Indices:
    """Draw one random frame of each of `num_segments` equal parts.

    With d = num_frames // num_segments, segment i gives frame i * d + a random one of its d; the remainder at
    the end of the video is never seen. A video of fewer frames than segments gives frame 0 for all of them.
    """
    check_positive(num_frames=num_frames, num_segments=num_segments)
    length = num_frames // num_segments
    if length == 0:
        return np.zeros((1, num_segments), np.int64)
    return (np.arange(num_segments) * length + rng.integers(length, size=num_segments))[None]


def test_segments(num_frames: int, *, num_segments: int) -> Indices:
    """Take the middle frame of each segment: int(tick / 2 + tick * i) with tick = num_frames / num_segments."""
    check_positive(num_frames=num_frames, num_segments=num_segments)
    tick = num_frames / num_segments
    return (tick / 2 + tick * np.arange(num_segments)).astype(np.int64)[None]


def twice_segments(num_frames: int, *, num_segments: int) -> Indices:
    """Take two clips: the middle frames of `test_segments`, then the first frame int(tick * i) of each segment."""
    middles = test_segments(num_frames, num_segments=num_segments)
    starts = (num_frames / num_segments * np.arange(num_segments)).astype(np.int64)[None]
    return np.concatenate([middles, starts])


def train_dense(num_frames: int, *, num_segments: int, rng: np.random.Generator, window: int = 64) -> Indices:
    """Take frames at stride window // num_segments from a random start; beyond the end they go on from frame 0.

    The start is uniform over those at which the window fits into the video (0 where it does not).
    """
    check_positive(num_frames=num_frames, num_segments=num_segments, window=window)
    starts = rng.integers(max(0, num_frames - window) + 1, size=1)
    return _dense(num_frames, starts=starts, num_segments=num_segments, window=window)


def test_dense(
    num_frames: int,
    *,
    num_segments: int,
    num_clips: int = 10,  # noqa: PT028
    window: int = 64,  # noqa: PT028
) -> Indices:
    """`num_clips` dense clips whose starts are evenly spaced from 0 to max(0, num_frames - window)."""
    check_positive(num_frames=num_frames, num_segments=num_segments, num_clips=num_clips, window=window)
    starts = np.linspace(0, max(0, num_frames - window), num=num_clips).astype(np.int64)
    return _dense(num_frames, starts=starts, num_segments=num_segments, window=window)


def check_indices(indices: Sequence[int] | np.ndarray, *, count: int) -> Int64[np.ndarray, " t"]:
    """Return indices of any shape row by row.

    Raises:
        ValueError: no indices, or some outside of [0, count).
    """
    flat = np.asarray(indices).ravel()
    if not len(flat) or flat.dtype.kind not in "iu" or flat.min() < 0 or flat.max() >= count:
        raise ValueError(
            f"indices are {flat.tolist()[:16]} of {count} frames: give at least one whole number, all in [0, {count})"
        )
    return flat.astype(np.int64)


def _dense(num_frames: int, *, starts: np.ndarray, num_segments: int, window: int) -> Indices:
    stride = max(1, window // num_segments)  # more segments than frames in the window: successive frames
    return (starts[:, None] + stride * np.arange(num_segments)) % num_frames  # (clips, segments)


def check_positive(**counts: int) -> None:
    """Raise a ValueError that names the first count below 1."""
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} is {count} but must be at least 1: give a positive whole number")
