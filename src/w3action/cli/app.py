"""What the verbs share: the command itself, its kinds of arguments, a progress bar, the line of an error."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

app = tyro.extras.SubcommandApp()
data_app = tyro.extras.SubcommandApp()
bench_app = tyro.extras.SubcommandApp()
app.command(data_app, name="data", help="Make and look after data sets.")
app.command(bench_app, name="bench", help="Measure what a network costs.")


def local_path(given: str) -> Path:
    """Return a path; of the URL of a packed set's index, that of its copy here."""
    from w3action.data.mirror import is_url, mirror_index

    return mirror_index(given) if is_url(given) else Path(given)


Settings = Annotated[
    tyro.conf.UseAppendAction[list[tuple[str, ...]]], tyro.conf.arg(name="set", metavar="KEY=VALUE ...")
]
AsJson = Annotated[bool, tyro.conf.arg(name="json", help="Print JSON instead of text.")]
PositionalPath = Annotated[Path, tyro.conf.Positional]
_PATH_OR_URL = tyro.constructors.PrimitiveConstructorSpec(
    nargs=1,
    metavar="PATH|URL",
    instance_from_str=lambda given: local_path(given[0]),
    is_instance=lambda given: isinstance(given, Path),
    str_from_instance=lambda path: [str(path)],
)
VideosPath = Annotated[Path, _PATH_OR_URL]  # labelled videos: a folder, a manifest, the index of a packed set anywhere
PositionalVideos = Annotated[Path, _PATH_OR_URL, tyro.conf.Positional]
PositionalName = Annotated[str, tyro.conf.Positional]


@contextmanager
def progress_bar(what: str, *, total: int | None = None, hidden: bool = False) -> Iterator[tuple[Progress, TaskID]]:
    """Show a progress bar on standard error."""
    columns = (TextColumn(what), BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn(compact=True))
    console = Console(stderr=True)
    hidden = hidden or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as progress:
        yield progress, progress.add_task("", total=total)


def complain(error: Exception) -> None:
    """Print an error as one line."""
    print(f"w3: {' '.join(str(error).split())}", file=sys.stderr)
