"""Lists that other projects train from: one video a line, labels as numbers from 0.

| list | lines | frames count from |
|---|---|---|
| tsm (also TRN, TDN, ACTION-Net) | `path num_frames label` | 1, to num_frames |
| mmaction2 | `video label`, `folder num_frames label` or `folder start num_frames label` | start, from 0 |
| slowfast (PySlowFast) | `path label`, with a space or a comma between | |
| ibm (bLVNet-TAM) | `path start end label`, with spaces or semicolons between | 1, the end part of it |

Each line is read from its right end, so paths may hold spaces. In mmaction2's, all lines have as many numbers as the
one with the fewest. Names come from a list of classes, one a line; without it, classes are called by their numbers and
label-swapping flips cannot be found. The list is one file, or a folder with one file each whose name holds train, val
or test. Paths are relative to the root; a video may be a file where the list names a folder of frames, and the other
way round.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from w3action.data.video import ManifestError
from w3action.datasets.sets.annotation import class_of, read_class_list, read_lines
from w3action.datasets.sets.listed_videos import Lister, Listing

_SPLIT = re.compile(r"(train|val|test)")


@dataclass(frozen=True)
class Line:
    """What a line of a list says: a span `frames`, (first from 0, number), or how many frames its folder holds."""

    path: str
    label: int
    frames: tuple[int, int] | None = None
    total_frames: int | None = None


def read_tsm(path: Path) -> Iterator[tuple[int, Line]]:
    """(number, content) of lines `path num_frames label`.

    Raises:
        ManifestError: a line of another format.
    """
    for number, parts in _split(path, r"(.+?)\s+(\d+)\s+(\d+)", "path num_frames label"):
        yield number, Line(parts[0], int(parts[2]), total_frames=int(parts[1]))


def read_mmaction2(path: Path) -> Iterator[tuple[int, Line]]:
    """(number, content) of lines `video label`, `folder num_frames label` or `folder start num_frames label`.

    Raises:
        ManifestError: a line of another format.
    """
    lines = [line for _, line in read_lines(path)]
    counts = [len(match[0].split()) for line in lines if (match := re.search(r"(\s+\d+){1,3}$", line))]
    forms = ("video label", "folder num_frames label", "folder start num_frames label")
    count = min(counts, default=1)
    for number, parts in _split(path, r"(.+?)" + r"\s+(\d+)" * count, forms[count - 1]):
        place, *numbers, label = parts
        frames = (int(numbers[0]), int(numbers[1])) if count == 3 else None
        yield number, Line(place, int(label), frames, total_frames=int(numbers[0]) if count == 2 else None)


def read_slowfast(path: Path) -> Iterator[tuple[int, Line]]:
    """(number, content) of lines `path label`.

    Raises:
        ManifestError: a line of another format.
    """
    for number, parts in _split(path, r"(.+?)\s*[\s,]\s*(\d+)", "path label"):
        yield number, Line(parts[0], int(parts[1]))


def read_ibm(path: Path) -> Iterator[tuple[int, Line]]:
    """(number, content) of lines `path start end label`.

    Raises:
        ManifestError: a line of another format, or a segment that holds no frame.
    """
    gap = r"\s*[\s;]\s*"
    for number, parts in _split(path, rf"(.+?){gap}(\d+){gap}(\d+){gap}(\d+)", "path start end label"):
        start, end, label = map(int, parts[1:])
        if not 1 <= start <= end:
            raise ManifestError(
                f"{path}: line {number}: frames {start} to {end} are no segment; frames count from 1, correct it"
            )
        yield number, Line(parts[0], label, (start - 1, end - start + 1))


READERS: dict[str, Callable[[Path], Iterator[tuple[int, Line]]]] = {
    "tsm": read_tsm,
    "mmaction2": read_mmaction2,
    "slowfast": read_slowfast,
    "ibm": read_ibm,
}


def prepare(
    kind: str,
    root: Path,
    *,
    annotations: Path | None = None,
    split: str | None = None,
    classes: Path | None = None,
    allow_outside: bool = False,
) -> Listing:
    """A list of one of `READERS`.

    Args:
        kind: a key of `READERS`.
        root: the folder that the list's paths are relative to.
        annotations: the list, or a folder of lists whose names hold train, val or test.
        split: of a folder, the list of one split, by default all; of one file, what its rows are called, by default
            what its name says.
        classes: file of class names in the order of their ids, one a line.
        allow_outside: whether paths may lead out of the root, absolute ones included.

    Raises:
        ManifestError: no list, a line of another format, a label beyond the classes, a path that leads out of the root.
    """
    lists = _find_lists(annotations or root, split)
    lines = {name: (path, list(READERS[kind](path))) for name, path in lists.items()}
    highest = max((line.label for _, rows in lines.values() for _, line in rows), default=-1)
    names = read_class_list(classes) if classes is not None else tuple(str(place) for place in range(highest + 1))
    lister = Lister(root, allow_outside=allow_outside)
    for name, (path, rows) in lines.items():
        for number, line in rows:
            label = class_of(line.label, names, path=path, number=number)
            if line.total_frames == 0 or (line.frames and line.frames[1] == 0):
                raise ManifestError(f"{path}: line {number}: {line.path} has 0 frames; leave the line out")
            lister.add(line.path, label=label, split=name, frames=line.frames, total_frames=line.total_frames)
    return lister.finish(names)


def _split(path: Path, pattern: str, form: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    for number, line in read_lines(path):
        match = re.fullmatch(pattern, line)
        if match is None:
            raise ManifestError(f"{path}: line {number} is {line[:80]!r} but must be '{form}'; correct it")
        yield number, match.groups()


def _find_lists(annotations: Path, split: str | None) -> dict[str | None, Path]:
    """List files by split."""
    if not annotations.exists():
        raise ManifestError(f"{annotations}: no such list; give a file, or a folder of lists, as annotations")
    if annotations.is_file():
        match = _SPLIT.search(annotations.stem.lower())
        return {split or (match[1] if match else None): annotations}
    found: dict[str, list[Path]] = {}
    for path in sorted(annotations.iterdir()):
        match = _SPLIT.search(path.stem.lower())
        if path.is_file() and path.suffix.lower() in (".txt", ".csv", ".lst") and match is not None:
            found.setdefault(match[1], []).append(path)
    if split is not None:
        found = {name: paths for name, paths in found.items() if name == split}
    if not found:
        raise ManifestError(
            f"{annotations}: holds no list for {split or 'train, val or test'}; give one list file as annotations"
        )
    for name, paths in found.items():
        if len(paths) > 1:
            raise ManifestError(
                f"{annotations}: holds {len(paths)} lists for {name}: {', '.join(path.name for path in paths)}; give "
                "one of them as annotations"
            )
    return {name: paths[0] for name, paths in found.items()}
