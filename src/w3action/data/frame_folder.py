"""From a folder of numbered images, which stands for a video, to the frames that were asked for.

The frames are the folder's .jpg, .jpeg and .png files in the natural order of their names (img_2 before img_10),
whatever the number of the first; `flow_x_*` and `flow_y_*`, which some extractors write beside them, are passed over.
JPEG and PNG are decoded by FFmpeg (measured with scaling: 1.5 to 2.5 times as fast as Pillow, 0.8 to 1.4 times as
torchvision) in its strict mode, so that a cut off image is found; what it refuses is given to Pillow, which reads more
kinds. Scaling and conversion are those of `decode`. Orientation tags are ignored: frames are as the extractor wrote
them. The folder tells no frame rate: `pts_seconds` count `fps` frames a second.
"""

import os
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import cast, overload

import av
import numpy as np
import torch
from PIL import Image

from w3action.data.canvas import Canvas
from w3action.data.clip import Clip
from w3action.data.sampling import check_indices
from w3action.data.source import MAX_PIXELS, DecodeError
from w3action.data.span import Span
from w3action.data.video import IMAGE_SUFFIXES

NOMINAL_FPS = 30.0
_CODECS = {b"\xff\xd8": "mjpeg", b"\x89P": "png"}  # by the first two bytes
_NUMBER = re.compile(r"(\d+)")


def decode_folder(
    folder: Path,
    pick: Callable[[int], Sequence[int] | np.ndarray],
    *,
    start_seconds: float | None = None,
    end_seconds: float | None = None,
    first_frame: int | None = None,
    num_frames: int | None = None,
    short_side: int | None = None,
    num_threads: int = 1,
    fps: float = NOMINAL_FPS,
) -> Clip:
    """Decode chosen frames of a folder of images.

    Args:
        folder: holds .jpg, .jpeg or .png files; others are ignored, and so are folders in it.
        pick: called once with the number of frames of the span; returns indices of the frames wanted, of any shape
            (read row by row), in any order, with repetitions.
        start_seconds: refused, as is `end_seconds`: a folder of images knows no times.
        end_seconds: refused.
        first_frame: only frames from this one on, counted from 0 in the order of the names.
        num_frames: only so many frames from `first_frame` on; fewer where the folder ends before.
        short_side: scale frames, up or down, so that the shorter side has this many pixels.
        num_threads: threads of the conversion.
        fps: frames per second that `pts_seconds` count.

    Returns:
        The frames in the order of the indices, all of the first one's size.

    Raises:
        DecodeError: no folder, no image in it, a broken image, a span in seconds or one that holds no frame.
        ValueError: `pick` returned no indices, or some outside of [0, number of frames).
    """
    if short_side is not None and short_side < 1:
        raise ValueError(f"short_side is {short_side} pixels but must be at least 1: give for example 256")
    if start_seconds is not None or end_seconds is not None:
        raise DecodeError(f"{folder}: a folder of images knows no times; give its span as start_frame, end_frame")
    span = Span(first_frame=first_frame, num_frames=num_frames)
    if fault := span.fault():
        raise DecodeError(f"{folder}: {fault}")
    names = list_images(folder)
    if not names:
        raise DecodeError(f"{folder}: holds no image; a folder that stands for a video holds .jpg or .png frames")
    inside = range(len(names))[span.first_frame : span.stop_frame]
    if not inside:
        raise DecodeError(f"{folder}: no frame lies in {span}; the folder holds {len(names)}, correct the span")
    indices = check_indices(pick(len(inside)), num_frames=len(inside))
    wanted, places = np.unique(indices, return_inverse=True)  # decode each frame once
    canvas = Canvas(len(indices), short_side=short_side, num_threads=num_threads, name=str(folder))
    for order, index in enumerate(wanted.tolist()):
        canvas.paint(decode_image(folder / names[inside[index]]), np.flatnonzero(places == order))
    return Clip(
        frames=torch.from_numpy(canvas.pixels).permute(3, 0, 1, 2),  # (c, t, h, w)
        pts_seconds=torch.from_numpy((indices + inside.start) / fps),
    )


def list_images(folder: Path) -> Sequence[str]:
    """Names of the frames in a folder, in natural order; remembered until the folder changes.

    Raises:
        DecodeError: the folder is not there or cannot be read.
    """
    try:
        return _list_images(str(folder), folder.stat().st_mtime_ns)
    except OSError as error:
        raise DecodeError(f"{folder}: cannot be read as a folder of images ({error.strerror}); check it") from error


@lru_cache(maxsize=4096)  # an epoch picks at random from some hundred folders of up to 100,000 frames
def _list_images(folder: str, _changed_at: int) -> Sequence[str]:
    with os.scandir(folder) as entries:
        found = [entry.name for entry in entries if _is_frame(entry.name)]
    names = tuple(sorted(found, key=natural_key))
    return _Numbered.of(names) or names


def _is_frame(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES and not name.startswith((".", "flow_"))


def natural_key(name: str) -> tuple:
    """Sorts numbers in names as numbers: "img_2.jpg" before "img_10.jpg"."""
    parts = _NUMBER.split(name)
    return ([int(part) if place % 2 else part.lower() for place, part in enumerate(parts)], name)


class _Numbered(Sequence[str]):
    """Names that differ only in a number that grows by one: kept as their rule, not as strings."""

    def __init__(self, prefix: str, first: int, count: int, *, width: int, suffix: str):
        self.prefix, self.suffix, self.width = prefix, suffix, width
        self.numbers = range(first, first + count)

    @classmethod
    def of(cls, names: tuple[str, ...]) -> "_Numbered | None":
        parts = re.fullmatch(r"(.*?)(\d+)(\D*)", names[0]) if names else None
        if parts is None:
            return None
        prefix, number, suffix = parts.groups()
        rule = cls(prefix, int(number), len(names), width=len(number), suffix=suffix)
        return rule if tuple(rule) == names else None

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        if isinstance(index, slice):
            return tuple(self[place] for place in range(len(self))[index])
        return f"{self.prefix}{self.numbers[index]:0{self.width}d}{self.suffix}"


def decode_image(path: Path) -> av.VideoFrame:
    """One image as a frame that `Canvas` paints.

    Raises:
        DecodeError: no such file, or one that is empty, cut off, damaged, too large or no image.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DecodeError(f"{path}: cannot be read ({error.strerror}); extract the frames again") from error
    codec_name = _CODECS.get(data[:2])
    # FFmpeg guesses the last rows of a JPEG that lacks up to a hundred bytes.
    is_whole = codec_name != "mjpeg" or data.endswith(b"\xff\xd9")
    if codec_name is not None and is_whole:
        codec = cast(av.VideoCodecContext, av.CodecContext.create(codec_name, "r"))
        codec.options = {"err_detect": "explode", "max_pixels": str(MAX_PIXELS)}
        codec.thread_count = 1
        try:
            for fed in (av.Packet(data), None):
                for frame in codec.decode(fed):
                    if not _has_side_data(frame):
                        return frame
        except av.error.FFmpegError:
            pass  # damaged, or of a kind that only Pillow reads
    return _decode_by_pillow(path)


def _has_side_data(frame: av.VideoFrame) -> bool:
    """Whether something came along with the pixels: an orientation, by which `Canvas` would turn them."""
    try:
        return len(frame.side_data) > 0
    except ValueError:  # of a kind that PyAV does not know
        return True


def _decode_by_pillow(path: Path) -> av.VideoFrame:
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DecodeError(f"{path}: {image.width}x{image.height} pixels, at most {MAX_PIXELS} are decoded")
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, DecodeError):
            raise
        reason = " ".join(str(error).split())
        raise DecodeError(f"{path}: no readable image ({reason}); extract the frames again") from error
    return av.VideoFrame.from_ndarray(pixels, format="rgb24")
