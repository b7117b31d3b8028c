"""The data set on disk: `write_tabletop` draws, encodes and lists it.

out/videos/train_00000.mp4 ...
out/manifest.csv       path,label,split,num_frames,fps (paths relative to out); written last
out/classes.txt        one name a line
out/tracks.parquet     path, frame, x0, y0, x1, y1 (the hand's box, pixels, NaN when out of view), acting
out/tabletop.json      which set this is: num_videos, seed, drawing
"""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .classes import CLASSES
from .encode import FPS, encode_mp4
from .render import render_video
from .seeds import SPLITS, check_seed

DRAWING = 2  # raise when the same seed gives other frames than before: sets of two drawings must not mix

_CHUNK = 4  # videos handed to a worker at a time


@dataclass(frozen=True)
class _Written:
    """What a worker reports of one finished video."""

    path: str
    split: str
    label: str
    hand_boxes: np.ndarray  # (T, 4)
    active_frames: tuple[int, int]


def split_sizes(num_videos: int) -> dict[str, int]:
    """Videos of each split: 70 % train, 10 % val, 20 % test, rounded; a handful of videos may leave a split empty."""
    train, val = int(num_videos * 0.7 + 0.5), int(num_videos * 0.1 + 0.5)
    return dict(zip(SPLITS, (train, val, num_videos - train - val), strict=True))


def write_tabletop(
    out: Path,
    *,
    num_videos: int,
    seed: int,
    num_workers: int | None = None,
    on_video: Callable[[], None] | None = None,
) -> Path:
    """Write a set of ``num_videos`` videos into the folder ``out``, or reuse it if it is already there.

    Labels are balanced within each split. A video depends on (seed, split, index) alone, so a larger set of
    the same seed begins with the videos of a smaller one.

    Args:
        out: the data set's folder, made if need be.
        num_videos: of all splits together.
        seed: from 0 to 2**32 - 1.
        num_workers: processes; None means one per CPU, 1 draws in this process.
        on_video: called in this process after each finished video (not when a set is reused).

    Returns:
        The manifest's path.

    Raises:
        ValueError: a number out of range, or ``out`` holds another data set.
    """
    _check_count("num_videos", num_videos)
    if num_workers is not None:
        _check_count("num_workers", num_workers)
    check_seed(seed)
    out = Path(out)
    manifest, wanted = out / "manifest.csv", {"num_videos": num_videos, "seed": int(seed), "drawing": DRAWING}
    _check_folder(out, wanted)
    jobs = [(split, index) for split, size in split_sizes(num_videos).items() for index in range(size)]
    if manifest.exists() and all((out / _video_path(*job)).exists() for job in jobs):
        return manifest

    (out / "videos").mkdir(parents=True, exist_ok=True)
    manifest.unlink(missing_ok=True)  # a set with files missing is unfinished, whatever its manifest said
    _write_text(out / "tabletop.json", json.dumps(wanted, indent=2) + "\n")
    written = []
    for video in _draw_all(out, seed, jobs, num_workers or os.cpu_count() or 1):
        written.append(video)
        if on_video is not None:
            on_video()
    _write_text(out / "classes.txt", "\n".join(CLASSES) + "\n")
    _write_tracks(out / "tracks.parquet", written)
    _write_manifest(manifest, written)
    return manifest


def _check_count(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name} must be 1 or more, got {value!r}")


def _check_folder(out: Path, wanted: dict[str, int]) -> None:
    """Raise ValueError if ``out`` belongs to another set."""
    record = out / "tabletop.json"
    remedy = "write to another folder, or delete this one first"
    if record.exists():
        found = json.loads(record.read_text(encoding="utf-8"))
        if found != wanted:
            raise ValueError(f"{out} already holds a tabletop set of {found}, wanted {wanted}: {remedy}")
    elif (out / "manifest.csv").exists():
        raise ValueError(f"{out} already holds a data set, not ours (manifest.csv, no tabletop.json): {remedy}")


def _draw_all(out: Path, seed: int, jobs: list[tuple[str, int]], num_workers: int) -> Iterator[_Written]:
    draw = partial(_draw_one, out, seed)
    if num_workers == 1:
        yield from map(draw, jobs)
        return
    # Forked workers start at once; spawned ones would import the caller's main module, torch and all, each anew.
    # They only draw and encode, so the threads that a fork leaves behind are not missed.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
    with ProcessPoolExecutor(min(num_workers, len(jobs)), mp_context=context) as pool:
        try:
            yield from pool.map(draw, jobs, chunksize=_CHUNK)
        except BaseException:
            pool.shutdown(cancel_futures=True)  # else leaving the block would first draw all the rest
            raise


def _draw_one(out: Path, seed: int, job: tuple[str, int]) -> _Written:
    video = render_video(seed, *job)
    path = _video_path(*job)
    encode_mp4(out / path, video.frames)
    return _Written(path, job[0], video.label, video.hand_boxes, video.active_frames)


def _video_path(split: str, index: int) -> str:
    return f"videos/{split}_{index:05d}.mp4"


def _write_manifest(path: Path, written: list[_Written]) -> None:
    part = path.with_suffix(".csv.part")
    with part.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["path", "label", "split", "num_frames", "fps"])
        table.writerows([v.path, v.label, v.split, len(v.hand_boxes), FPS] for v in written)
    os.replace(part, path)


def _write_tracks(path: Path, written: list[_Written]) -> None:
    lengths = [len(v.hand_boxes) for v in written]
    frame = np.concatenate([np.arange(n, dtype=np.int32) for n in lengths])
    first, last = np.repeat([v.active_frames for v in written], lengths, axis=0).T
    boxes = np.concatenate([v.hand_boxes for v in written])
    columns = {
        "path": pa.array(np.repeat([v.path for v in written], lengths).tolist()),
        "frame": pa.array(frame),
    }
    columns |= {name: pa.array(boxes[:, i]) for i, name in enumerate(("x0", "y0", "x1", "y1"))}
    columns["acting"] = pa.array((first <= frame) & (frame <= last))
    pq.write_table(pa.table(columns), path)


def _write_text(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
