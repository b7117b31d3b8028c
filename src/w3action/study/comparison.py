"""The runs of a table -> its rows: the paper's figures beside ours, each row against the one it is compared with.

Two networks are compared pair by pair: the same seeds, the same clips. The interval comes from a bootstrap that draws
both seeds and clips anew, because both were chosen by chance: another seed trains another network, another test set
asks other questions.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from w3action.study.jobs import Result, Results
from w3action.study.tables import Row, Table

RESAMPLES = 10_000
CHUNK = 100  # resamples at once, which bounds the memory for large test sets
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Summary:
    """A number over seeds, such as top-1 in percent."""

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


@dataclass(frozen=True)
class Line:
    """A row with the paper's figures and ours; rates are medians over seeds."""

    label: str
    variant: str
    curve: tuple[str, float] | None
    paper_top1: float | None
    top1: Summary
    against: str | None  # the label of the row compared with
    difference: Difference | None
    gflops: float
    paper_gflops: float | None
    params: int
    train_top1: float
    train_clips_per_second: float
    eval_clips_per_second: float
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Report:
    """A table, done."""

    table: Table
    lines: tuple[Line, ...]
    num_clips: int  # of the test set
    about: dict[str, Any]  # how to do it again


def compile_report(table: Table, results: Results, *, about: dict[str, Any]) -> Report:
    """Compute every row from its runs; rows without any run are left out.

    A row is compared over the seeds that it shares with the row it is compared with.
    """
    by_variant: dict[str, dict[int, Result]] = {}
    for (variant, seed), result in sorted(results.items(), key=lambda item: item[0][1]):
        by_variant.setdefault(variant, {})[seed] = result
    rows = [row for row in table.rows if row.variant in by_variant]
    first = rows[0].variant if rows else ""
    label_of = {row.variant: row.label for row in rows}
    lines = []
    for row in rows:
        against = row.against or first
        lines.append(_line(row, by_variant[row.variant], label_of.get(against), by_variant.get(against, {})))
    num_clips = len(next(iter(by_variant[first].values())).correct) if rows else 0
    return Report(table, tuple(lines), num_clips, about)


def _line(row: Row, runs: dict[int, Result], against: str | None, reference: dict[int, Result]) -> Line:
    results = list(runs.values())
    shared = [seed for seed in runs if seed in reference]
    difference = None
    if shared and against != row.label:
        ours, theirs = (np.stack([chosen[seed].correct for seed in shared]) for chosen in (runs, reference))
        difference = paired_difference(ours, theirs)
    return Line(
        label=row.label,
        variant=row.variant,
        curve=row.curve,
        paper_top1=row.paper_top1,
        top1=summarize([result.top1 for result in results]),
        against=None if difference is None else against,
        difference=difference,
        gflops=results[0].gflops,
        paper_gflops=row.paper_gflops,
        params=results[0].params,
        train_top1=float(np.mean([result.train_top1 for result in results])),
        train_clips_per_second=float(np.median([result.train_clips_per_second for result in results])),
        eval_clips_per_second=float(np.median([result.eval_clips_per_second for result in results])),
        seeds=tuple(runs),
    )


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
