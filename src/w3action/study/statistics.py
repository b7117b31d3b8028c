"""What a few seeds can tell: mean, spread, and the difference of two networks with its uncertainty.

Two networks are compared pair by pair: the same seeds, the same clips. The interval comes from a bootstrap that draws
both seeds and clips anew, because both were chosen by chance: another seed trains another network, another test set
asks other questions.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

RESAMPLES = 10_000
CHUNK = 100  # resamples at once, which bounds the memory for large test sets
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Summary:
    """Top-1 over seeds, in percent."""

    mean: float
    std: float | None  # of a sample; None for a single seed
    values: tuple[float, ...]


@dataclass(frozen=True)
class Difference:
    """How many points one network is above another: the mean and its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0


def summarize(values: list[float]) -> Summary:
    """Summarize one number per seed."""
    std = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Summary(float(np.mean(values)), std, tuple(values))


def paired_difference(
    correct: Bool[np.ndarray, "seeds clips"], reference: Bool[np.ndarray, "seeds clips"], *, seed: int = 0
) -> Difference:
    """Compare two networks, run on the same seeds and asked about the same clips.

    Args:
        correct: whether each clip was right, by seed.
        reference: the same of the network to compare with.
        seed: of the resampling.

    Returns:
        The difference in points of top-1, with the percentiles of 10,000 resamples of seeds and clips.
    """
    assert correct.shape == reference.shape, (correct.shape, reference.shape)
    gain = 100.0 * (correct.astype(float) - reference.astype(float))  # (S, N)
    rng = np.random.default_rng(seed)
    resampled = np.concatenate([_resample(gain, rng, count=CHUNK) for _ in range(RESAMPLES // CHUNK)])
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(resampled, [tail, 100 - tail])
    return Difference(float(gain.mean()), float(low), float(high))


def _resample(
    gain: Float[np.ndarray, "seeds clips"], rng: np.random.Generator, *, count: int
) -> Float[np.ndarray, " count"]:
    """Draw seeds and clips with replacement, `count` times, and average; counting each is the same as listing them."""
    num_seeds, num_clips = gain.shape
    seeds = rng.multinomial(num_seeds, np.full(num_seeds, 1 / num_seeds), size=count)  # (R, S)
    clips = rng.multinomial(num_clips, np.full(num_clips, 1 / num_clips), size=count)  # (R, N)
    return (seeds * (clips @ gain.T)).sum(axis=1) / (num_seeds * num_clips)
