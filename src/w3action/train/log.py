"""What a person sees of a run: a progress bar, a line per epoch, `metrics.csv`, TensorBoard."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from accelerate import Accelerator
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from w3action.runs.folder import write_metrics


class RunLog:
    """Writes for the main process and is silent in the others."""

    def __init__(self, out: Path, accelerator: Accelerator, *, title: str, num_epochs: int):
        self.out = out
        self.accelerator = accelerator
        self.title = title
        self.num_epochs = num_epochs
        self.warned: set[str] = set()
        self.console = Console(quiet=not accelerator.is_main_process, highlight=False, soft_wrap=True)

    def say(self, message: str) -> None:
        """Print a line."""
        self.console.print(f"[bold]{escape(self.title)}[/]  {escape(message)}")

    def warn(self, message: str) -> None:
        """Print a warning, once however often it is given."""
        if message in self.warned:
            return
        self.warned.add(message)
        self.console.print(f"[bold]{escape(self.title)}[/]  [yellow]warning:[/] {escape(message)}")

    @contextmanager
    def bar(self, what: str, total: int, *, done: int = 0) -> Iterator[Callable[..., None]]:
        """Show a progress bar over `total` clips, of which `done` are done, with clips per second and time left.

        Yields:
            advance(num_clips, *, note=""): counts clips as done, and shows the note at the bar's end.
        """
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
        task = progress.add_task("", total=total, completed=done, rate="", note="")

        def advance(num_clips: int, *, note: str = "") -> None:
            progress.advance(task, num_clips)
            speed = progress.tasks[0].speed
            progress.update(task, rate=f"{speed:.0f}/s" if speed else "", note=note)

        with progress:
            yield advance

    def epoch(self, row: dict[str, float], history: list[dict[str, float]]) -> None:
        """Print an epoch's line and write all of the history."""
        numbers = "  ".join(f"{key} {value:.4g}" for key, value in row.items() if key != "epoch")
        self.say(f"epoch {int(row['epoch'])}/{self.num_epochs}  {numbers}")
        if self.accelerator.is_main_process:
            write_metrics(self.out, history)
        self.accelerator.log(row, step=int(row["epoch"]))
