"""From what a person downloaded to a manifest: one adapter a data set, one writer for all.

A manifest has the columns path, label, label_id, split, start_seconds, end_seconds, start_frame, end_frame, fps,
total_frames and the listing's own, each only where a video has it. Paths below the manifest's folder are relative to
it, so that both can be moved together; others are absolute.
"""

import inspect
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from w3action.data.manifest import read_classes
from w3action.data.video import ManifestError
from w3action.datasets.parquet_manifest import class_list_name, to_table, write_parquet
from w3action.datasets.sets import egogesture, epic, foreign_lists, hmdb51, jester, kinetics, own_set, something, ucf101
from w3action.datasets.sets.listed_videos import Listing

# (root, *, annotations=None, split=None, ...) -> Listing; what else each takes stands in its own signature.
SETS: dict[str, Callable[..., Listing]] = {
    "something_v1": something.prepare_v1,
    "something_v2": something.prepare_v2,
    "jester": jester.prepare,
    "egogesture": egogesture.prepare,
    "epic55": partial(epic.prepare, epic.EPIC55),
    "epic100": partial(epic.prepare, epic.EPIC100),
    "kinetics": kinetics.prepare,
    "ucf101": ucf101.prepare,
    "hmdb51": hmdb51.prepare,
    "folder": own_set.prepare_folder,
    "csv": own_set.prepare_csv,
    **{kind: partial(foreign_lists.prepare, kind) for kind in foreign_lists.FORMS},
}
_COLUMNS = ("path", "label", "label_id", "split", "start_seconds", "end_seconds", "start_frame", "end_frame", "fps")


@dataclass(frozen=True)
class Prepared:
    """What was written: where, how many videos of each split, how many classes, and what was not found."""

    manifest: Path
    num_videos: dict[str, int]
    num_classes: int
    num_labelled: int
    missing: tuple[str, ...]

    def __str__(self) -> str:
        counts = ", ".join(f"{name} {count:,}" for name, count in self.num_videos.items())
        lines = [f"{self.manifest}: {sum(self.num_videos.values()):,} videos ({counts}), {self.num_classes} classes"]
        if self.num_labelled == 0:
            lines.append("no labels are published for this split: it lists videos to predict, not to train on")
        if self.missing:
            lines.append(missing_line(self.missing))
        return "\n".join(lines)


def prepare(
    name: str,
    root: Path | str,
    out: Path | str,
    *,
    allow_missing: bool = False,
    **options: Path | str | int | bool | None,
) -> Prepared:
    """Write the manifest of a data set.

    Args:
        name: a key of `SETS`.
        root: the folder of its videos.
        out: the manifest to write, .parquet.
        allow_missing: leave out videos that are not there, instead of refusing.
        options: annotations, split, and what else the adapter takes (fold, classes, allow_outside); None is not given.

    Raises:
        ManifestError: no such data set, an option that it does not take, files missing or not of its format, videos
            missing.
    """
    if name not in SETS:
        raise ManifestError(f"no data set {name!r} is known; give one of {', '.join(SETS)}")
    given = {key: value for key, value in options.items() if value is not None}
    parameters = inspect.signature(SETS[name]).parameters.values()
    allowed = [parameter.name for parameter in parameters if parameter.kind == parameter.KEYWORD_ONLY]
    strange = [key for key in given if key not in allowed]
    if strange:
        raise ManifestError(f"{name} takes no {strange[0]}; it takes {', '.join(allowed)}")
    paths = {key: Path(str(given[key])) for key in ("annotations", "classes") if key in given}
    listing = SETS[name](Path(root), **{**given, **paths})
    if not listing.videos:
        found = missing_line(listing.missing) if listing.missing else "the annotations list none"
        raise ManifestError(f"{root}: not one video of {name} is there; {found}; check the root")
    if listing.missing and not allow_missing:
        raise ManifestError(f"{root}: {missing_line(listing.missing)}; fetch them, or allow missing ones")
    return Prepared(
        manifest=write_listing(listing, Path(out)),
        num_videos=dict(Counter(video.split or "no split" for video in listing.videos)),
        num_classes=len(listing.classes),
        num_labelled=sum(video.label is not None for video in listing.videos),
        missing=listing.missing,
    )


def missing_line(missing: tuple[str, ...]) -> str:
    """Say how many videos are missing, and name the first three."""
    shown = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
    return f"{len(missing):,} videos are missing: {shown}"


def write_listing(listing: Listing, out: Path) -> Path:
    """Write a manifest and the lists of its classes.

    Args:
        listing: at least one video.
        out: a path that ends in .parquet; its folder is made.

    Raises:
        ManifestError: another suffix, no videos, or a class list of other classes lies beside.
    """
    if out.suffix != ".parquet":
        raise ManifestError(f"{out}: manifests are written as Parquet; give a path that ends in .parquet")
    if not listing.videos:
        raise ManifestError(f"{out}: there is not one video to list; check the root")
    class_lists = {"label": listing.classes, **listing.more_classes}
    for column, names in class_lists.items():
        path = out.parent / class_list_name(column)
        if names and path.exists() and read_classes(path) != tuple(names):
            reason = "lists other classes, which another manifest there may need"
            raise ManifestError(f"{path}: {reason}; write to another folder")
    folder, rows = Path(os.path.abspath(out.parent)), []
    ids: dict[str | None, int] = {name: place for place, name in enumerate(listing.classes)}
    for video in listing.videos:
        path = Path(os.path.abspath(video.path))
        own = {
            "path": str(path.relative_to(folder) if path.is_relative_to(folder) else path),
            "label_id": ids.get(video.label),
            "start_frame": video.span.first_frame,
            "end_frame": video.span.stop_frame,
        }
        rows.append({**vars(video), **vars(video.span), **video.more, **own})
    further = {name for video in listing.videos for name in video.more}
    first = [name for name in listing.more_classes if name in further]
    columns = (*_COLUMNS, "total_frames", *first, *sorted(further - {*first}))
    filled = [name for name in columns if any(row.get(name) is not None for row in rows)]
    return write_parquet(out, to_table(rows, filled), class_lists=class_lists)
