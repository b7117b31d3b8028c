"""What reading one file told, plain enough to be sent from a worker process."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Problem(NamedTuple):
    """Something wrong with a file: a kind of `findings.KINDS` and one line that names no file."""

    kind: str
    message: str


@dataclass(frozen=True)
class VideoFacts:
    """How a video is stored and shown.

    Attributes:
        num_frames: frames that are shown; counted, not what the header says.
        fps: on average; None of a folder of images.
        width, height: pixels as displayed, after rotation.
        codec: its name.
        rotation_degrees: counterclockwise, of the stored picture to the displayed one.
        uneven_share: share of the times between frames that differ by over a quarter from the usual one.
        largest_gap: longest time between two frames, as a multiple of the usual one.
    """

    num_frames: int
    fps: float | None
    width: int
    height: int
    codec: str
    rotation_degrees: int = 0
    uneven_share: float = 0.0
    largest_gap: float = 1.0

    @property
    def seconds(self) -> float | None:
        """How long it lasts."""
        return None if not self.fps else self.num_frames / self.fps


@dataclass(frozen=True)
class SpanFacts:
    """What a span holds of its video.

    Attributes:
        num_frames: frames in it.
        beyond_end: how much of it lies behind the video's end, in its own unit; 0 if nothing.
        fingerprint: see `fingerprint.py`; None where frames were not decoded.
    """

    num_frames: int
    beyond_end: float = 0.0
    fingerprint: np.ndarray | None = None


@dataclass(frozen=True)
class FileFacts:
    """All that was learnt of an entry: `video` and `spans` are missing where a problem hid them."""

    problems: tuple[Problem, ...] = ()
    video: VideoFacts | None = None
    spans: tuple[SpanFacts, ...] = ()
    digest: str | None = None  # of the content, where it was asked for
