"""What a person sees of a run: a progress bar, a line per epoch, `metrics.csv`, TensorBoard."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from accelerate import Accelerator
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

from w3action.files import write_bytes
from w3action.runs.folder import METRICS_FILE


class RunLog:
    """Writes for the main process and is silent in the others."""

    def __init__(self, out: Path, accelerator: Accelerator, *, title: str, num_epochs: int):
        self.out = out
        self.accelerator = accelerator
        self.title = title
        self.num_epochs = num_epochs
        self.console = Console(quiet=not accelerator.is_main_process, highlight=False, soft_wrap=True)

    def say(self, message: str) -> None:
        """Print a line."""
        self.console.print(f"[bold]{escape(self.title)}[/]  {escape(message)}")

    def warn(self, message: str) -> None:
        """Print a warning."""
        self.console.print(f"[bold]{escape(self.title)}[/]  [yellow]warning:[/] {escape(message)}")

    @contextmanager
    def bar(self, what: str, total: int, *, done: int = 0) -> Iterator["ClipBar"]:
        """Show a progress bar over `total` clips, of which `done` are done, with clips per second and time left."""
        progress = Progress(
            SpinnerColumn(),
            TextColumn(escape(f"{self.title}  {what}")),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("clips  {task.fields[rate]}"),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[note]}"),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,  # in a log file a bar is noise
        )
        with progress:
            yield ClipBar(progress, total, done)

    def epoch(self, row: dict[str, float], history: list[dict[str, float]]) -> None:
        """Print an epoch's line and write all of the history."""
        numbers = "  ".join(f"{key} {value:.4g}" for key, value in row.items() if key != "epoch")
        self.say(f"epoch {int(row['epoch'])}/{self.num_epochs}  {numbers}")
        if self.accelerator.is_main_process:
            keys = list(dict.fromkeys(key for past in history for key in past))
            text = io.StringIO()
            writer = csv.DictWriter(text, keys, lineterminator="\n")
            writer.writeheader()
            writer.writerows(history)
            write_bytes(self.out / METRICS_FILE, text.getvalue().encode())
        self.accelerator.log(row, step=int(row["epoch"]))


class ClipBar:
    """A bar over clips."""

    def __init__(self, progress: Progress, total: int, done: int):
        self.progress = progress
        self.task = progress.add_task("", total=total, completed=done, rate="", note="")

    def advance(self, num_clips: int, *, note: str = "") -> None:
        """Count clips as done."""
        self.progress.advance(self.task, num_clips)
        speed = self.progress.tasks[0].speed
        self.progress.update(self.task, rate=f"{speed:.0f}/s" if speed else "", note=note)
