"""A table's JSON as text on the terminal."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


def show(path: Path) -> None:
    """Print a table that `write_report` wrote, and where its page is."""
    content = json.loads(path.read_text())
    console = Console()
    console.print(_figure(content) if content["table"] == "figure3" else _table(content))
    console.print(str(path.with_suffix(".html")), highlight=False, markup=False, soft_wrap=True)


def _figure(content: dict[str, Any]) -> Table:
    table = Table("network", "stage", "on the hand, acting", "doing nothing", title=content["title"])
    for line in content["rows"]:
        table.add_row(line["variant"], str(line["stage"]), _spread(line["acting"], 3), _spread(line["idle"], 3))
    return table


def _table(content: dict[str, Any]) -> Table:
    table = Table("row", "paper", "seeds", "top-1", "difference", "GFLOPs", "clips/s", title=content["title"])
    first = content["rows"][0]["label"]
    for line in content["rows"]:
        gap = line["difference"]
        of = "" if line["against"] in (None, first) else f"\nvs {line['against']}"
        table.add_row(
            line["label"],
            "" if line["paper_top1"] is None else f"{line['paper_top1']:.1f}",
            str(len(line["seeds"])),
            _spread(line["top1"], 1),
            "" if gap is None else f"{gap['mean']:+.1f} [{gap['low']:+.1f}, {gap['high']:+.1f}]{of}",
            f"{line['gflops']:.3f}",
            f"{line['train_clips_per_second']:.0f}",
        )
    table.caption = f"differences from {first!r}, 95 % interval; clips/s in training"
    return table


def _spread(summary: dict[str, Any], digits: int) -> str:
    mean, std = summary["mean"], summary["std"]
    return f"{mean:.{digits}f}" + ("" if std is None else f" ± {std:.{digits}f}")
