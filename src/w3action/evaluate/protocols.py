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
from typing import Literal

import numpy as np

from w3action.clip_format import Modality
from w3action.data import TestTransform, test_dense, test_segments, twice_segments

Fusion = Literal["logits", "probabilities"]


@dataclass(frozen=True)
class Protocol:
    """How a video becomes views and its views' scores one row."""

    name: str
    sample: Callable[..., np.ndarray]  # (num_frames, *, num_segments) -> (clips, segments)
    crops: Literal["center", "full", "ten"]
    num_clips: int
    fusion: Fusion = "logits"

    def transform(self, *, size: int, resize: int, modality: Modality = "rgb") -> TestTransform:
        """Return the crops for a network trained at `size` pixels."""
        return TestTransform(size=size, resize=resize, crops=self.crops, modality=modality)

    def view_size(self, *, size: int, resize: int) -> int:
        """Return the side, in pixels, of the views the network sees."""
        return resize if self.crops == "full" else size


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


def look_up(name: str) -> Protocol:
    """Return the protocol of that name.

    Raises:
        ValueError: there is none; the message lists them.
    """
    if name not in PROTOCOLS:
        raise ValueError(f"unknown protocol {name!r}; choose one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]
