"""One labelled video of a manifest: a file, a folder of images or a part of a tar, whole or a span of it."""

from dataclasses import dataclass
from pathlib import Path

from w3action.data.span import Span

VIDEO_SUFFIXES = {
    *(".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4"),
    *(".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".vob", ".webm", ".wmv"),
}
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png"}


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
    """What is wrong with the span or the place of a video, None if nothing."""
    first, count, start, end = video.first_frame, video.num_frames, video.start_seconds, video.end_seconds
    if first is None and count is None and video.byte_offset is None and video.num_bytes is None:
        return None  # spans in seconds are checked against the video, when it is decoded
    if (first is not None or count is not None) and (start is not None or end is not None):
        return "the span is given both in seconds and in frames; give one of them"
    if first is not None and first < 0:
        return f"the span starts at frame {first} but frames count from 0; correct it"
    if count is not None and count < 1:
        return f"the span holds {count} frames but must hold at least 1; its end must lie behind its start"
    offset, size = video.byte_offset, video.num_bytes
    if (offset is None) != (size is None):
        return "of byte_offset and num_bytes one is missing; give both or none"
    if offset is not None and size is not None and (offset < 0 or size < 1):
        return f"byte_offset {offset} and num_bytes {size} are no place in a file; pack it again"
    return None
