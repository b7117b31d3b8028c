"""Optical flow as what a network sees: of each segment five successive flows instead of one RGB frame.

    a segment that starts at flow i  ->  x and y of the flows i, ..., i + 4   (10, h, w), channels x1, y1, ..., x5, y5

Flow i says how far every pixel of frame i moves until frame i + 1, x to the right and y down, in pixels of the frames
as they are decoded (at `short_side`). A video of n frames has n - 1 flows; beyond its end the last one repeats, and a
video of one frame has one flow, of zeros. OpenCV's DIS computes them, on one thread: its result depends on the number.

Flows are kept as the images of public two-stream systems are: 8 bits, displacements clipped to 20 pixels, 128 for none.
So a flow that was computed before and lies in a folder (`flow_images.py`) and one computed here are the same data, and
crops, scaling and caches treat them as frames. Cropping and scaling to the network's size leave displacements as they
are, which is what those systems do.

A network gets (level - 128) / (255 * 0.226): no motion is 0, and 0.226 is the mean of ImageNet's three deviations, so
that weights from ImageNet see numbers of the size they know.

Sources: "Two-Stream Convolutional Networks for Action Recognition in Videos" (Simonyan & Zisserman, NIPS 2014),
section 3; "Temporal Segment Networks" (Wang et al., ECCV 2016), section 3.2, for the five flows of a segment and their
8 bits; "Fast Optical Flow using Dense Inverse Search" (Kroeger et al., ECCV 2016). What differs: the two used TV-L1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int64, UInt8
from torch import Tensor

from w3action.data.clip import Clip, Frames
from w3action.data.flow_images import FlowImages
from w3action.data.sampling import check_indices
from w3action.data.source import DecodeError

FLOWS_PER_SEGMENT = 5
MAX_DISPLACEMENT = 20.0  # pixels; larger ones are clipped
ZERO_LEVEL = 128
LEVELS_PER_PIXEL = 127 / MAX_DISPLACEMENT
STD = 0.226  # of levels / 255, as ImageNet's deviations are given


@dataclass(frozen=True)
class ComputedFlow:
    """The flows of an opened video, computed as they are asked for; `name` is for errors."""

    frames: Frames
    name: str

    def __len__(self) -> int:
        """Return the number of flows: one less than frames, but at least one."""
        return max(1, self.frames.count - 1)

    def read(self, flows: Int64[np.ndarray, " n"]) -> tuple[UInt8[np.ndarray, "n h w 2"], Float64[Tensor, " n"]]:
        """Compute the levels of these flows, sorted and each once, and take the times of the frames where they begin.

        Raises:
            DecodeError: a damaged video; frames too small for flow.
            ValueError: OpenCV is not installed.
        """
        afters = np.minimum(flows + 1, self.frames.count - 1)
        numbers = np.union1d(flows, afters)
        clip = self.frames.read(numbers)
        before, after = (np.searchsorted(numbers, frames).tolist() for frames in (flows, afters))
        try:
            levels = to_levels(compute_flows(clip.frames, list(zip(before, after, strict=True))))
        except FrameSizeError as error:
            raise DecodeError(self.name, str(error), "give larger ones") from error
        return levels, clip.pts_seconds[before]


class FlowStacks:
    """Stacks of successive flows, stored or computed: the `Frames` of modality "flow", at the times of first frames."""

    def __init__(self, source: FlowImages | ComputedFlow):
        self.source = source

    @property
    def count(self) -> int:
        """Number of flows."""
        return len(self.source)

    def read(self, indices: Sequence[int] | np.ndarray) -> Clip:
        """Read the stacks that begin with these flows, (10, t, h, w); see `Frames.read`."""
        starts = check_indices(indices, count=self.count)
        wanted, places = np.unique(successive(starts, num_flows=self.count), return_inverse=True)
        levels, seconds = self.source.read(wanted)
        places = torch.from_numpy(places.reshape(-1, FLOWS_PER_SEGMENT))
        stacks = torch.from_numpy(levels)[places]  # (t, 5, h, w, 2)
        frames = stacks.permute(1, 4, 0, 2, 3).flatten(0, 1)  # channels x1, y1, x2, y2, ...
        return Clip(frames=frames, pts_seconds=seconds[places[:, 0]])


def successive(starts: Int64[np.ndarray, " t"], *, num_flows: int) -> Int64[np.ndarray, "t 5"]:
    """Return the flows of each stack; beyond the end of the video its last one."""
    return np.minimum(starts[:, None] + np.arange(FLOWS_PER_SEGMENT), num_flows - 1)


class FrameSizeError(ValueError):
    """Frames that are too small for flow to be computed."""


def compute_flows(frames: UInt8[Tensor, "3 t h w"], pairs: Sequence[tuple[int, int]]) -> Float32[np.ndarray, "n h w 2"]:
    """Compute the flow of each (from, to) of the frames, by DIS at its medium preset: x and y in pixels, not clipped.

    A frame paired with itself has a flow of zeros.

    Raises:
        FrameSizeError: both sides of the frames are below 12 pixels.
        ValueError: OpenCV is not installed.
    """
    cv2 = import_opencv()
    images = frames.permute(1, 2, 3, 0).contiguous().numpy()  # (t, h, w, 3)
    grays = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images]
    flows = np.zeros((len(pairs), *images.shape[1:3], 2), np.float32)
    num_threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        estimator = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        for flow, (before, after) in zip(flows, pairs, strict=True):
            if before != after:
                flow[...] = estimator.calc(grays[before], grays[after], None)
    except cv2.error as error:
        height, width = images.shape[1:3]
        raise FrameSizeError(f"frames of {width}x{height} pixels are too small for optical flow") from error
    finally:
        cv2.setNumThreads(num_threads)
    return flows


def import_opencv() -> Any:
    """Import `cv2`, when flow is to be computed and not before.

    Raises:
        ValueError: it is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise ValueError(
            "optical flow is computed by OpenCV, which is not installed; install w3action[flow], or give folders of "
            "flow_x_00001.jpg, flow_y_00001.jpg, ..."
        ) from error
    return cv2


def to_levels(flows: Float32[np.ndarray, "..."]) -> UInt8[np.ndarray, "..."]:
    """Turn displacements in pixels to 8 bits: 1 is 20 to the left or up, 128 none, 255 is 20 to the right or down."""
    clipped = np.clip(np.nan_to_num(flows), -MAX_DISPLACEMENT, MAX_DISPLACEMENT)
    return np.rint(ZERO_LEVEL + clipped * LEVELS_PER_PIXEL).astype(np.uint8)


def to_pixels(levels: UInt8[Tensor, "*batch 10 t h w"]) -> Float[Tensor, "*batch 10 t h w"]:
    """Return the displacements in pixels that levels stand for, to within half of 20 / 127 pixels."""
    return (levels.float() - ZERO_LEVEL) / LEVELS_PER_PIXEL


def mirror_flow(levels: UInt8[Tensor, "*batch 10 t h w"]) -> UInt8[Tensor, "*batch 10 t h w"]:
    """Return the flow of the mirrored video: every map mirrored, and what moved to the right moves to the left."""
    mirrored = levels.flip(-1)
    x = mirrored[..., 0::2, :, :, :]
    x.copy_((2 * ZERO_LEVEL - x.int()).clamp_(max=255))
    return mirrored


def normalize_flow(
    levels: UInt8[Tensor, "*batch 10 t h w"] | Float[Tensor, "*batch 10 t h w"],
) -> Float[Tensor, "*batch 10 t h w"]:
    """Levels to what a network sees: (level - 128) / (255 * 0.226), float32, contiguous."""
    floats = torch.empty(levels.shape, dtype=torch.float32, device=levels.device).copy_(levels)
    return floats.sub_(ZERO_LEVEL).div_(255 * STD)
