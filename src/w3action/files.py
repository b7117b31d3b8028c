"""Files that appear whole or not at all: written beside their place under another name, then renamed."""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


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
        if error.filename not in (None, str(part), str(path.parent)):  # of another file, which the block reads
            raise
        remedy = (
            "make room and go on with --resume" if error.errno == errno.ENOSPC else "check the folder and its rights"
        )
        raise OSError(
            error.errno, f"{error.strerror}; the last complete version is untouched, {remedy}", str(path)
        ) from error
    finally:
        part.unlink(missing_ok=True)


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
