"""What the recipes gave here: the reports of `w3 eval` and `w3 fuse` in a folder, to stand beside the paper's rows."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w3action.recipes import PaperRow, PaperTable


@dataclass(frozen=True)
class Result:
    """A report's figures by the names that columns have in the paper: "top-1", "val top-1", "verb top-5 S1"."""

    recipes: tuple[str, ...]
    protocol: str
    figures: dict[str, float]


def find_results(folder: Path) -> list[Result]:
    """Read every report below a folder, the newest last; files that are none are passed over."""
    reports = [*folder.rglob("eval_*.json"), *folder.rglob("fused.json")]
    found = (_read(path) for path in sorted(reports, key=lambda path: path.stat().st_mtime))
    return [result for result in found if result is not None]


def figures_of(table: PaperTable, row: PaperRow, results: Iterable[Result]) -> tuple[float | None, ...]:
    """Return ours for every column of a row, None where there is none."""
    ours: dict[str, float] = {}
    for result in results:
        if sorted(result.recipes) == sorted(row.runs) and result.protocol == row.protocol:
            ours |= result.figures
    return tuple(ours.get(column) for column in table.columns)


def _read(path: Path) -> Result | None:
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        parts = report.get("fused", [report])
        recipes = tuple(part["recipe"] for part in parts)
        protocol, split = parts[0]["protocol"], parts[0]["split"]
        figures = _figures(report)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # another program's file, or an older version's
    if split is not None:  # the paper puts it before or behind: "val top-1", "top-1 S1"
        figures |= {f"{split} {name}": value for name, value in figures.items()} | {
            f"{name} {split}": value for name, value in figures.items()
        }
    return Result(recipes, protocol, figures)


def _figures(report: dict[str, Any]) -> dict[str, float]:
    figures = {"top-1": report["top1"], "top-5": report["top5"]}
    for task, part in report.get("tasks", {}).items():  # of several labellings, the whole is the action
        figures |= {f"{task} top-1": part["top1"], f"{task} top-5": part["top5"]}
    if "tasks" in report:
        figures |= {"action top-1": report["top1"], "action top-5": report["top5"]}
    return figures
