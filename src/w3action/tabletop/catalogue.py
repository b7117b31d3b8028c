"""The catalogue of the set: its sixteen actions, and which of them a video shows, from (seed, split, index) alone.

The names are in the spirit of Something-Something (Goyal et al., 2017): an action is what the hand does to an object,
whatever the object is. Each has a partner that only the order of frames tells apart.

Nothing here knows how many videos a set has, so video 17 of the validation split is the same in a set of 100 and of
100,000. Labels come in blocks of sixteen, each a permutation of the classes: any first n videos of a split hold each
class n/16 times, give or take one.
"""

import numpy as np

# second -> first: the second action's timeline IS the first one's, played backwards.
REVERSE_OF: dict[str, str] = {
    "Uncovering something": "Covering something",
    "Putting something down": "Lifting something up",
    "Moving something away": "Moving something closer",
    "Pushing something left": "Pushing something right",
    "Taking something out of something": "Putting something into something",
    "Turning something counterclockwise": "Turning something clockwise",
}

# Pairs that part only by what becomes of the object; no reversal turns one into the other.
OUTCOME_PAIRS: tuple[tuple[str, str], ...] = (
    ("Picking something up", "Pretending to pick something up"),
    ("Pushing something so that it falls", "Pushing something so that it almost falls"),
)

PAIRS: tuple[tuple[str, str], ...] = (*((b, a) for a, b in REVERSE_OF.items()), *OUTCOME_PAIRS)
CLASSES: tuple[str, ...] = tuple(sorted(name for pair in PAIRS for name in pair))  # a label's index is its place here

# What a clip shows once its frames are flipped left to right; every other action keeps its name.
FLIPPED: dict[str, str] = {name: name for name in CLASSES} | {
    "Pushing something left": "Pushing something right",
    "Pushing something right": "Pushing something left",
    "Turning something clockwise": "Turning something counterclockwise",
    "Turning something counterclockwise": "Turning something clockwise",
}

SPLITS: tuple[str, ...] = ("train", "val", "test")
_VIDEO, _LABELS = 0, 1  # spawn keys: drawing and labelling must not share a stream


def check_seed(seed: int) -> None:
    """Raise ValueError unless `seed` is an integer in [0, 2**32)."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**32:
        raise ValueError(f"seed must be an integer from 0 to 2**32 - 1, got {seed!r}")


def video_seed(seed: int, split: str, index: int) -> np.random.SeedSequence:
    """Return the seed of one video.

    Raises:
        ValueError: an unknown split, or a seed or index out of range.
    """
    return _sequence(seed, split, index, _VIDEO)


def video_label(seed: int, split: str, index: int) -> str:
    """Return the action that video `index` of `split` shows.

    Raises:
        ValueError: as for `video_seed`.
    """
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
