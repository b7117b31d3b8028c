"""Files that appear whole or not at all: written beside their place under another name, then renamed."""

import csv
import errno
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield the path to write to; when the block ends well, that file is on disk and becomes `path`.

    Until then what stood at `path` stays. The folder is made if it is missing.

    Raises:
        OSError: the disk is full or the folder cannot be written; the old file is untouched.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}")  # two processes may write the same file
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        with part.open("r+b") as file:
            os.fsync(file.fileno())  # else a power cut could leave an empty file of the new name
        part.replace(path)
    except OSError as error:
        own = (None, str(part), *map(str, path.parents))
        if error.errno is None or error.filename not in own:  # of another file, which the block reads, or library
            raise
        remedy = (
            "make room and run it again (w3 train: with --resume)"
            if error.errno == errno.ENOSPC
            else "check the folder and its rights"
        )
        raise OSError(
            error.errno, f"{error.strerror}; the last complete version is untouched, {remedy}", str(path)
        ) from error
    finally:
        with suppress(FileNotFoundError, NotADirectoryError):
            part.unlink()


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        OSError: as for `whole_file`.
    """
    with whole_file(path) as part:
        part.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write a text file as UTF-8; line ends stay as they are given.

    Raises:
        OSError: as for `whole_file`.
    """
    write_bytes(path, text.encode())


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a text file of these lines, such as `classes.txt`.

    Raises:
        OSError: as for `whole_file`.
    """
    write_text(path, "".join(f"{line}\n" for line in lines))


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, indented.

    Raises:
        OSError: as for `whole_file`.
    """
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table with the names of its columns in the first line; None becomes an empty cell.

    Raises:
        OSError: as for `whole_file`.
    """
    with whole_file(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        table.writerows(rows)


def render_page(path: Path, template: str, **values: Any) -> None:
    """Write a page for a browser: a template of `templates/`, by its name without `.html.j2`, filled with values.

    Raises:
        OSError: as for `whole_file`.
    """
    import jinja2  # late: only pages need it

    environment = jinja2.Environment(loader=jinja2.PackageLoader("w3action", "templates"), autoescape=True)
    write_text(path, environment.get_template(f"{template}.html.j2").render(**values))
