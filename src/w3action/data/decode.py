"""From a video file to the frames that were asked for, with no more work than they need.

`decode(file, pick)` lists the frames of the file (or of a span of it) from its packets, asks `pick` which of
them are wanted, and decodes only the groups of pictures that hold a wanted frame, each up to the last wanted
one; frames that no other depends on are skipped. Conversion to RGB and scaling are one pass of FFmpeg's
swscale per wanted frame. The frames equal those of a full sequential decode. Where packet times are no guide
(an avi with B-frames), everything is decoded and the frames that come out are the timeline.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from w3action.data.canvas import Canvas, orientation
from w3action.data.clip import Clip
from w3action.data.frames import list_frames
from w3action.data.sampling import check_indices
from w3action.data.source import LIMIT_SECONDS, DecodeError, Source, VideoFile
from w3action.data.span import Span

__all__ = ["DecodeError", "VideoInfo", "decode", "probe"]


@dataclass(frozen=True)
class VideoInfo:
    """What a file holds: counted frames, frames per second on average, size as displayed (after rotation)."""

    num_frames: int
    fps: float
    width: int
    height: int
    duration_seconds: float
    codec: str
    rotation_degrees: int  # counterclockwise, of the stored picture to the displayed one: 0, 90, 180 or 270


def decode(
    file: VideoFile,
    pick: Callable[[int], Sequence[int] | np.ndarray],
    *,
    start_seconds: float | None = None,
    end_seconds: float | None = None,
    first_frame: int | None = None,
    num_frames: int | None = None,
    short_side: int | None = None,
    num_threads: int = 1,
    limit_seconds: float | None = LIMIT_SECONDS,
) -> Clip:
    """Decode chosen frames of a video.

    Args:
        file: path of a video of any format that FFmpeg reads, or a binary file object that can seek and is
            read from its start (it stays open; errors name its `name`).
        pick: called once with the number of frames; returns indices of the frames wanted, of any shape (read
            row by row), in any order, with repetitions.
        start_seconds: only frames shown at this time or later, counted from the start of the video stream.
        end_seconds: only frames shown before this time.
        first_frame: only frames from this one on, counted from 0. A span is in seconds or in frames.
        num_frames: only so many frames from `first_frame` on; fewer where the video ends before.
        short_side: scale frames, up or down, so that the shorter side has this many pixels.
        num_threads: threads of the decoder and of the conversion.
        limit_seconds: give up when this much time has passed; None never does.

    Returns:
        The frames in the order of the indices, turned and mirrored as the file's display matrix says.

    Raises:
        DecodeError: the file is missing, empty, damaged, cut off, no video, too large or too slow, or shows no
            frame in the span.
        ValueError: `pick` returned no indices, or some outside of [0, number of frames); seconds and frames
            are mixed.
    """
    if short_side is not None and short_side < 1:
        raise ValueError(f"short_side is {short_side} pixels but must be at least 1: give for example 256")
    span = Span(start_seconds=start_seconds, end_seconds=end_seconds, first_frame=first_frame, num_frames=num_frames)
    with Source(file, num_threads=num_threads, limit_seconds=limit_seconds) as source:
        frames = list_frames(source, span)
        indices = check_indices(pick(len(frames.seconds)), num_frames=len(frames.seconds))
        wanted, places = np.unique(indices, return_inverse=True)  # decode each frame once
        canvas = Canvas(len(indices), short_side=short_side, num_threads=num_threads, name=source.name)
        for index, frame in frames.get(wanted):
            canvas.paint(frame, np.flatnonzero(places == np.searchsorted(wanted, index)))
        return Clip(
            frames=torch.from_numpy(canvas.pixels).permute(3, 0, 1, 2),  # (c, t, h, w)
            pts_seconds=torch.from_numpy(frames.seconds[indices]),
        )


def probe(file: VideoFile, *, limit_seconds: float | None = LIMIT_SECONDS) -> VideoInfo:
    """Count a file's frames, by demuxing where that tells, and decode the first to learn how it is displayed.

    Raises:
        DecodeError: as for `decode`.
    """
    with Source(file, limit_seconds=limit_seconds) as source:
        frames = list_frames(source)
        seconds = frames.seconds
        _, first = next(frames.get(np.zeros(1, np.int64)))
        turns, _ = orientation(first)
        width, height = (first.height, first.width) if turns % 2 else (first.width, first.height)
        span = float(seconds[-1] - seconds[0])
        fps = (len(seconds) - 1) / span if span > 0 else float(source.stream.average_rate or 1)
        return VideoInfo(
            num_frames=len(seconds),
            fps=fps,
            width=width,
            height=height,
            duration_seconds=span + 1 / fps,
            codec=source.stream.codec_context.codec.canonical_name,
            rotation_degrees=90 * turns,
        )
