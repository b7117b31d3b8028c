"""The data set on disk: `write_tabletop` draws, encodes and lists it.

out/videos/train_00000.mp4 ...   H.264 as a phone would have left it: 4:2:0 colour, B-frames, few key frames
out/manifest.csv       path,label,split,num_frames,fps (paths relative to out); written last
out/classes.txt        one name a line
out/tracks.parquet     path, frame, x0, y0, x1, y1 (the hand's box, pixels, NaN when out of view), acting
out/tabletop.json      which set this is: num_videos, seed, drawing
"""

import json
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from w3action.files import whole_file, write_csv, write_json, write_lines
from w3action.tabletop.catalogue import CLASSES, SPLITS, check_seed
from w3action.tabletop.render import RenderedVideo, render_video
from w3action.workers import Lost, run_jobs

FPS = 12
DRAWING = 2  # raise when the same seed gives other frames than before: sets of two drawings must not mix
_X264 = {"preset": "superfast", "crf": "23", "g": "24"}


def split_sizes(num_videos: int) -> dict[str, int]:
    """Share videos out: 70 % train, 10 % val, 20 % test, rounded; a handful of videos may leave a split empty."""
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
    """Write a set of `num_videos` videos into the folder `out`, or reuse it if it is already there.

    Labels are balanced within each split. A video depends on (seed, split, index) alone, so a larger set of the same
    seed begins with the videos of a smaller one.

    Args:
        out: the data set's folder, made if need be.
        num_videos: of all splits together.
        seed: from 0 to 2**32 - 1.
        num_workers: processes; None means one for each core, 1 draws in this process.
        on_video: called in this process after each finished video (not when a set is reused).

    Returns:
        The manifest's path.

    Raises:
        ValueError: a number out of range, or `out` holds another data set.
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

    for abandoned in (out / "videos").glob(".*.mp4.[0-9]*"):  # half-written when a process was killed
        abandoned.unlink()
    manifest.unlink(missing_ok=True)  # a set with files missing is unfinished, whatever its manifest said
    write_json(out / "tabletop.json", wanted)
    rows, tracks = [], []
    with closing(run_jobs(partial(_draw_one, out, seed), jobs, num_workers=num_workers)) as videos:
        for job, video in zip(jobs, videos, strict=True):
            if isinstance(video, Lost):
                raise ChildProcessError(f"drawing {_video_path(*job)} ended its process: is memory short? run it again")
            label, track = video
            rows.append((_video_path(*job), label, job[0], track.num_rows, FPS))
            tracks.append(track)
            if on_video is not None:
                on_video()
    write_lines(out / "classes.txt", CLASSES)
    with whole_file(out / "tracks.parquet") as part:
        pq.write_table(pa.concat_tables(tracks).combine_chunks(), part)
    write_csv(manifest, ["path", "label", "split", "num_frames", "fps"], rows)
    return manifest


def _check_count(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name} must be 1 or more, got {value!r}")


def _check_folder(out: Path, wanted: dict[str, int]) -> None:
    """Raise ValueError if `out` belongs to another set."""
    record = out / "tabletop.json"
    remedy = "write to another folder, or delete this one first"
    if record.exists():
        found = json.loads(record.read_text(encoding="utf-8"))
        if found != wanted:
            raise ValueError(f"{out} already holds a tabletop set of {found}, wanted {wanted}: {remedy}")
    elif (out / "manifest.csv").exists():
        raise ValueError(f"{out} already holds a data set, not ours (manifest.csv, no tabletop.json): {remedy}")


def _video_path(split: str, index: int) -> str:
    return f"videos/{split}_{index:05d}.mp4"


def _draw_one(out: Path, seed: int, job: tuple[str, int]) -> tuple[str, pa.Table]:
    """Write one video; return its label and the hand's track."""
    video, path = render_video(seed, *job), _video_path(*job)
    _write_video(out / path, video.frames)
    return video.label, _track(path, video)


def _write_video(path: Path, frames: np.ndarray) -> None:
    """Write (T, H, W, 3) uint8 RGB frames at `FPS`, whole or not at all."""
    with whole_file(path) as part, av.open(str(part), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options=_X264)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1  # videos are written side by side, so one thread each is fastest
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def _track(path: str, video: RenderedVideo) -> pa.Table:
    """Return this video's rows of `tracks.parquet`, one per frame."""
    first, last = video.active_frames
    frame = np.arange(len(video.frames), dtype=np.int32)
    boxes = dict(zip(("x0", "y0", "x1", "y1"), video.hand_boxes.T, strict=True))
    acting = (first <= frame) & (frame <= last)
    return pa.table({"path": [path] * len(frame), "frame": frame, **boxes, "acting": acting})
