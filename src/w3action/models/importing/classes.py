"""The classes that a classifier's rows stand for: lists as the data sets publish them, and the way from one to another.

A list is a text file (a name per line), a CSV (`id;label`, a label per line, or a header with `class_key`, `key`,
`label` or `name`), or a JSON (Something-Something's `{name: id}`, or a list). Ids, where there are any, count from 0 or
1 and decide the order. Templates lose their brackets: "Putting [something]" is "Putting something".
"""

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path

MOST_NAMES_SHOWN = 3
NUMBERED = re.compile(r"(\d+)[;,\t ]\s*(\S.*)")
LABEL_COLUMNS = ("label", "class_key", "key", "name")
ID_COLUMNS = ("id", "verb_id", "noun_id")


def read_classes(path: str | Path) -> tuple[str, ...]:
    """Read the names of classes in the order of their ids.

    Raises:
        ValueError: there is no such file, it is not a list of classes, its ids leave gaps, or a name is there twice.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such list of classes")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a text file; give a list of classes (.txt, .csv or .json)") from error
    names = _read_json(path, text) if path.suffix == ".json" else _read_lines(path, text)
    names = tuple(_plain(name) for name in names)
    if not names or not all(names):
        raise ValueError(f"{path}: {'has an empty name' if names else 'names no class'}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{path}: names {_some(twice)} more than once; classes are told apart by name")
    return names


def class_order(given: Sequence[str], wanted: Sequence[str], *, given_in: str, wanted_in: str) -> list[int]:
    """Return, for each class of `wanted`, its place in `given`: `rows[order]` are rows in the wanted order.

    Raises:
        ValueError: a name of one list is not in the other.
    """
    missing = [name for name in wanted if name not in set(given)]
    left_over = [name for name in given if name not in set(wanted)]
    if missing or left_over:
        found = [
            f"{len(names)} {'name' if len(names) == 1 else 'names'} of {where} not in {other} ({_some(names)})"
            for names, where, other in ((left_over, given_in, wanted_in), (missing, wanted_in, given_in))
            if names
        ]
        raise ValueError(f"the lists of classes differ: {'; '.join(found)}; every name must be in both, spelt the same")
    place = {name: index for index, name in enumerate(given)}
    return [place[name] for name in wanted]


def _read_json(path: Path, text: str) -> Sequence[str]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not JSON ({error})") from error
    if isinstance(content, list) and all(isinstance(name, str) for name in content):
        return content
    if isinstance(content, dict) and all(str(number).isdecimal() for number in content.values()):
        return _by_id(path, [(int(number), name) for name, number in content.items()])
    raise ValueError(f"{path}: holds no classes; give {{name: id}} or a list of names")


def _read_lines(path: Path, text: str) -> Sequence[str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if path.suffix == ".csv" and lines:
        delimiter = ";" if ";" in lines[0] else ","
        columns = next(csv.reader(lines[:1], delimiter=delimiter))
        label = next((column for column in LABEL_COLUMNS if column in columns), None)
        if columns == ["label"] or (label is not None and len(columns) > 1):
            return _read_table(path, csv.DictReader(lines, delimiter=delimiter), label or "label")
        lines = [_unquote(line) for line in lines]  # a name may hold commas: a line without id is a name as it stands
    numbered = [NUMBERED.fullmatch(line) for line in lines]
    pairs = [(int(found[1]), _unquote(found[2])) for found in numbered if found]
    if pairs and len(pairs) == len(lines) and (_counts(pairs) or all(";" in line for line in lines)):
        return _by_id(path, pairs)
    return lines


def _read_table(path: Path, rows: csv.DictReader, label: str) -> Sequence[str]:
    number = next((column for column in ID_COLUMNS if column in (rows.fieldnames or ())), None)
    if number is None:
        return [row[label] or "" for row in rows]
    return _by_id(path, [(_as_int(path, row[number] or ""), row[label] or "") for row in rows])


def _unquote(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1].replace('""', '"')
    return text


def _as_int(path: Path, text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"{path}: {text!r} is no id of a class")
    return int(text)


def _counts(pairs: Sequence[tuple[int, str]]) -> bool:
    """Whether ids are 0, 1, ... or 1, 2, ..., in any order."""
    ids = sorted(number for number, _ in pairs)
    return ids[:1] in ([0], [1]) and ids == list(range(ids[0], ids[0] + len(ids)))


def _by_id(path: Path, pairs: Sequence[tuple[int, str]]) -> Sequence[str]:
    if not _counts(pairs):
        raise ValueError(f"{path}: the ids of {len(pairs)} classes must count from 0 or 1 without a gap")
    return [name for _, name in sorted(pairs, key=lambda pair: pair[0])]


def _plain(name: str) -> str:
    return re.sub(r"\[([^\[\]]*)\]", r"\1", name).strip()


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:MOST_NAMES_SHOWN])
    return shown + (", ..." if len(names) > MOST_NAMES_SHOWN else "")
