"""Read annotation files: find them by name, take lines, rows and class names from them, name the line of a fault."""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from w3action.data.video import ManifestError

_WHOLE = re.compile(r"\s*(-?\d+)(?:\.0*)?\s*")  # public lists hold a few numbers like "98.0"


def find_file(folder: Path, names: Sequence[str], *, inside: Sequence[str] = ()) -> Path:
    """Return the first of some files that exists in a folder, or in one of its sub-folders `inside`.

    Raises:
        ManifestError: there is none.
    """
    found = seek_file(folder, names, inside=inside)
    if found is None:
        remedy = "give the folder of the data set's annotation files as annotations, or a split whose files are there"
        raise ManifestError(f"{folder}: holds no {' or '.join(names)}; {remedy}")
    return found


def seek_file(folder: Path, names: Sequence[str], *, inside: Sequence[str] = ()) -> Path | None:
    """Return what `find_file` would, or None."""
    places = (place / name for place in (folder, *(folder / name for name in inside)) for name in names)
    return next((place for place in places if place.is_file()), None)


class Line(NamedTuple):
    """A line of an annotation file, counted from 1."""

    path: Path
    number: int
    text: str

    def fault(self, what: str) -> ManifestError:
        """Return an error that names the line."""
        return ManifestError(f"{self.path}: line {self.number}: {what}")

    def split(self, pattern: str, form: str) -> tuple[str, ...]:
        """Return the groups of a pattern that the whole line must match; `form` is what a person is told.

        Raises:
            ManifestError: it is of another form.
        """
        match = re.fullmatch(pattern, self.text)
        if match is None:
            told = f"line {self.number} is {self.text[:80]!r} but must be {form}; correct it"
            raise ManifestError(f"{self.path}: {told}")
        return match.groups()

    def to_int(self, text: str, what: str) -> int:
        """Return a whole number that stands in the line.

        Raises:
            ManifestError: it is none.
        """
        match = _WHOLE.fullmatch(text)
        if match is None:
            raise self.fault(f"{what} is {text!r} but must be a whole number; correct it")
        return int(match[1])

    def class_of(self, label: int, classes: Sequence[str], *, first: int = 0) -> str:
        """Return the name of class number `label`, where numbers count from `first`.

        Raises:
            ManifestError: there is no such class.
        """
        last = first + len(classes) - 1
        if not first <= label <= last:
            counted = f"{len(classes)} classes count from {first} to {last}"
            raise self.fault(f"the label is {label} but {counted}; give the class list of this data set")
        return classes[label - first]


def read_lines(path: Path) -> Iterator[Line]:
    """Give the lines that are not empty.

    Raises:
        ManifestError: the file cannot be read as text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: cannot be read ({error}); fetch it again") from error
    return (Line(path, number, text.strip()) for number, text in enumerate(lines, start=1) if text.strip())


def read_pairs(path: Path) -> list[tuple[str, str | None]]:
    """Return (id, label) of lines `id;label`, or (id, None) where labels are not published.

    Raises:
        ManifestError: the file cannot be read as text.
    """
    parts = (line.text.partition(";") for line in read_lines(path))
    return [(key.strip(), label.strip() or None) for key, _, label in parts]


def read_rows(path: Path, *, columns: Sequence[str], delimiter: str = ",") -> Iterator[tuple[Line, dict[str, str]]]:
    """Give the rows of a CSV file with a header, each with the line that it stands in.

    Raises:
        ManifestError: a column is missing, or a row lacks values.
    """
    reader = csv.DictReader([line.text for line in read_lines(path)], delimiter=delimiter)
    absent = [name for name in columns if name not in (reader.fieldnames or ())]
    if absent:
        found = ", ".join(reader.fieldnames or ()) or "none"
        raise ManifestError(f"{path}: no column {absent[0]!r}; columns found: {found}; wanted: {', '.join(columns)}")
    for number, row in enumerate(reader, start=2):
        if any(row[name] is None for name in columns):
            raise ManifestError(f"{path}: line {number} has too few columns; fetch the file again")
        yield Line(path, number, ""), row


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        ManifestError: it is none.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ManifestError(f"{path}: cannot be read as JSON ({error}); fetch it again") from error


def read_class_list(path: Path) -> tuple[str, ...]:
    """Return the class names of a text file, one a line; numbers before the names ("1 ApplyLipstick") are taken off.

    Raises:
        ManifestError: no names in it, or one twice.
    """
    names = [line.text for line in read_lines(path)]
    numbered = [re.fullmatch(r"(\d+)[\s,]+(.+)", name) for name in names]
    numbers = [int(match[1]) for match in numbered if match]
    if numbers in (list(range(len(names))), list(range(1, len(names) + 1))):
        names = [match[2] for match in numbered if match]
    if not names:
        raise ManifestError(f"{path}: lists no class; give a file with one class name a line")
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise ManifestError(f"{path}: the class {twice!r} is listed twice; list each class once")
    return tuple(names)


def choose_splits(split: str | None, *, allowed: Sequence[str], default: Sequence[str], name: str) -> tuple[str, ...]:
    """Return the splits to prepare: the one given, else the default ones.

    Raises:
        ManifestError: the data set has none of this name.
    """
    if split is not None and split not in allowed:
        raise ManifestError(f"{name} has no split {split!r}; it has {', '.join(allowed)}")
    return (split,) if split is not None else tuple(default)
