"""Kinetics-400, -600 and -700 (Kay et al., 2017): clips of ten seconds, named by where they were cut from.

Annotations are the official CSV files with the columns label, youtube_id, time_start and time_end, one a split
(`train.csv`, `val.csv` or `validate.csv`, `test.csv`, also with `kinetics_`, `kinetics400_` and the like before).
Clips are files or folders of images named ID_000010_000020, or files named ID, anywhere below the root: copies differ
in how they sort them. Classes are sorted by name, which is the order that all public lists use. Of 240,000 clips many
are gone from the web; the count of the missing is to be looked at.
"""

import os
import re
from pathlib import Path

from w3action.data.video import VIDEO_SUFFIXES, ManifestError
from w3action.datasets.sets.annotation import choose_splits, read_rows
from w3action.datasets.sets.listed_videos import Lister, Listing

SPLITS = {"train": ("train",), "val": ("val", "validate", "validation"), "test": ("test",)}
_CLIP = re.compile(r".{11}_\d{6}_\d{6}")


def prepare(root: Path, *, annotations: Path | None = None, split: str | None = None) -> Listing:
    """List Kinetics, any release.

    Args:
        root: the clips lie somewhere below it.
        annotations: folder of the CSV files; the root, or `annotations` in it, if not given.
        split: "train", "val" or "test"; by default the first two.

    Raises:
        ManifestError: files missing or not of the format.
    """
    lister = Lister(root)
    places = _index(root)
    labels: set[str] = set()
    for name in choose_splits(split, allowed=list(SPLITS), default=("train", "val"), name="kinetics"):
        path = _find_csv(annotations or root, SPLITS[name])
        for line, row in read_rows(path, columns=("youtube_id", "time_start", "time_end")):
            start, end = (line.to_int(row[name], name) for name in ("time_start", "time_end"))
            full = f"{row['youtube_id']}_{start:06d}_{end:06d}"
            place = places.get(full) or places.get(row["youtube_id"]) or full
            label = row.get("label") or None
            lister.add(place, label=label, split=name)
            labels.update([label] if label else [])
    return lister.finish(sorted(labels))


def _find_csv(folder: Path, names: tuple[str, ...]) -> Path:
    pattern = re.compile(rf"(kinetics[-_]?\d*[-_]?)?({'|'.join(names)})\.csv", re.IGNORECASE)
    found = sorted(path for base in (folder, folder / "annotations") for path in base.glob("*.csv"))
    matching = [path for path in found if pattern.fullmatch(path.name)]
    if not matching:
        remedy = "give the folder of the CSV files as annotations, or another split"
        raise ManifestError(f"{folder}: holds no {names[0]}.csv; {remedy}")
    return matching[0]


def _index(root: Path) -> dict[str, str]:
    """Return where each clip lies below the root, by its name without suffix."""
    places: dict[str, str] = {}
    for folder, folders, files in os.walk(root):
        clips = [name for name in files if os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES]
        of_frames = [name for name in folders if _CLIP.fullmatch(name)]
        for name in sorted(clips + of_frames):
            stem = name if name in of_frames else os.path.splitext(name)[0]
            places.setdefault(stem, os.path.relpath(os.path.join(folder, name), root))
        folders[:] = sorted(set(folders) - set(of_frames))
    return places
