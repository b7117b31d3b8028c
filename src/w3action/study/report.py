"""The runs of a table -> its rows: the paper's figures beside ours, each row against the one it is compared with."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from w3action.study.jobs import Result
from w3action.study.statistics import Difference, Summary, paired_difference, summarize
from w3action.study.tables import Row, Table


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


def compile_report(table: Table, results: dict[tuple[str, int], Result], *, about: dict[str, Any]) -> Report:
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
        runs, against = by_variant[row.variant], row.against or first
        lines.append(_line(row, runs, label_of.get(against), by_variant.get(against, {})))
    num_clips = len(next(iter(by_variant[first].values())).correct) if rows else 0
    return Report(table, tuple(lines), num_clips, about)


def _line(row: Row, runs: dict[int, Result], against: str | None, reference: dict[int, Result]) -> Line:
    shared = [seed for seed in runs if seed in reference]
    difference = None
    if shared and against != row.label:
        ours, theirs = (np.stack([chosen[seed].correct for seed in shared]) for chosen in (runs, reference))
        difference = paired_difference(ours, theirs)
    some = next(iter(runs.values()))
    return Line(
        label=row.label,
        variant=row.variant,
        curve=row.curve,
        paper_top1=row.paper_top1,
        top1=summarize([result.top1 for result in runs.values()]),
        against=None if difference is None else against,
        difference=difference,
        gflops=some.gflops,
        paper_gflops=row.paper_gflops,
        params=some.params,
        train_top1=float(np.mean([result.train_top1 for result in runs.values()])),
        train_clips_per_second=float(np.median([result.train_clips_per_second for result in runs.values()])),
        eval_clips_per_second=float(np.median([result.eval_clips_per_second for result in runs.values()])),
        seeds=tuple(runs),
    )
