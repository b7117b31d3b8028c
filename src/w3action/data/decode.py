"""Frames by number, decoded to pixels: RGB, scaled, turned as the file says, in one array.

Conversion and scaling are one pass of FFmpeg's swscale: scaling first would take half the time but leave colours
at half the resolution (up to 4 levels off on average where frames are made smaller). Phones store the picture
as the sensor lies and write a display matrix beside it; it is applied here, so that clips are upright.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from jaxtyping import Float64, Int64

from w3action.data.clip import Clip
from w3action.data.sampling import check_indices
from w3action.data.source import DecodeError

# What a clip's frames may take: more would be a damaged count or size, or a whole film picked by mistake.
MAX_CLIP_BYTES = 16 << 30


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


class Canvas:
    """The pixels of a clip, painted frame by frame in any order."""

    def __init__(self, num_frames: int, *, short_side: int | None, enlarge: bool = True, num_threads: int, name: str):
        self.num_frames, self.short_side, self.enlarge, self.num_threads = num_frames, short_side, enlarge, num_threads
        self.name = name  # of the file, for errors
        self.reformatter = VideoReformatter()
        self.pixels = np.empty((0, 0, 0, 3), np.uint8)  # (t, h, w, c), made when the first frame tells its size

    def paint(self, frame: av.VideoFrame, places: np.ndarray) -> None:
        """Convert one frame into all of its places.

        Raises:
            DecodeError: the clip would take more than `MAX_CLIP_BYTES`.
        """
        if not self.pixels.size:
            self.size = scaled_size(frame.width, frame.height, short_side=self.short_side, enlarge=self.enlarge)
            self.turns, self.mirrored = orientation(frame)
            width, height = self.size[::-1] if self.turns % 2 else self.size
            if self.num_frames * height * width * 3 > MAX_CLIP_BYTES:
                raise DecodeError(
                    self.name,
                    f"{self.num_frames} frames of {width}x{height} do not fit into {MAX_CLIP_BYTES >> 30} GiB",
                    "pick fewer, or give a smaller short_side",
                )
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
        # Its rows are padded. Copied row by row they take a fifth of the time of pixel by pixel.
        rows = np.ndarray((height, 3 * width), np.uint8, buffer=memoryview(plane), strides=(plane.line_size, 1))
        upright = not self.turns and not self.mirrored
        for place in places.tolist():
            if upright:
                self.pixels[place].reshape(height, 3 * width)[...] = rows
            else:
                image = rows.reshape(height, width, 3)
                self.pixels[place] = np.rot90(image[:, ::-1] if self.mirrored else image, self.turns)


def scaled_size(width: int, height: int, *, short_side: int | None, enlarge: bool = True) -> tuple[int, int]:
    """Return width and height in pixels of frames whose shorter side is scaled to `short_side`."""
    if short_side is None or (not enlarge and short_side >= min(width, height)):
        return width, height
    ratio = short_side / min(width, height)
    return max(short_side, round(width * ratio)), max(short_side, round(height * ratio))


def orientation(frame: av.VideoFrame) -> tuple[int, bool]:
    """Return (quarter turns counterclockwise, whether to mirror left and right before) of the display matrix."""
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return 0, False
    a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].tolist()  # (x, y) is shown at (ax + cy, bx + dy), y down
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    return round(-math.atan2(b, a) / (math.pi / 2)) % 4, mirrored
