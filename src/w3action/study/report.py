"""A table's results as a person and a program read them: JSON, CSV, a page with plots.

`compile_report` joins the paper's column with ours; `write_report` puts `TABLE.json`, `TABLE.csv`, `TABLE.png` and
`TABLE.html` into the study's folder.
"""

import csv
import dataclasses
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from w3action.models.checkpoint import write_atomically
from w3action.study.plots import draw_curves, draw_table
from w3action.study.runs import Result
from w3action.study.statistics import Difference, Summary, paired_difference, summarize
from w3action.study.tables import Row, Table

COLUMNS = (
    *("row", "variant", "paper_top1", "top1_mean", "top1_std", "num_seeds", "against", "difference", "low", "high"),
    *("gflops", "params", "train_top1", "train_clips_per_second", "eval_clips_per_second"),
)


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


def write_report(report: Report, out: Path) -> Path:
    """Write the four files and return the page's path."""
    out.mkdir(parents=True, exist_ok=True)
    stem = out / report.table.name
    content = {
        "table": report.table.name,
        "title": report.table.title,
        "num_clips": report.num_clips,
        "about": report.about,
        "rows": [dataclasses.asdict(line) for line in report.lines],
    }
    write_atomically(stem.with_suffix(".json"), (json.dumps(content, indent=2) + "\n").encode())
    write_atomically(stem.with_suffix(".csv"), _as_csv(report.lines).encode())
    draw = draw_curves if report.table.axis else draw_table
    draw(stem.with_suffix(".png"), report)
    environment = jinja2.Environment(loader=jinja2.PackageLoader("w3action", "templates"), autoescape=True)
    page = environment.get_template("study.html.j2").render(
        report=report,
        has_paper=any(line.paper_top1 for line in report.lines),
        num_seeds=max((len(line.seeds) for line in report.lines), default=0),
        cell=cell,
        gap=gap,
    )
    write_atomically(stem.with_suffix(".html"), page.encode())
    return stem.with_suffix(".html")


def _as_csv(lines: Sequence[Line]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for line in lines:
        gap = line.difference
        found = (None, None, None) if gap is None else (gap.mean, gap.low, gap.high)
        ours = (line.label, line.variant, line.paper_top1, line.top1.mean, line.top1.std, len(line.seeds), line.against)
        cost = (line.gflops, line.params, line.train_top1, line.train_clips_per_second, line.eval_clips_per_second)
        writer.writerow([*ours, *found, *cost])
    return text.getvalue()


def cell(summary: Summary) -> str:
    """Say a mean with its spread."""
    return f"{summary.mean:.1f}" + ("" if summary.std is None else f" ± {summary.std:.1f}")


def gap(difference: Difference | None) -> str:
    """Say a difference with its interval."""
    if difference is None:
        return ""
    return f"{difference.mean:+.1f} [{difference.low:+.1f}, {difference.high:+.1f}]"
