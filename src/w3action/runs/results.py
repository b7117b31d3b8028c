"""What the recipes reached here: reports of `w3 eval` and `w3 fuse` in a folder, to stand beside the paper's rows."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w3action.recipes import PaperRow, PaperTable


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
    reports = [*folder.rglob("eval_*.json"), *folder.rglob("fused.json")]
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
    figures = {"top-1": report["top1"], "top-5": report["top5"]}
    for task, part in report.get("tasks", {}).items():  # with several labellings, the outcome is the action
        figures |= {f"{task} top-1": part["top1"], f"{task} top-5": part["top5"]}
    if "tasks" in report:
        figures |= {"action top-1": report["top1"], "action top-5": report["top5"]}
    return figures
