"""Strips of a few frames of chosen clips, as JPEG: what the classes look like, and what looks the same."""

import io
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image

from w3action.data.open_frames import open_frames
from w3action.data.source import LIMIT_SECONDS, DecodeError
from w3action.data.video import Video
from w3action.workers import run_jobs

FRAMES_OF_STRIP, HEIGHT = 4, 96  # pixels


def draw_strips(
    videos: Sequence[Video], *, num_workers: int | None = None, limit_seconds: float = LIMIT_SECONDS
) -> list[bytes | None]:
    """A JPEG of four frames side by side for each video; None of those that cannot be decoded in time."""
    strips = run_jobs(_draw_strip, videos, num_workers=num_workers, limit_seconds=limit_seconds)
    return [strip if isinstance(strip, bytes) else None for strip in strips]


def choose_rows(rows: Sequence[int], number: int) -> list[int]:
    """So many rows of a class, evenly spread over it."""
    return [rows[int((place + 0.5) * len(rows) / number)] for place in range(number)] if len(rows) > number else [*rows]


def _draw_strip(video: Video) -> bytes | None:
    try:
        with open_frames(video, short_side=HEIGHT) as opened:
            clip = opened.read(_spread(opened.count))
    except (DecodeError, OSError, ValueError):
        return None  # why is among the findings
    frames: Iterable[np.ndarray] = clip.frames.permute(1, 2, 3, 0).numpy()  # (t, h, w, c)
    row = []
    for frame in frames:
        picture = Image.fromarray(np.ascontiguousarray(frame))
        row.append(np.asarray(picture.resize((max(1, round(picture.width * HEIGHT / picture.height)), HEIGHT))))
    file = io.BytesIO()
    Image.fromarray(np.hstack(row)).save(file, "JPEG", quality=80)
    return file.getvalue()


def _spread(num_frames: int) -> np.ndarray:
    return ((np.arange(FRAMES_OF_STRIP) + 0.5) * num_frames / FRAMES_OF_STRIP).astype(int)
