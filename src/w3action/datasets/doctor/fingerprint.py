"""A perceptual hash of a clip: the signs of its slow changes over space and time.

Eight frames spread over the clip, grey and 32x32, are a small volume. Of its three-dimensional cosine transform the
low frequencies (4 in time, 8 down, 8 across; the mean is left out) are kept as signs: +1, -1, or 0 where the
coefficient is too small to survive a new encoding. Signs hardly change with size, light, bit rate or frame rate, and
the frequencies in time tell clips of one fixed camera apart, which look alike frame by frame. Two clips are as like
as the cosine of the angle between their signs: 1 is the same, 0 is unrelated.

`SAME_CLIP` was chosen on 1,100 clips (a hand before a webcam, the same hands in clutter, UCF101, drawn tabletops): of
152,000 pairs of different clips 22 are more alike, all of them cut from one recording, and none of the drawn ones. Of
500 copies encoded anew (bit rate, half the size, half the frame rate, darker, 8 % cropped) 499 are; of 100 trimmed by
a twelfth at both ends, 83.
"""

from collections.abc import Iterator

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from jaxtyping import Float32, Int8, UInt8

from w3action.data.decode import orientation

NUM_FRAMES, SIDE = 8, 32
SAME_CLIP = 0.65
LENGTH = 4 * 8 * 8 - 1

_SMALLEST = 8.0  # of a coefficient, in grey levels of an orthonormal transform
_FEWEST_SIGNS = 24  # a black or empty picture has fewer: it is like nothing
_BLOCK = 4096  # rows compared at a time: 64 MiB


def middles_of(length: int, num_parts: int = NUM_FRAMES) -> list[int]:
    """Return the places in the middle of so many equal parts, such as the frames of a clip to look at; none of none."""
    return [int((part + 0.5) * length / num_parts) for part in range(num_parts)] if length else []


def look_at(frame: av.VideoFrame, reformatter: VideoReformatter) -> UInt8[np.ndarray, "32 32"]:
    """Return the frame upright, grey and small."""
    plane = reformatter.reformat(frame, width=SIDE, height=SIDE, format="gray", interpolation="AREA").planes[0]
    picture = np.frombuffer(memoryview(plane), np.uint8).reshape(SIDE, plane.line_size)[:, :SIDE]
    turns, mirrored = orientation(frame)
    return np.rot90(picture[:, ::-1] if mirrored else picture, turns).copy()


def fingerprint(frames: UInt8[np.ndarray, "8 32 32"]) -> Int8[np.ndarray, " 255"]:
    """Return the signs of the low frequencies of eight grey frames: -1, 0 or 1; all 0 of a picture almost empty."""
    in_time, in_space = _cosines(NUM_FRAMES, 4), _cosines(SIDE, 8)
    waves = np.einsum("thw,at,bh,cw->abc", frames.astype(float), in_time, in_space, in_space, optimize=True).ravel()[1:]
    signs = np.where(np.abs(waves) > _SMALLEST, np.sign(waves), 0).astype(np.int8)
    return signs if np.count_nonzero(signs) >= _FEWEST_SIGNS else np.zeros_like(signs)


def alike_pairs(
    left: Int8[np.ndarray, "m 255"], right: Int8[np.ndarray, "n 255"], *, at_least: float = SAME_CLIP
) -> Iterator[tuple[int, int, float]]:
    """Give (row of left, row of right, likeness) of every pair at least so much alike."""
    unit_right = _unit(right)
    for start in range(0, len(left), _BLOCK):
        unit_left = _unit(left[start : start + _BLOCK])
        for other in range(0, len(right), _BLOCK):
            likeness = unit_left @ unit_right[other : other + _BLOCK].T
            for row, column in np.argwhere(likeness >= at_least):
                yield start + int(row), other + int(column), float(likeness[row, column])


def _unit(signs: Int8[np.ndarray, "n 255"]) -> Float32[np.ndarray, "n 255"]:
    vectors = signs.astype(np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1)


def _cosines(length: int, num_kept: int) -> np.ndarray:
    """Return the first rows of the orthonormal cosine transform (DCT-II) of a length."""
    places, frequencies = np.arange(length), np.arange(num_kept)[:, None]
    scale = np.sqrt(np.where(frequencies == 0, 1, 2) / length)
    return scale * np.cos(np.pi * (2 * places + 1) * frequencies / (2 * length))
