"""A folder of numbered images, which stands for a video: its frames by number.

The frames are the folder's .jpg, .jpeg and .png files in the natural order of their names (img_2 before img_10),
whatever the number of the first; `flow_x_*` and `flow_y_*`, which some extractors write beside them, are passed over.
JPEG and PNG are decoded by FFmpeg (measured with scaling: 1.5 to 2.5 times as fast as Pillow, 0.8 to 1.4 times as
torchvision) in its strict mode, so that a cut off image is found; what it refuses is given to Pillow, which reads more
kinds. Scaling and conversion are those of `OpenVideo`. Orientation tags are ignored: frames are as the extractor wrote
them. The folder tells no frame rate: times count `fps` frames a second.
"""

import os
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from jaxtyping import Float64, Int64
from PIL import Image

from w3action.data.source import MAX_FRAME_PIXELS, DecodeError
from w3action.data.video import IMAGE_SUFFIXES, Span

NOMINAL_FPS = 30.0
_CODECS = {b"\xff\xd8": "mjpeg", b"\x89P": "png"}  # by the first two bytes
_NUMBER = re.compile(r"(\d+)")


class FolderFrames:
    """The frames of a folder of images, or of a span of them in frames, by number.

    Args:
        folder: holds .jpg, .jpeg or .png files; others are ignored, and so are folders in it.
        span: in frames, counted from 0 in the order of the names.
        fps: frames per second that `seconds` count.

    Raises:
        DecodeError: no folder, no image in it, a span in seconds or one that holds no frame.
    """

    def __init__(self, folder: Path, span: Span | None = None, *, fps: float | None = None):
        span = span or Span()
        self.folder, self.name = folder, str(folder)
        if span.in_seconds:
            reason = "a folder of images knows no times"
            raise DecodeError(folder, reason, "give its span as start_frame, end_frame")
        if fault := span.fault():
            raise DecodeError(folder, *fault)
        names = list_images(folder)
        if not names:
            raise DecodeError(folder, "holds no image", "a folder that stands for a video holds .jpg or .png frames")
        self.names = names
        self.numbers = range(len(names))[span.first_frame : span.stop_frame]
        if not self.numbers:
            raise DecodeError(folder, f"no frame lies in {span}", f"the folder holds {len(names)}, correct the span")
        self.seconds: Float64[np.ndarray, " n"] = np.array(self.numbers) / (fps or NOMINAL_FPS)

    def get(self, wanted: Int64[np.ndarray, " k"]) -> Iterator[tuple[int, av.VideoFrame]]:
        """Give (index, frame) for every wanted index, in order.

        Raises:
            DecodeError: a broken image.
        """
        for index in wanted.tolist():
            yield index, decode_image(self.folder / self.names[self.numbers[index]])


def list_images(folder: Path) -> Sequence[str]:
    """Return the names of the frames in a folder, in natural order; remembered until the folder changes.

    Raises:
        DecodeError: the folder is not there or cannot be read.
    """
    try:
        return _list_images(str(folder), folder.stat().st_mtime_ns)
    except OSError as error:
        raise DecodeError(folder, f"cannot be read as a folder of images ({error.strerror})", "check it") from error


@lru_cache(maxsize=4096)  # an epoch picks at random from some hundred folders of up to 100,000 frames
def _list_images(folder: str, _changed_at: int) -> Sequence[str]:
    with os.scandir(folder) as entries:
        found = [entry.name for entry in entries if _is_frame(entry.name)]
    names = tuple(sorted(found, key=natural_key))
    return _Numbered.of(names) or names


def _is_frame(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES and not name.startswith((".", "flow_"))


def natural_key(name: str) -> tuple:
    """Sort numbers in names as numbers: "img_2.jpg" before "img_10.jpg"."""
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

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return tuple(self[place] for place in range(len(self))[index])
        return f"{self.prefix}{self.numbers[index]:0{self.width}d}{self.suffix}"


def decode_image(path: Path) -> av.VideoFrame:
    """Return one image as a frame that `Canvas` paints.

    Raises:
        DecodeError: no such file, or one that is empty, cut off, damaged, too large or no image.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DecodeError(path, f"cannot be read ({error.strerror})", "extract the frames again") from error
    codec_name = _CODECS.get(data[:2])
    # FFmpeg guesses the last rows of a JPEG that lacks up to a hundred bytes.
    is_whole = codec_name != "mjpeg" or data.endswith(b"\xff\xd9")
    if codec_name is not None and is_whole:
        codec = cast(av.VideoCodecContext, av.CodecContext.create(codec_name, "r"))
        codec.options = {"err_detect": "explode", "max_pixels": str(MAX_FRAME_PIXELS)}
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
            if image.width * image.height > MAX_FRAME_PIXELS:
                raise DecodeError(path, f"{image.width}x{image.height} pixels, at most {MAX_FRAME_PIXELS} are decoded")
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, DecodeError):
            raise
        reason = " ".join(str(error).split())
        raise DecodeError(path, f"no readable image ({reason})", "extract the frames again") from error
    return av.VideoFrame.from_ndarray(pixels, format="rgb24")
