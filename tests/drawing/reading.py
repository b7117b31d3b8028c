"""Frames of a video in one line, for tests: open, ask `pick` which of so many frames, read."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from w3action.data import Clip, Video, open_frames
from w3action.data.decode import OpenVideo
from w3action.data.frame_folder import FolderFrames
from w3action.data.frames import list_frames
from w3action.data.source import LIMIT_SECONDS, Source, VideoFile
from w3action.data.video import Span

Pick = Callable[[int], Sequence[int] | np.ndarray]


def read(video: Video | VideoFile, pick: Pick, **options: Any) -> Clip:
    """The picked frames, by `open_frames`."""
    with open_frames(video, **options) as frames:
        return frames.read(pick(frames.count))


def decode(
    file: VideoFile,
    pick: Pick,
    *,
    short_side: int | None = None,
    num_threads: int = 1,
    limit_seconds: float | None = LIMIT_SECONDS,
    **span: Any,
) -> Clip:
    """The picked frames of a span of a file, without a manifest's `Video`."""
    with Source(file, num_threads=num_threads, limit_seconds=limit_seconds) as source:
        listed = list_frames(source, Span(**span))
        frames = OpenVideo(listed, short_side=short_side, num_threads=num_threads)
        return frames.read(pick(frames.count))


def decode_folder(
    folder: Path, pick: Pick, *, short_side: int | None = None, fps: float | None = None, **span: Any
) -> Clip:
    """The picked frames of a span of a folder of images."""
    frames = OpenVideo(FolderFrames(folder, Span(**span), fps=fps), short_side=short_side)
    return frames.read(pick(frames.count))
