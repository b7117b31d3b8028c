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
from w3action.datasets.sets.annotation import read_class_list
from w3action.datasets.sets.listed_videos import Lister, Listing


def prepare_folder(root: Path, *, split: str | None = None, classes: Path | None = None) -> Listing:
    """A folder of class folders.

    Args:
        root: holds `class/video.mp4`, or `train/class/video.mp4`; a folder of images stands for a video.
        split: the sub-folder to take; by default all.
        classes: file of class names in the order of their ids; by default they are sorted.

    Raises:
        ManifestError: no videos, or none of the split.
    """
    names = read_class_list(classes) if classes is not None else None
    manifest = read_manifest(root, split=split, classes=names)
    return _list(manifest, base=root, root=root, allow_outside=True, further=[{}] * len(manifest))


def prepare_csv(
    root: Path,
    *,
    annotations: Path | None = None,
    split: str | None = None,
    classes: Path | None = None,
    allow_outside: bool = False,
) -> Listing:
    """A table of paths and labels; its further columns are kept, and `classes_COLUMN.txt` beside it with them.

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
        wanted = manifest.split(split)
        of_split = [video.split is not None and same_split(video.split, split) for video in manifest.videos]
        manifest, further = wanted, list(itertools.compress(further, of_split))
    columns = sorted({name for row in further for name in row})
    listed = {name: read_classes(annotations.parent / f"classes_{name}.txt") for name in columns}
    return _list(
        manifest,
        base=annotations.parent,
        root=root,
        allow_outside=allow_outside,
        further=further,
        more_classes={name: found for name, found in listed.items() if found},
    )


def _list(
    manifest: Manifest,
    *,
    base: Path,
    root: Path,
    allow_outside: bool,
    further: Sequence[Mapping[str, str]],
    more_classes: Mapping[str, tuple[str, ...]] | None = None,
) -> Listing:
    lister = Lister(root, allow_outside=allow_outside)
    for video, more in zip(manifest.videos, further, strict=True):
        if video.byte_offset is not None:
            raise ManifestError(f"{video.path}: packed videos have their manifest already; train with that")
        in_frames = video.first_frame is not None or video.num_frames is not None
        lister.add(
            # Not Path.relative_to: what the table says may begin with "../" or "/".
            str(video.path) if not video.path.is_relative_to(base) else os.path.relpath(video.path, base),
            label=manifest.classes[video.label],
            split=video.split,
            seconds=(video.start_seconds, video.end_seconds),
            frames=(video.first_frame or 0, video.num_frames) if in_frames else None,
            fps=video.fps,
            more=more,
        )
    return lister.finish(manifest.classes, more_classes=more_classes)
