"""A video file opened for reading frames by number, with no more work than they need.

`OpenVideo` lists the frames of the file, or of a span of it, from its packets. `read` decodes only the groups of
pictures that hold a wanted frame, each up to the last wanted one; frames that no other depends on are skipped.
Conversion to RGB and scaling are one pass of FFmpeg's swscale per wanted frame. The frames equal those of a full
sequential decode. Where packet times are no guide (an avi with B-frames), everything is decoded and the frames that
come out are the timeline. A folder of images is read in the same way.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import av
import numpy as np
from jaxtyping import Float64, Int64

from w3action.data.canvas import Canvas, orientation
from w3action.data.clip import Clip
from w3action.data.frames import list_frames
from w3action.data.sampling import check_indices
from w3action.data.source import LIMIT_SECONDS, DecodeError, Source, VideoFile

__all__ = ["DecodeError", "ListsFrames", "OpenVideo", "VideoInfo", "probe"]


@runtime_checkable
class ListsFrames(Protocol):
    """Frames in order of presentation, of a file (`frames.py`) or of a folder of images (`frame_folder.py`)."""

    name: str  # for errors
    seconds: Float64[np.ndarray, " n"]

    def get(self, wanted: Int64[np.ndarray, " k"]) -> Iterator[tuple[int, av.VideoFrame]]:
        """Give (index, frame) for every one of the wanted indices, in any order."""
        ...


class OpenVideo:
    """Frames by number: the `Frames` that decode.

    Args:
        listed: where they come from.
        short_side: scale frames so that the shorter side has this many pixels; None leaves them.
        enlarge: also where that makes them larger.
        num_threads: threads of the conversion.
    """

    def __init__(
        self, listed: ListsFrames, *, short_side: int | None = None, enlarge: bool = True, num_threads: int = 1
    ):
        if short_side is not None and short_side < 1:
            raise ValueError(f"short_side is {short_side} pixels but must be at least 1: give for example 256")
        self.listed, self.short_side, self.enlarge, self.num_threads = listed, short_side, enlarge, num_threads

    @property
    def count(self) -> int:
        """Number of frames."""
        return len(self.listed.seconds)

    def read(self, indices: Sequence[int] | np.ndarray) -> Clip:
        """Decode frames, turned and mirrored as the file's display matrix says; see `Frames.read`."""
        flat = check_indices(indices, count=self.count)
        wanted, places = np.unique(flat, return_inverse=True)  # decode each frame once
        canvas = Canvas(
            len(flat),
            short_side=self.short_side,
            enlarge=self.enlarge,
            num_threads=self.num_threads,
            name=self.listed.name,
        )
        for index, frame in self.listed.get(wanted):
            canvas.paint(frame, np.flatnonzero(places == np.searchsorted(wanted, index)))
        return Clip.of_images(canvas.pixels, self.listed.seconds[flat])


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


def probe(file: VideoFile, *, limit_seconds: float | None = LIMIT_SECONDS) -> VideoInfo:
    """Count a file's frames, by demuxing where that tells, and decode the first to learn how it is displayed.

    Raises:
        DecodeError: as for `open_frames`.
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
