"""A part of a video: in seconds [start, end) or in frames [first, first + number), or all of it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64


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
