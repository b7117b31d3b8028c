"""Test protocols as data: which clips of a video, which crops of a clip, and where their scores are averaged.

| name | clips a video | crops a clip | in the paper |
|---|---|---|---|
| center | 1, middle of each segment | centre of the shorter side 8/7 | Tables 1, 3, 5 to 8 |
| twice | 2, middle and start of each segment | centre | Table 2, "CC" |
| full | 2 | 3 at full resolution: left, centre, right | Table 2, "FR"; Table 4, "full res" |
| ten_crop | 2 | corners and centre, and their mirror images | Table 4 |
| dense | 10 windows of 64 frames | centre | Kinetics, in the TSM repository |

Scores are averaged as logits, as the public TSM does; "probabilities" is how mmaction2 averages.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Int64
from torch import Tensor

from w3action.clip_format import ClipFormat
from w3action.data import Clip, FrameCache, TestTransform, Video, open_frames, test_dense, test_segments, twice_segments

Fusion = Literal["logits", "probabilities"]


@dataclass(frozen=True)
class Protocol:
    """How a video becomes views and its views' scores one row."""

    name: str
    sample: Callable[..., np.ndarray]  # (num_frames, *, num_segments) -> (clips, segments)
    crops: Literal["center", "full", "ten"]
    num_clips: int
    fusion: Fusion = "logits"

    def transform(self, clip_format: ClipFormat) -> TestTransform:
        """Return the crops for a network that is trained on clips of this format."""
        return TestTransform(
            size=clip_format.size, resize=clip_format.resize, crops=self.crops, modality=clip_format.modality
        )

    def num_views(self, clip_format: ClipFormat) -> int:
        """Return how many views of a video there are, over clips and crops."""
        return self.num_clips * self.transform(clip_format).num_views

    def view_size(self, clip_format: ClipFormat) -> int:
        """Return the side, in pixels, of the views that the network sees."""
        return clip_format.resize if self.crops == "full" else clip_format.size


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("center", test_segments, "center", num_clips=1),
        Protocol("twice", twice_segments, "center", num_clips=2),
        Protocol("full", twice_segments, "full", num_clips=2),
        Protocol("ten_crop", twice_segments, "ten", num_clips=2),
        Protocol("dense", test_dense, "center", num_clips=10),
    )
}


def look_up_protocol(name: str) -> Protocol:
    """Return the protocol of that name.

    Raises:
        ValueError: there is none; the message lists them.
    """
    if name not in PROTOCOLS:
        raise ValueError(f"unknown protocol {name!r}; choose one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


@dataclass(frozen=True)
class CenterClip:
    """The clip of the `center` protocol: as it was decoded, and as the network sees it.

    Attributes:
        clip: whole frames, their shorter side `resize` pixels.
        numbers: which frames (or flows) of the video's span they are, from 0.
        view: the centre crop, normalised.
    """

    clip: Clip
    numbers: Int64[np.ndarray, " t"]
    view: Float[Tensor, "1 c t h w"]


def center_clip(video: Video | Path, clip_format: ClipFormat, *, cache: FrameCache | None = None) -> CenterClip:
    """Read a video as `PROTOCOLS["center"]` does, for a network of this clip format.

    Raises:
        DecodeError: the video cannot be read.
    """
    protocol = PROTOCOLS["center"]
    with open_frames(video, short_side=clip_format.resize, modality=clip_format.modality, cache=cache) as frames:
        numbers = protocol.sample(frames.count, num_segments=clip_format.num_frames)[0]
        clip = frames.read(numbers)
    return CenterClip(clip, numbers, protocol.transform(clip_format)(clip)[0])
