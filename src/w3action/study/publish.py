"""A table as a person and a program read it: `TABLE.json`, `.csv`, `.png` and `.html` in the study's folder."""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from w3action.files import render_page, write_csv, write_json
from w3action.study.comparison import Difference, Line, Report, Summary, summarize
from w3action.study.gaze import GazeLine
from w3action.study.tables import FIGURE3

COLUMNS = (
    *("row", "variant", "paper_top1", "top1_mean", "top1_std", "num_seeds", "against", "difference", "low", "high"),
    *("gflops", "params", "train_top1", "train_clips_per_second", "eval_clips_per_second"),
)
GAZE_COLUMNS = ("variant", "stage", "ratio_acting", "ratio_idle", "level_acting", "level_idle", "num_frames")


def write_report(report: Report, out: Path) -> Path:
    """Write the four files of a table and return the page's path."""
    from w3action.study.plots import draw_curves, draw_table  # late: matplotlib is loaded where something is drawn

    table, stem = report.table, out / report.table.name
    page = _write(
        stem, table.title, report.lines, COLUMNS, _rows(report.lines), report.about, num_clips=report.num_clips
    )
    (draw_curves if table.axis else draw_table)(stem.with_suffix(".png"), report)
    num_seeds = [len(line.seeds) for line in report.lines] or [0]
    render_page(
        page,
        "table",
        report=report,
        name=table.name,
        title=table.title,
        about=report.about,
        has_paper=any(line.paper_top1 for line in report.lines),
        fewest=min(num_seeds),
        most=max(num_seeds),
        cell=cell,
        gap=gap,
    )
    return page


def write_figure3(lines: Sequence[GazeLine], out: Path, *, about: dict[str, Any]) -> Path:
    """Write the four files of figure 3 and return the page's path."""
    from w3action.study.plots import draw_figure3

    stem, title = out / "figure3", "Does the mask look at the hand?"
    page = _write(stem, title, lines, GAZE_COLUMNS, _gaze_rows(lines), about)
    draw_figure3(stem.with_suffix(".png"), lines)
    render_page(page, "figure3", name="figure3", title=title, about=about, lines=lines, labels=FIGURE3, cell=cell)
    return page


def _write(
    stem: Path,
    title: str,
    lines: Sequence[Line | GazeLine],
    columns: Sequence[str],
    rows: Iterator[Sequence[Any]],
    about: dict[str, Any],
    **facts: Any,
) -> Path:
    """Write the JSON and the CSV of a table, and return where its page belongs."""
    of_lines = [dataclasses.asdict(line) for line in lines]
    write_json(
        stem.with_suffix(".json"), {"table": stem.name, "title": title, **facts, "about": about, "rows": of_lines}
    )
    write_csv(stem.with_suffix(".csv"), columns, rows)
    return stem.with_suffix(".html")


def _rows(lines: Sequence[Line]) -> Iterator[Sequence[Any]]:
    for line in lines:
        by = line.difference
        found = (None, None, None) if by is None else (by.mean, by.low, by.high)
        ours = (line.label, line.variant, line.paper_top1, line.top1.mean, line.top1.std, len(line.seeds), line.against)
        cost = (line.gflops, line.params, line.train_top1, line.train_clips_per_second, line.eval_clips_per_second)
        yield (*ours, *found, *cost)


def _gaze_rows(lines: Sequence[GazeLine]) -> Iterator[Sequence[Any]]:
    for line in lines:
        ratios = (line.acting.mean, line.idle.mean)
        yield (line.variant, line.stage, *ratios, line.level_acting, line.level_idle, line.num_frames)


def show(path: Path) -> None:
    """Print a written table on the terminal, of its JSON file, and where its page is."""
    content = json.loads(path.read_text())
    console = Console()
    console.print(_figure3(content) if content["table"] == "figure3" else _table(content))
    console.print(str(path.with_suffix(".html")), highlight=False, markup=False, soft_wrap=True)


def _figure3(content: dict[str, Any]) -> Table:
    table = Table("network", "stage", "on the hand, acting", "doing nothing", title=content["title"])
    for line in content["rows"]:
        ratios = (cell(summarize(line[kind]["values"]), 3) for kind in ("acting", "idle"))
        table.add_row(line["variant"], str(line["stage"]), *ratios)
    return table


def _table(content: dict[str, Any]) -> Table:
    first = content["rows"][0]["label"]
    caption = f"differences from {first!r}, 95 % interval; clips/s in training"
    headings = ("row", "paper", "seeds", "top-1", "difference", "GFLOPs", "clips/s")
    table = Table(*headings, title=content["title"], caption=caption)
    for line in content["rows"]:
        difference, against = line["difference"], line["against"]
        table.add_row(
            line["label"],
            "" if line["paper_top1"] is None else f"{line['paper_top1']:.1f}",
            str(len(line["seeds"])),
            cell(summarize(line["top1"]["values"])),
            gap(difference and Difference(**difference)) + ("" if against in (None, first) else f"\nvs {against}"),
            f"{line['gflops']:.3f}",
            f"{line['train_clips_per_second']:.0f}",
        )
    return table


def cell(summary: Summary, digits: int = 1) -> str:
    """Say a mean with its spread."""
    return f"{summary.mean:.{digits}f}" + ("" if summary.std is None else f" ± {summary.std:.{digits}f}")


def gap(difference: Difference | None) -> str:
    """Say a difference with its interval."""
    if difference is None:
        return ""
    return f"{difference.mean:+.1f} [{difference.low:+.1f}, {difference.high:+.1f}]"
