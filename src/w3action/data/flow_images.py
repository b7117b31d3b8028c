"""Optical flow that was computed before: a folder with two gray images of each flow, 8 bits, 128 for no motion.

Layouts of public data sets; `path` is what a manifest names:

| images | where |
|---|---|
| `path/flow_x_00001.jpg`, `path/flow_y_00001.jpg` | UCF101, HMDB51, Kinetics as for TSN; frames may lie beside |
| `path/000123-x_00001.jpg`, `path/000123-y_00001.jpg` | Something-Something V1 as for TRN and TSM |
| `path/u/frame000001.jpg`, `path/v/frame000001.jpg` | x in u, y in v |
| `path/frame000001.jpg`, `path/../../v/NAME/frame000001.jpg`, `path` being `.../u/NAME` | UCF101, HMDB51: TV-L1 |

The displacements are those of the images' own size, and stay so when the images are scaled to another.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64, Int64, UInt8
from PIL import Image
from torch import Tensor

from w3action.data.decode import scaled_size
from w3action.data.frame_folder import NOMINAL_FPS
from w3action.data.source import DecodeError
from w3action.data.video import IMAGE_SUFFIXES, Video

_NAMED = re.compile(r"(?:flow_|\d+-)([xy])_(\d+)\.(?:jpe?g|png)", re.IGNORECASE)
_NUMBERED = re.compile(r"\D*(\d+)\.\w+")


@dataclass(frozen=True)
class FlowImages:
    """The flows of a video in order, their x images and their y images."""

    path: Path
    x: tuple[Path, ...]
    y: tuple[Path, ...]
    first: int = 0  # place of the first in the whole video
    fps: float = NOMINAL_FPS
    short_side: int | None = None  # what they are scaled to, in pixels; None leaves them

    def __len__(self) -> int:
        """Return the number of flows."""
        return len(self.x)

    def read(self, flows: Int64[np.ndarray, " n"]) -> tuple[UInt8[np.ndarray, "n h w 2"], Float64[Tensor, " n"]]:
        """Read the levels of these flows, scaled, and their times, which are those of a folder of frames.

        Raises:
            DecodeError: an image cannot be read, or is not of the size of the others.
        """
        pairs = [[_read(paths[flow], self.short_side) for paths in (self.x, self.y)] for flow in flows.tolist()]
        sizes = {image.shape for pair in pairs for image in pair}
        if len(sizes) > 1:
            given = ", ".join(f"{width}x{height}" for height, width in sorted(sizes))
            raise DecodeError(self.path, f"flow images of the sizes {given}", "compute them again, all of one size")
        return np.stack([np.stack(pair, axis=-1) for pair in pairs]), torch.from_numpy((self.first + flows) / self.fps)


def find_flow_images(video: Video, *, short_side: int | None = None) -> FlowImages | None:
    """Find the stored flow of a video, or of its span; None where `video.path` is no folder that holds any.

    A span of n frames has n - 1 flows (and one if it has one frame). The images are read at `short_side`.

    Raises:
        DecodeError: an x image without its y image or the other way; a span in seconds, which images cannot tell, or
            one beyond the end.
    """
    found = _find(video.path) if video.path.is_dir() else None
    if found is None:
        return None
    x, y = found
    for numbers, others, missing in ((x, y, "y"), (y, x, "x")):
        alone = sorted(numbers.keys() - others.keys())
        if alone:
            raise DecodeError(
                video.path,
                f"{numbers[alone[0]].name} has no {missing} image beside it ({len(alone)} such)",
                "copy or compute the flow again",
            )
    if video.span.in_seconds:
        raise DecodeError(video.path, "stored flow has no times", "give the span in frames, start_frame and end_frame")
    order = sorted(x)
    first = video.first_frame or 0
    count = len(order) - first if video.num_frames is None else max(1, video.num_frames - 1)
    order = order[first : first + count]
    if not order:
        raise DecodeError(video.path, f"no flow from frame {first} on", f"it holds {len(x)} flows, correct the span")
    x_paths, y_paths = (tuple(numbered[number] for number in order) for numbered in (x, y))
    return FlowImages(video.path, x_paths, y_paths, first, fps=video.fps or NOMINAL_FPS, short_side=short_side)


Numbered = Mapping[int, Path]


def _find(folder: Path) -> tuple[Numbered, Numbered] | None:
    named: dict[str, dict[int, Path]] = {"x": {}, "y": {}}
    for child in folder.iterdir():
        match = _NAMED.fullmatch(child.name)
        if match:
            named[match[1].lower()][int(match[2])] = child
    if named["x"] or named["y"]:
        return named["x"], named["y"]
    pairs = [(folder / "u", folder / "v")]
    if folder.parent.name == "u":
        pairs.append((folder, folder.parent.parent / "v" / folder.name))
    for u, v in pairs:
        if u.is_dir() and v.is_dir():
            return _numbered(u), _numbered(v)
    return None


def _numbered(folder: Path) -> dict[int, Path]:
    images = (child for child in folder.iterdir() if child.suffix.lower() in IMAGE_SUFFIXES)
    return {int(match[1]): image for image in images if (match := _NUMBERED.fullmatch(image.name))}


def _read(path: Path, short_side: int | None) -> UInt8[np.ndarray, "h w"]:
    try:
        with Image.open(path) as image:
            gray = image.convert("L")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        reason = f"cannot be read as an image ({error})"
        raise DecodeError(path, reason, "copy or compute the flow again") from error
    return np.asarray(gray.resize(scaled_size(*gray.size, short_side=short_side), Image.Resampling.BILINEAR))
