"""A table's JSON as text on the terminal."""

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table


def show(path: Path) -> None:
    """Print a table that `write_report` wrote, and where its page is."""
    content = json.loads(path.read_text())
    table = Table(
        "row", "paper", "top-1", "difference", "GFLOPs", "parameters", "train clips/s", title=content["title"]
    )
    for line in content["rows"]:
        top1, gap = line["top1"], line["difference"]
        table.add_row(
            line["label"],
            "" if line["paper_top1"] is None else f"{line['paper_top1']:.1f}",
            f"{top1['mean']:.1f}" + ("" if top1["std"] is None else f" ± {top1['std']:.1f}"),
            "" if gap is None else f"{gap['mean']:+.1f} [{gap['low']:+.1f}, {gap['high']:+.1f}] vs {line['against']}",
            f"{line['gflops']:.3f}",
            f"{line['params'] / 1e6:.2f} M",
            f"{line['train_clips_per_second']:.0f}",
        )
    console = Console()
    console.print(table)
    console.print(str(path.with_suffix(".html")), highlight=False, markup=False, soft_wrap=True)
