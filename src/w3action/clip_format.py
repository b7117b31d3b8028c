"""What a network sees of a video: how many frames, of which size, and whether of colours or of motion."""

from dataclasses import dataclass
from typing import Literal

Modality = Literal["rgb", "flow"]
NUM_CHANNELS: dict[Modality, int] = {"rgb": 3, "flow": 10}  # that a network sees of each frame or segment


@dataclass(frozen=True)
class ClipFormat:
    """The clips of a network: `num_frames` frames of `size` x `size` pixels.

    Attributes:
        num_frames: frames T, or stacks of flows.
        size: side of the square crop in pixels.
        resize: shorter side in pixels before the crop.
        modality: "rgb" or "flow".
    """

    num_frames: int
    size: int
    resize: int
    modality: Modality = "rgb"

    @property
    def num_channels(self) -> int:
        """Input channels of the network."""
        return NUM_CHANNELS[self.modality]


def modality_of(num_channels: int) -> Modality:
    """Return what a network of that many input channels sees.

    Raises:
        ValueError: neither RGB nor flow has so many.
    """
    for modality, count in NUM_CHANNELS.items():
        if count == num_channels:
            return modality
    known = ", ".join(f"{count} ({modality})" for modality, count in NUM_CHANNELS.items())
    raise ValueError(
        f"a network of {num_channels} input channels sees nothing that can be read here; known are {known}"
    )
