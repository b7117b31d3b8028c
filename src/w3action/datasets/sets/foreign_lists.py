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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from w3action.data.video import ManifestError
from w3action.datasets.sets.annotation import Line, read_class_list, read_lines
from w3action.datasets.sets.listed_videos import Lister, Listing

_SPLIT = re.compile(r"(train|val|test)")

# What stands in a line of each list, and what stands between: blanks where it is not said.
FORMS = {
    "tsm": ("path num_frames label",),
    "mmaction2": ("video label", "folder num_frames label", "folder start num_frames label"),
    "slowfast": ("path label",),
    "ibm": ("path start end label",),
}
_GAPS = {"slowfast": r"\s*[\s,]\s*", "ibm": r"\s*[\s;]\s*"}


@dataclass(frozen=True)
class ListedClip:
    """What a line of a list says: a span `frames`, (first from 0, number), or how many frames its folder holds."""

    path: str
    label: int
    frames: tuple[int, int] | None = None
    total_frames: int | None = None


def read_list(kind: str, path: Path) -> Iterator[tuple[Line, ListedClip]]:
    """Give the lines of a list and what they say.

    Raises:
        ManifestError: a line of another format, or a segment that holds no frame.
    """
    lines, forms, gap = list(read_lines(path)), FORMS[kind], _GAPS.get(kind, r"\s+")
    counts = [len(match[0].split()) for line in lines if (match := re.search(r"(\s+\d+){1,3}$", line.text))]
    form = forms[min(counts, default=1) - 1] if len(forms) > 1 else forms[0]
    names = form.split()[1:]
    for line in lines:
        place, *numbers = line.split("(.+?)" + len(names) * rf"{gap}(\d+)", f"'{form}'")
        said = dict(zip(names, map(int, numbers), strict=True))
        if "end" in said:
            start, end = said["start"], said["end"]
            if not 1 <= start <= end:
                raise line.fault(f"frames {start} to {end} are no segment; frames count from 1, correct it")
            said |= {"start": start - 1, "num_frames": end - start + 1}
        if "start" in said:
            yield line, ListedClip(place, said["label"], (said["start"], said["num_frames"]))
        else:
            yield line, ListedClip(place, said["label"], total_frames=said.get("num_frames"))


def prepare(
    kind: str,
    root: Path,
    *,
    annotations: Path | None = None,
    split: str | None = None,
    classes: Path | None = None,
    allow_outside: bool = False,
) -> Listing:
    """List what a list of another project names.

    Args:
        kind: a key of `FORMS`.
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
    rows = [(name, *row) for name, path in lists.items() for row in read_list(kind, path)]
    highest = max((clip.label for _, _, clip in rows), default=-1)
    names = read_class_list(classes) if classes is not None else tuple(str(place) for place in range(highest + 1))
    lister = Lister(root, allow_outside=allow_outside)
    for name, line, clip in rows:
        label = line.class_of(clip.label, names)
        if clip.total_frames == 0 or (clip.frames and clip.frames[1] == 0):
            raise line.fault(f"{clip.path} has 0 frames; leave the line out")
        lister.add(clip.path, label=label, split=name, frames=clip.frames, total_frames=clip.total_frames)
    return lister.finish(names)


def _find_lists(annotations: Path, split: str | None) -> dict[str | None, Path]:
    """Return the list files by split."""
    if not annotations.exists():
        raise ManifestError(f"{annotations}: no such list; give a file, or a folder of lists, as annotations")
    if annotations.is_file():
        match = _SPLIT.search(annotations.stem.lower())
        return {split or (match[1] if match else None): annotations}
    found: dict[str, list[Path]] = {}
    for path in sorted(annotations.iterdir()):
        match = _SPLIT.search(path.stem.lower())
        is_list = path.is_file() and path.suffix.lower() in (".txt", ".csv", ".lst")
        if is_list and match is not None and split in (None, match[1]):
            found.setdefault(match[1], []).append(path)
    if not found:
        wanted = split or "train, val or test"
        raise ManifestError(f"{annotations}: holds no list for {wanted}; give one list file as annotations")
    for name, paths in found.items():
        if len(paths) > 1:
            held = f"{len(paths)} lists for {name}: {', '.join(path.name for path in paths)}"
            raise ManifestError(f"{annotations}: holds {held}; give one of them as annotations")
    return {name: paths[0] for name, paths in found.items()}
