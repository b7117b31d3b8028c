"""Reading annotation files: finding them by name, lists of class names, rows of CSV, and errors that name the line."""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from w3action.data.video import ManifestError

_WHOLE = re.compile(r"\s*(-?\d+)(?:\.0*)?\s*")  # public lists hold a few numbers like "98.0"


def find_annotation(folder: Path, names: Sequence[str], *, inside: Sequence[str] = ()) -> Path:
    """The first of some files that exists in a folder, or in one of its sub-folders `inside`.

    Raises:
        ManifestError: there is none.
    """
    found = seek_annotation(folder, names, inside=inside)
    if found is None:
        raise ManifestError(
            f"{folder}: holds no {' or '.join(names)}; give the folder of the data set's annotation files as "
            "annotations, or a split whose files are there"
        )
    return found


def seek_annotation(folder: Path, names: Sequence[str], *, inside: Sequence[str] = ()) -> Path | None:
    """`find_annotation` where there may be none."""
    places = (place / name for place in (folder, *(folder / name for name in inside)) for name in names)
    return next((place for place in places if place.is_file()), None)


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number, text) of the lines that are not empty.

    Raises:
        ManifestError: the file cannot be read as text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: cannot be read ({error}); fetch it again") from error
    return ((number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip())


def read_rows(path: Path, *, columns: Sequence[str], delimiter: str = ",") -> Iterator[tuple[int, dict[str, str]]]:
    """(number, row) of a CSV file with a header.

    Raises:
        ManifestError: a column is missing, or a row lacks values.
    """
    lines = [line for _, line in read_lines(path)]
    reader = csv.DictReader(lines, delimiter=delimiter)
    absent = [name for name in columns if name not in (reader.fieldnames or ())]
    if absent:
        found = ", ".join(reader.fieldnames or ()) or "none"
        raise ManifestError(f"{path}: no column {absent[0]!r}; columns found: {found}; wanted: {', '.join(columns)}")
    for number, row in enumerate(reader, start=2):
        if any(row[name] is None for name in columns):
            raise ManifestError(f"{path}: line {number} has too few columns; fetch the file again")
        yield number, row


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        ManifestError: it is none.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ManifestError(f"{path}: cannot be read as JSON ({error}); fetch it again") from error


def read_class_list(path: Path) -> tuple[str, ...]:
    """Class names of a text file, one a line; numbers before the names ("1 ApplyLipstick") are taken off.

    Raises:
        ManifestError: no names in it, or one twice.
    """
    names = [line for _, line in read_lines(path)]
    numbered = [re.fullmatch(r"(\d+)[\s,]+(.+)", name) for name in names]
    matches = [match for match in numbered if match]
    if len(matches) == len(names) and [int(match[1]) for match in matches] in (
        list(range(len(names))),
        list(range(1, len(names) + 1)),
    ):
        names = [match[2] for match in matches]
    if not names:
        raise ManifestError(f"{path}: lists no class; give a file with one class name a line")
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise ManifestError(f"{path}: the class {twice!r} is listed twice; list each class once")
    return tuple(names)


def to_int(text: str, *, path: Path, number: int, what: str) -> int:
    """A whole number of an annotation file.

    Raises:
        ManifestError: it is none.
    """
    match = _WHOLE.fullmatch(text)
    if match is None:
        raise ManifestError(f"{path}: line {number}: {what} is {text!r} but must be a whole number; correct it")
    return int(match[1])


def class_of(label: int, classes: Sequence[str], *, path: Path, number: int, first: int = 0) -> str:
    """The name of class number `label`, where numbers count from `first`.

    Raises:
        ManifestError: there is no such class.
    """
    if not first <= label < first + len(classes):
        raise ManifestError(
            f"{path}: line {number}: the label is {label} but {len(classes)} classes count from {first} to "
            f"{first + len(classes) - 1}; give the class list of this data set"
        )
    return classes[label - first]


def choose_splits(split: str | None, *, allowed: Sequence[str], default: Sequence[str], name: str) -> tuple[str, ...]:
    """The splits to prepare: the one given, else the default ones.

    Raises:
        ManifestError: the data set has none of this name.
    """
    if split is not None and split not in allowed:
        raise ManifestError(f"{name} has no split {split!r}; it has {', '.join(allowed)}")
    return (split,) if split is not None else tuple(default)
