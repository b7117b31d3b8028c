"""One labelled video of a manifest: a file, a folder of images or a part of a tar, whole or a span of it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

VIDEO_SUFFIXES = {
    *(".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4"),
    *(".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".vob", ".webm", ".wmv"),
}
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png"}


@dataclass(frozen=True)
class Span:
    """What may be seen of a video; None is a limit not set. Frames count from 0 in order of presentation.

    Raises:
        ValueError: seconds and frames were mixed.
    """

    start_seconds: float | None = None
    end_seconds: float | None = None
    first_frame: int | None = None
    num_frames: int | None = None

    def __post_init__(self):
        if self.in_seconds and self.in_frames:
            given = {name: value for name, value in vars(self).items() if value is not None}
            raise ValueError(
                f"a span of {', '.join(f'{name}={value}' for name, value in given.items())} mixes seconds and frames: "
                "give start_seconds and end_seconds, or first_frame and num_frames"
            )

    @property
    def in_seconds(self) -> bool:
        """Whether a limit in seconds is set."""
        return self.start_seconds is not None or self.end_seconds is not None

    @property
    def in_frames(self) -> bool:
        """Whether a limit in frames is set."""
        return self.first_frame is not None or self.num_frames is not None

    @property
    def stop_frame(self) -> int | None:
        """The first frame behind the span; None if it has no end in frames."""
        return None if self.num_frames is None else (self.first_frame or 0) + self.num_frames

    def __str__(self) -> str:
        if self.in_frames:
            return f"[frame {self.first_frame or 0}, {'end' if self.num_frames is None else self.stop_frame})"
        end = "end" if self.end_seconds is None else f"{self.end_seconds:g} s"
        return f"[{self.start_seconds or 0:g} s, {end})"

    def fault(self) -> tuple[str, str] | None:
        """Return why no video has frames in this span and what to do about it, or None."""
        if (self.first_frame or 0) < 0:
            return f"the span {self} begins before frame 0", "first_frame counts from 0"
        if self.num_frames is not None and self.num_frames < 1:
            return f"the span {self} is empty", "num_frames must be at least 1"
        if self.end_seconds is not None and self.end_seconds <= (self.start_seconds or 0):
            return f"the span {self} is empty", "its end must lie behind its start"
        return None

    def inside(self, seconds: Float64[np.ndarray, " n"]) -> Int64[np.ndarray, " k"]:
        """Return the places of the frames in the span, among all frames of a video in order of presentation."""
        kept = np.ones(len(seconds), bool)
        if self.start_seconds is not None:
            kept &= seconds >= self.start_seconds
        if self.end_seconds is not None:
            kept &= seconds < self.end_seconds
        return np.flatnonzero(kept)[self.first_frame : self.stop_frame]


class ManifestError(ValueError):
    """A list of videos cannot be read: one line that says what was given, what is allowed and what to try."""


@dataclass(frozen=True)
class Video:
    """One labelled video, or one labelled span of it; `label` is a class id.

    Attributes:
        path: a video file, a folder of images, or an uncompressed tar.
        label: class id.
        others: class ids by further labellings, where there are several; ids count through (see `Manifest`).
        start_seconds, end_seconds: the span [start, end) in seconds from the start of the video stream.
        split: for example "train".
        first_frame, num_frames: the span [first, first + num) in frames from 0, instead of one in seconds.
        byte_offset, num_bytes: where the video file lies inside the tar `path`.
        fps: frames per second of a folder of images; elsewhere the frames' own times count.

    Raises:
        ManifestError: a span that is empty, negative, or given both in seconds and in frames; half of a place in a tar.
    """

    path: Path
    label: int
    start_seconds: float | None = None
    end_seconds: float | None = None
    split: str | None = None
    first_frame: int | None = None
    num_frames: int | None = None
    byte_offset: int | None = None
    num_bytes: int | None = None
    others: tuple[int, ...] = ()
    fps: float | None = None

    def __post_init__(self):
        fault = _fault_of(self)
        if fault:
            raise ManifestError(f"{self.path}: {fault}")

    @property
    def labels(self) -> tuple[int, ...]:
        """Its class ids by all labellings."""
        return (self.label, *self.others)

    @property
    def span(self) -> Span:
        """Which part of its file it is."""
        return Span(self.start_seconds, self.end_seconds, self.first_frame, self.num_frames)

    @property
    def place(self) -> tuple:
        """What tells this video or span from every other one: its file, and the part of it."""
        return (*self.file, self.start_seconds, self.end_seconds, self.first_frame, self.num_frames)

    @property
    def file(self) -> tuple:
        """What tells its file from others: spans of one recording share it, videos of one tar do not."""
        return self.path, self.byte_offset


def _fault_of(video: Video) -> str | None:
    """Return what is wrong with the span or the place of a video, None if nothing."""
    first, count, offset, size = video.first_frame, video.num_frames, video.byte_offset, video.num_bytes
    times = (video.start_seconds, video.end_seconds)  # checked against the video, when it is decoded
    if (first, count) != (None, None) and times != (None, None):
        return "the span is given both in seconds and in frames; give one of them"
    if first is not None and first < 0:
        return f"the span starts at frame {first} but frames count from 0; correct it"
    if count is not None and count < 1:
        return f"the span holds {count} frames but must hold at least 1; its end must lie behind its start"
    if (offset is None) != (size is None):
        return "of byte_offset and num_bytes one is missing; give both or none"
    if offset is not None and size is not None and (offset < 0 or size < 1):
        return f"byte_offset {offset} and num_bytes {size} are no place in a file; pack it again"
    return None


def identity(video: Video, *, source: Path) -> str:
    """Name a video of the manifest read from `source`, wherever the data set lies and whichever stream of it is read.

    The name is the path below the manifest's folder (the whole path of a video elsewhere), without the suffix of a
    video file, and the span or the place in a tar: "cooking/0012", "P01_01 [1.5, 3)", "p01/v7 frames [30, 62)",
    "train-03.tar at byte 512". So the streams of RGB (`rgb/val/0012.mp4`) and of flow (`flow/val/0012/`) agree on it,
    and so do copies of a data set.
    """
    path = video.path.with_suffix("") if video.path.suffix.lower() in VIDEO_SUFFIXES else video.path
    name = relative_name(path, source=source)
    span = video.span
    if span.in_seconds:
        end = "end" if span.end_seconds is None else f"{span.end_seconds:.6g}"
        name += f" [{span.start_seconds or 0:.6g}, {end})"
    if span.in_frames:
        name += f" frames [{span.first_frame or 0}, {'end' if span.stop_frame is None else span.stop_frame})"
    if video.byte_offset is not None:
        name += f" at byte {video.byte_offset}"
    return name


def relative_name(path: Path, *, source: Path) -> str:
    """Return a path below the folder of the manifest `source`, or the whole of one that lies elsewhere."""
    path, folder = path.absolute(), (source if source.is_dir() else source.parent).absolute()
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()
