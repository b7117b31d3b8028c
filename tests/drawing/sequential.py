"""What every decoder is held against: FFmpeg's own decode of a file from start to end, through PyAV."""

import itertools
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter


def sequential(path: Path, *, num_frames: int | None = None, **size: int) -> list[np.ndarray]:
    """The first or all frames of a plain decode from the start on, as RGB (h, w, 3)."""
    reformatter = VideoReformatter()
    with av.open(f"file:{path}", metadata_errors="ignore") as container:
        stream = container.streams.best("video")
        return [
            reformatter.reformat(frame, format="rgb24", interpolation="BILINEAR", **size).to_ndarray()
            for frame in itertools.islice(container.decode(stream), num_frames)
        ]
