"""A table as a person and a program read it: `TABLE.json`, `.csv`, `.png` and `.html` in the study's folder."""

import csv
import dataclasses
import io
import json
from collections.abc import Sequence
from pathlib import Path

import jinja2

from w3action.files import write_bytes
from w3action.study.plots import draw_curves, draw_table
from w3action.study.report import Line, Report
from w3action.study.statistics import Difference, Summary

COLUMNS = (
    *("row", "variant", "paper_top1", "top1_mean", "top1_std", "num_seeds", "against", "difference", "low", "high"),
    *("gflops", "params", "train_top1", "train_clips_per_second", "eval_clips_per_second"),
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
    write_bytes(stem.with_suffix(".json"), (json.dumps(content, indent=2) + "\n").encode())
    write_bytes(stem.with_suffix(".csv"), _as_csv(report.lines).encode())
    draw = draw_curves if report.table.axis else draw_table
    draw(stem.with_suffix(".png"), report)
    environment = jinja2.Environment(loader=jinja2.PackageLoader("w3action", "templates"), autoescape=True)
    page = environment.get_template("study.html.j2").render(
        report=report,
        has_paper=any(line.paper_top1 for line in report.lines),
        fewest=min((len(line.seeds) for line in report.lines), default=0),
        most=max((len(line.seeds) for line in report.lines), default=0),
        cell=cell,
        gap=gap,
    )
    write_bytes(stem.with_suffix(".html"), page.encode())
    return stem.with_suffix(".html")


def _as_csv(lines: Sequence[Line]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for line in lines:
        by = line.difference
        found = (None, None, None) if by is None else (by.mean, by.low, by.high)
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
