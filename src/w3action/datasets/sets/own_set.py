"""Data of one's own: a folder of class folders, or a table of paths and labels.

`folder` takes `class/video.mp4` or `train/class/video.mp4` as it lies. `csv` takes a table with the columns path and
label (see `w3action.data.manifest`), whose paths are relative to the root, and checks which of its videos are there.
"""

import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from w3action.data.manifest import Manifest, read_classes, read_manifest, same_split
from w3action.data.manifest_table import read_further_columns
from w3action.data.video import ManifestError
from w3action.datasets.parquet_manifest import class_list_name
from w3action.datasets.sets.annotation import read_class_list
from w3action.datasets.sets.listed_videos import Lister, Listing


def prepare_folder(root: Path, *, split: str | None = None, classes: Path | None = None) -> Listing:
    """List a folder of class folders.

    Args:
        root: holds `class/video.mp4`, or `train/class/video.mp4`; a folder of images stands for a video.
        split: the sub-folder to take; by default all.
        classes: file of class names in the order of their ids; by default they are sorted.

    Raises:
        ManifestError: no videos, or none of the split.
    """
    names = read_class_list(classes) if classes is not None else None
    manifest = read_manifest(root, split=split, classes=names)
    lister = Lister(root, allow_outside=True)
    _add_all(lister, manifest, [{}] * len(manifest), base=root)
    return lister.finish(manifest.classes)


def prepare_csv(
    root: Path,
    *,
    annotations: Path | None = None,
    split: str | None = None,
    classes: Path | None = None,
    allow_outside: bool = False,
) -> Listing:
    """List a table of paths and labels; its further columns are kept, and `classes_COLUMN.txt` beside it with them.

    Args:
        root: the folder that the table's paths are relative to.
        annotations: the table, .csv or .parquet.
        split: the rows of one split; by default all.
        classes: file of class names in the order of their ids; by default they are sorted.
        allow_outside: whether paths may lead out of the root.

    Raises:
        ManifestError: no table given, a column missing, a path that leads out of the root.
    """
    if annotations is None or annotations.is_dir():
        raise ManifestError(f"csv needs a table with the columns path and label as annotations, not {annotations}")
    names = read_class_list(classes) if classes is not None else None
    manifest = read_manifest(annotations, classes=names)
    further = read_further_columns(annotations)
    if split is not None:
        of_split = [same_split(video.split, split) for video in manifest.videos]
        manifest, further = manifest.split(split), list(itertools.compress(further, of_split))
    columns = sorted({name for row in further for name in row})
    listed = {name: read_classes(annotations.parent / class_list_name(name)) for name in columns}
    lister = Lister(root, allow_outside=allow_outside)
    _add_all(lister, manifest, further, base=annotations.parent)
    return lister.finish(manifest.classes, more_classes={name: found for name, found in listed.items() if found})


def _add_all(lister: Lister, manifest: Manifest, further: Sequence[Mapping[str, str]], *, base: Path) -> None:
    for video, more in zip(manifest.videos, further, strict=True):
        if video.byte_offset is not None:
            raise ManifestError(f"{video.path}: packed videos have their manifest already; train with that")
        lister.add(
            # Not Path.relative_to: what the table says may begin with "../" or "/".
            str(video.path) if not video.path.is_relative_to(base) else os.path.relpath(video.path, base),
            label=manifest.classes[video.label],
            split=video.split,
            seconds=(video.start_seconds, video.end_seconds),
            frames=(video.first_frame or 0, video.num_frames) if video.span.in_frames else None,
            fps=video.fps,
            more=more,
        )
