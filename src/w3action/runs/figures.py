"""Figures in reports: as `w3 eval` and `w3 fuse` write them, and read back to stand beside the paper's rows."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w3action.evaluate import Metrics
from w3action.recipes import PaperRow, PaperTable
from w3action.runs.folder import FUSED_REPORT_FILE, REPORT_FILE


def metrics_as_json(metrics: Metrics, classes: Sequence[str]) -> dict[str, Any]:
    """Return what a report says of metrics; without a confusion matrix, nothing of single classes."""
    figures = {"top1": metrics.top1, "top5": metrics.top5, "mean_class_accuracy": metrics.mean_class_accuracy}
    if metrics.confusion is None:
        return figures
    per_class = dict(zip(classes, metrics.per_class, strict=True))
    return {**figures, "per_class": per_class, "confusion": metrics.confusion.tolist()}


@dataclass(frozen=True)
class Result:
    """A report's figures by the names that columns have in the paper: "top-1", "val top-1", "verb top-5 S1"."""

    recipes: tuple[str, ...]
    protocol: str
    changed: tuple[str, ...]  # settings that are not the recipes'
    figures: dict[str, float]


@dataclass(frozen=True)
class Ours:
    """What stands beside a row of the paper."""

    figures: tuple[float | None, ...]  # for every column; None where there is none
    changed: tuple[str, ...]  # settings that were not the recipe's


def find_results(folder: Path) -> list[Result]:
    """Read every report below a folder, the newest last; files that are no reports are passed over."""
    reports = [*folder.rglob(REPORT_FILE.format("*")), *folder.rglob(FUSED_REPORT_FILE)]
    found = (_read(path) for path in sorted(reports, key=lambda path: path.stat().st_mtime))
    return [result for result in found if result is not None]


def ours_of(table: PaperTable, row: PaperRow, results: Sequence[Result]) -> Ours:
    """Return our figures for a row; runs with changed settings count only where none has the recipe's own."""
    fitting = [one for one in results if sorted(one.recipes) == sorted(row.runs) and one.protocol == row.protocol]
    fitting = [one for one in fitting if not one.changed] or fitting
    figures: dict[str, float] = {}
    for result in fitting:
        figures |= result.figures
    changed = sorted({name for result in fitting for name in result.changed})
    return Ours(tuple(figures.get(column) for column in table.columns), tuple(changed))


def _read(path: Path) -> Result | None:
    """Read a report; None if it is another program's, of no recipe, or of several protocols or splits."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        parts = report.get("fused", [report])
        recipes = tuple(part["recipe"] for part in parts)
        changed = tuple(name for part in parts for name in part["changed"])
        ((protocol, split),) = {(part["protocol"], part["split"]) for part in parts}
        figures = _figures(report)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if not all(isinstance(name, str) for name in (*recipes, protocol)):  # an imported network has no recipe
        return None
    if split is not None:  # the paper puts it before or behind: "val top-1", "top-1 S1"
        figures |= {f"{split} {name}": value for name, value in figures.items()} | {
            f"{name} {split}": value for name, value in figures.items()
        }
    return Result(recipes, protocol, changed, figures)


def _figures(report: dict[str, Any]) -> dict[str, float]:
    named = {"": report}
    if "tasks" in report:  # several labellings: what comes of them together is the action
        named |= {f"{task} ": part for task, part in report["tasks"].items()} | {"action ": report}
    return {f"{name}top-{k}": part[f"top{k}"] for name, part in named.items() for k in (1, 5)}
