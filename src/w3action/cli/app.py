"""What the verbs share: the command itself, its kinds of arguments, a progress bar, the line of an error."""

import dataclasses
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

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
def progress_bar(what: str, *, total: int | None = None, hidden: bool = False) -> Iterator[Callable[..., None]]:
    """Show a progress bar on standard error.

    Yields:
        update(advance=..., completed=..., total=...): moves the bar.
    """
    columns = (TextColumn(what), BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn(compact=True))
    console = Console(stderr=True)
    hidden = hidden or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as progress:
        yield partial(progress.update, progress.add_task("", total=total))


def show(content: Any, text: object, *, as_json: bool) -> None:
    """Print a dataclass or plain data as JSON, or the text that says the same."""
    content = dataclasses.asdict(content) if dataclasses.is_dataclass(content) else content
    print(json.dumps(content, indent=2) if as_json else text)


def complain(error: Exception) -> None:
    """Print an error as one line."""
    print(f"w3: {' '.join(str(error).split())}", file=sys.stderr)
