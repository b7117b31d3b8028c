"""From decoded frames to the pixels of a clip: RGB, scaled, turned as the file says, in one array.

Conversion and scaling are one pass of FFmpeg's swscale. Phones store the picture as the sensor lies and write
a display matrix beside it; it is applied here, so that clips are upright.
"""

import math
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter


class Canvas:
    """The pixels of a clip, painted frame by frame in any order."""

    def __init__(self, num_frames: int, *, short_side: int | None, num_threads: int):
        self.num_frames, self.short_side, self.num_threads = num_frames, short_side, num_threads
        self.reformatter = VideoReformatter()
        self.pixels = np.empty((0, 0, 0, 3), np.uint8)  # (t, h, w, c), made when the first frame tells its size

    def paint(self, frame: av.VideoFrame, places: np.ndarray) -> None:
        """Convert one frame into all of its places."""
        if not self.pixels.size:
            self.size = _scaled(frame.width, frame.height, short_side=self.short_side)
            self.turns, self.mirrored = orientation(frame)
            width, height = self.size[::-1] if self.turns % 2 else self.size
            self.pixels = np.empty((self.num_frames, height, width, 3), np.uint8)
        width, height = self.size  # of later frames too, should the stream change its own
        rgb = self.reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="rgb24",
            interpolation="BILINEAR",
            threads=self.num_threads,
        )
        plane = rgb.planes[0]
        pixels = memoryview(plane)  # its rows are padded
        image = np.ndarray((height, width, 3), np.uint8, buffer=pixels, strides=(plane.line_size, 3, 1))
        if self.mirrored:
            image = image[:, ::-1]
        self.pixels[places] = np.rot90(image, self.turns)


def _scaled(width: int, height: int, *, short_side: int | None) -> tuple[int, int]:
    if short_side is None:
        return width, height
    ratio = short_side / min(width, height)
    return max(short_side, round(width * ratio)), max(short_side, round(height * ratio))


def orientation(frame: av.VideoFrame) -> tuple[int, bool]:
    """(quarter turns counterclockwise, whether to mirror left and right before) of the display matrix."""
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return 0, False
    a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].tolist()  # (x, y) is shown at (ax + cy, bx + dy), y down
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    return round(-math.atan2(b, a) / (math.pi / 2)) % 4, mirrored
