"""Which random numbers and which label a video gets: a pure function of (seed, split, index).

Nothing here knows how many videos a set has, so video 17 of the validation split is the same in a set of 100
and of 100,000. Labels come in blocks of sixteen: every block is a permutation of the classes, so any first n
videos of a split hold each class n/16 times, give or take one.
"""

import numpy as np

from w3action.tabletop.classes import CLASSES

SPLITS: tuple[str, ...] = ("train", "val", "test")
_VIDEO, _LABELS = 0, 1  # spawn keys: drawing and labelling must not share a stream


def check_seed(seed: int) -> None:
    """Raise ValueError unless ``seed`` is an integer in [0, 2**32)."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**32:
        raise ValueError(f"seed must be an integer from 0 to 2**32 - 1, got {seed!r}")


def video_seed(seed: int, split: str, index: int) -> np.random.SeedSequence:
    """The seed of one video.

    Raises:
        ValueError: an unknown split, or a seed or index out of range.
    """
    return _sequence(seed, split, index, _VIDEO)


def video_label(seed: int, split: str, index: int) -> str:
    """The action that video ``index`` of ``split`` shows."""
    block, place = divmod(index, len(CLASSES))
    order = np.random.default_rng(_sequence(seed, split, block, _LABELS)).permutation(len(CLASSES))
    return CLASSES[order[place]]


def _sequence(seed: int, split: str, index: int, stream: int) -> np.random.SeedSequence:
    check_seed(seed)
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    if not 0 <= index < 2**32:
        raise ValueError(f"index must be from 0 to 2**32 - 1, got {index!r}")
    return np.random.SeedSequence([int(seed), SPLITS.index(split), int(index)], spawn_key=(stream,))
