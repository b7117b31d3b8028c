"""Frames -> an H.264 MP4 file as a phone would have left it: 4:2:0 colour, B-frames, few key frames."""

import os
from pathlib import Path

import av
import numpy as np

FPS = 12
_OPTIONS = {"preset": "superfast", "crf": "23", "g": "24"}


def encode_mp4(path: Path, frames: np.ndarray) -> None:
    """Write (T, H, W, 3) uint8 RGB frames to ``path`` at `FPS`; the file appears whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    with av.open(str(part), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options=_OPTIONS)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1  # videos are written side by side, so one thread each is fastest
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    os.replace(part, path)
