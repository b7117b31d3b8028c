"""From what a person downloaded to a manifest: one adapter a data set, one writer for all."""

import inspect
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from w3action.data.video import ManifestError
from w3action.datasets.sets import egogesture, epic, hmdb51, jester, kinetics, lists, own, something, ucf101
from w3action.datasets.sets.listing import Listing
from w3action.datasets.sets.write import write_parquet

# (root, *, annotations=None, split=None, ...) -> Listing; what else each takes stands in its own signature.
SETS: dict[str, Callable[..., Listing]] = {
    "something_v1": something.prepare_v1,
    "something_v2": something.prepare_v2,
    "jester": jester.prepare,
    "egogesture": egogesture.prepare,
    "epic55": epic.prepare_55,
    "epic100": epic.prepare_100,
    "kinetics": kinetics.prepare,
    "ucf101": ucf101.prepare,
    "hmdb51": hmdb51.prepare,
    "folder": own.prepare_folder,
    "csv": own.prepare_csv,
    **{kind: partial(lists.prepare, kind) for kind in lists.READERS},
}


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
    allowed = [
        key for key, value in inspect.signature(SETS[name]).parameters.items() if value.kind == value.KEYWORD_ONLY
    ]
    strange = [key for key in given if key not in allowed]
    if strange:
        raise ManifestError(f"{name} takes no {strange[0]}; it takes {', '.join(allowed)}")
    paths = {key: Path(str(given[key])) for key in ("annotations", "classes") if key in given}
    listing = SETS[name](Path(root), **{**given, **paths})
    if not listing.entries:
        found = missing_line(listing.missing) if listing.missing else "the annotations list none"
        raise ManifestError(f"{root}: not one video of {name} is there; {found}; check the root")
    if listing.missing and not allow_missing:
        raise ManifestError(f"{root}: {missing_line(listing.missing)}; fetch them, or allow missing ones")
    write_parquet(listing, Path(out))
    return Prepared(
        manifest=Path(out),
        num_videos=dict(Counter(entry.split or "no split" for entry in listing.entries)),
        num_classes=len(listing.classes),
        num_labelled=sum(entry.label is not None for entry in listing.entries),
        missing=listing.missing,
    )


def missing_line(missing: tuple[str, ...]) -> str:
    """How many videos are missing, and the first three."""
    shown = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
    return f"{len(missing):,} videos are missing: {shown}"
