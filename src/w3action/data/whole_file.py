"""Files that appear whole or not at all: written beside their place under another name, then renamed."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give the path to write to; when the block ends well, that file is on the disk and becomes `path`.

    Raises:
        OSError: the disk is full or fails.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    with part.open("rb") as file:
        os.fsync(file.fileno())  # else a power cut could leave an empty file of the new name
    os.replace(part, path)


def write_text(path: Path, text: str) -> None:
    """Write a text file as UTF-8.

    Raises:
        OSError: the disk is full or fails.
    """
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8", newline="")


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write one line each, as `classes.txt` has them.

    Raises:
        OSError: the disk is full or fails.
    """
    write_text(path, "".join(f"{line}\n" for line in lines))
