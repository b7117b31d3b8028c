"""Compute the flow of a whole data set once: a manifest of videos -> a manifest of folders that `flow_images` reads.

    out/NAME/flow_x_00001.jpg, flow_y_00001.jpg, ...   8 bits, of JPEG's quality 95; NAME as in `data/video.py` makes it
    out/manifest.csv, out/classes.txt                  the rows that could be read: path, label (or verb, ...), split
    out/failed.csv                                     those that could not, and why (if there are any)
    out/flow.json                                      how it was computed

A run on the videos computes the flow of every sample anew, some 40 flows of 8 segments; from here it reads images. A
row that is a span of its video has a folder of its own. Killed and started again, it goes on where it was.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from w3action.data.flow import MAX_DISPLACEMENT, FrameSizeError, compute_flows, import_opencv, to_levels
from w3action.data.manifest import Manifest
from w3action.data.open_frames import open_frames
from w3action.data.source import DecodeError
from w3action.data.video import Video, identity
from w3action.datasets.parquet_manifest import write_class_lists
from w3action.files import write_csv, write_text
from w3action.workers import Lost, run_jobs

MANIFEST_FILE, FAILED_FILE, ABOUT_FILE = "manifest.csv", "failed.csv", "flow.json"
FRAMES_AT_ONCE = 128  # in memory, of a long video
QUALITY = 95  # of JPEG: noise of about one level, 0.16 pixels


@dataclass(frozen=True)
class WrittenFlow:
    """What was written."""

    manifest: Path
    num_videos: int
    num_failed: int


def write_flow(
    manifest: Manifest,
    out: Path | str,
    *,
    short_side: int = 256,
    num_workers: int | None = None,
    on_video: Callable[[], None] = lambda: None,
) -> WrittenFlow:
    """Compute and write the flow of every video.

    Args:
        manifest: the videos.
        out: folder of the new data set.
        short_side: what frames are scaled to before, in pixels: flow is in pixels of this size.
        num_workers: processes; None is one for each core.
        on_video: called after each video.

    Raises:
        ValueError: OpenCV is not installed; `out` holds something else, or flow of another size; no video can be read;
            two videos would share a folder.
    """
    import_opencv()
    out = Path(out)
    if short_side < 1:
        raise ValueError(f"short_side is {short_side} but must be at least 1: give for example 256")
    _claim(out, {"short_side": short_side, "max_pixels": MAX_DISPLACEMENT, "method": "DIS, medium"})
    names = [identity(video, source=manifest.source).lstrip("/") for video in manifest.videos]
    jobs = _jobs(names, manifest.videos)
    reasons: dict[str, str] = {}
    with closing(run_jobs(partial(_write_one, out, short_side), jobs.items(), num_workers=num_workers)) as results:
        for name, reason in zip(jobs, results, strict=True):
            if isinstance(reason, Lost):
                reason = "reading it ended the process; the file is damaged, fetch it again"
            if reason is not None:
                reasons[name] = reason
            on_video()
    good = [row for row, name in enumerate(names) if name not in reasons]
    if not good:
        raise ValueError(f"{manifest.source}: no video can be read, the first because {next(iter(reasons.values()))}")
    write_class_lists(out, {column: part.classes for column, part in manifest.by_labelling().items()})
    if reasons:
        write_csv(out / FAILED_FILE, ["path", "reason"], ([str(jobs[n].path), why] for n, why in reasons.items()))
    else:
        (out / FAILED_FILE).unlink(missing_ok=True)
    columns = {"path": names, **manifest.label_names(), "split": [video.split for video in manifest.videos]}
    rates = [video.fps for video in manifest.videos]
    columns |= {"fps": rates} if any(rates) else {}
    write_csv(out / MANIFEST_FILE, list(columns), ([column[row] for column in columns.values()] for row in good))
    return WrittenFlow(out / MANIFEST_FILE, len(good), len(reasons))


def _claim(out: Path, about: dict) -> None:
    record = out / ABOUT_FILE
    if record.is_file():
        found = json.loads(record.read_text(encoding="utf-8"))
        if found != about:
            raise ValueError(f"{out} already holds flow of {found}, wanted {about}; give another folder with --out")
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} already holds something else; give a new folder with --out")
    out.mkdir(parents=True, exist_ok=True)
    write_text(record, json.dumps(about) + "\n")


def _jobs(names: Sequence[str], videos: Sequence[Video]) -> dict[str, Video]:
    """Return the video of each folder; one that is listed twice, as with two labels, is computed once."""
    jobs: dict[str, Video] = {}
    for name, video in zip(names, videos, strict=True):
        if jobs.setdefault(name, video).path != video.path:
            raise ValueError(f"{jobs[name].path} and {video.path} would share the folder {name}; rename one of them")
    for name in jobs:
        above = next((str(parent) for parent in PurePosixPath(name).parents if str(parent) in jobs), None)
        if above is not None:
            raise ValueError(f"{jobs[name].path} would lie inside the flow of {jobs[above].path}; rename one of them")
    return jobs


def _write_one(out: Path, short_side: int, job: tuple[str, Video]) -> str | None:
    """Write the flow of one video, whole or not at all; return what went wrong."""
    name, video = job
    folder = out / name
    if folder.is_dir():
        return None
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        for number, levels in enumerate(_flows_of(video, short_side), start=1):
            for axis, plane in zip("xy", np.moveaxis(levels, -1, 0), strict=True):
                image = Image.fromarray(np.ascontiguousarray(plane))
                image.save(part / f"flow_{axis}_{number:05d}.jpg", quality=QUALITY)
    except FrameSizeError as error:
        shutil.rmtree(part)
        return f"{video.path}: {error}; give larger ones"
    except DecodeError as error:
        shutil.rmtree(part)
        return str(error)
    os.replace(part, folder)
    return None


def _flows_of(video: Video, short_side: int) -> Iterator[np.ndarray]:
    """Give the levels (h, w, 2) of every flow in turn, reading FRAMES_AT_ONCE frames at a time."""
    with open_frames(video, short_side=short_side) as frames:
        last = frames.count - 1
        for start in range(0, max(1, last), FRAMES_AT_ONCE - 1):  # the last frame of a piece is the first of the next
            piece = frames.read(np.arange(start, min(start + FRAMES_AT_ONCE, frames.count))).frames
            pairs = [(i, i + 1) for i in range(piece.shape[1] - 1)] or [(0, 0)]
            yield from to_levels(compute_flows(piece, pairs))
