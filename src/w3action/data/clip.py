"""What flows through the data room: decoded clips, samples, bad videos and batches.

An opened video gives a `Clip` (uint8 frames with their times), a transform makes float views of it, a data set wraps
them as a `Sample` (or tells of a `BadVideo`), and `collate` stacks samples to a `ClipBatch`.

Axes, everywhere in this package: b samples, v views (clips x crops, clip-major), c channels (RGB, or the x and y of
five flows), t frames, h and w pixels. They are never folded into one another here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor


@dataclass(frozen=True)
class Clip:
    """Frames of one video in the order asked for.

    Attributes:
        frames: RGB, 0 to 255, or stacks of flows (see `flow`). Often a permuted view of frames that lie in memory as
            (t, h, w, c).
        pts_seconds: presentation time of each frame, counted from the start of the video stream.
    """

    frames: UInt8[Tensor, "c t h w"]
    pts_seconds: Float[Tensor, " t"]

    @classmethod
    def of_images(cls, images: UInt8[np.ndarray, "t h w c"], seconds: Float[np.ndarray, " t"]) -> "Clip":
        """Take images as they lie in memory, without copying them."""
        return cls(frames=torch.from_numpy(images).permute(3, 0, 1, 2), pts_seconds=torch.from_numpy(seconds))

    @property
    def num_frames(self) -> int:
        """Number of frames t."""
        return self.frames.shape[1]

    def split(self, num_frames: int) -> list["Clip"]:
        """Return clips of so many successive frames each."""
        parts = zip(self.frames.split(num_frames, dim=1), self.pts_seconds.split(num_frames), strict=True)
        return [Clip(frames, seconds) for frames, seconds in parts]


@runtime_checkable
class Frames(Protocol):
    """An opened video: how many frames it, or its span, has; and any of them as a clip. See `open_frames`."""

    @property
    def count(self) -> int:
        """Number of frames (of flow: of flows), at least 1; indices count from 0 within the span."""
        ...

    def read(self, indices: Sequence[int] | np.ndarray) -> Clip:
        """Return the frames of these indices, of any shape (read row by row), in any order, with repetitions.

        Raises:
            DecodeError: the video is damaged.
            ValueError: no indices, or some outside of [0, count).
        """
        ...


@dataclass(frozen=True)
class Sample:
    """Normalised views of one video, its label and its place in the data set.

    `others` are its labels by further labellings, where there are several.
    """

    views: Float[Tensor, "v c t h w"]
    label: int
    index: int
    others: tuple[int, ...] = ()


@dataclass(frozen=True)
class BadVideo:
    """A video that could not be decoded: its place in the data set, its path, and the reason in one line."""

    index: int
    path: str
    reason: str


@dataclass(frozen=True)
class ClipBatch:
    """Stacked samples, and the videos that should have been among them but could not be decoded.

    Attributes:
        clips: normalised views; of shape (0, 0, 0, 0, 0, 0) when every video was bad.
        labels: class ids, int64; a column each where there are several labellings.
        indices: places in the data set, int64.
        bad: the videos left out.
    """

    clips: Float[Tensor, "b v c t h w"]
    labels: Int[Tensor, "b *labellings"]
    indices: Int[Tensor, " b"]
    bad: tuple[BadVideo, ...] = ()

    def __len__(self) -> int:
        """Return the number of good samples b."""
        return self.clips.shape[0]

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> "ClipBatch":
        """Return the same batch with its tensors on `device`."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> "ClipBatch":
        """Return the same batch in page-locked memory; the data loader calls this where `pin_memory=True`."""
        return self._map(torch.Tensor.pin_memory)

    def _map(self, move) -> "ClipBatch":
        return replace(self, clips=move(self.clips), labels=move(self.labels), indices=move(self.indices))


def collate(items: Sequence[Sample | BadVideo]) -> ClipBatch:
    """Stack samples; bad videos are set aside in `ClipBatch.bad`.

    Raises:
        ValueError: samples whose views differ in shape.
    """
    samples = [item for item in items if isinstance(item, Sample)]
    bad = tuple(item for item in items if isinstance(item, BadVideo))
    shapes = {tuple(sample.views.shape) for sample in samples}
    if len(shapes) > 1:
        raise ValueError(
            f"cannot stack views of the shapes {sorted(shapes)} (v, c, t, h, w): give every video the same "
            "number of views, frames and pixels, or use batch_size=1"
        )
    clips = torch.stack([sample.views for sample in samples]) if samples else torch.zeros(0, 0, 0, 0, 0, 0)
    labels = [[sample.label, *sample.others] if sample.others else sample.label for sample in samples]
    return ClipBatch(
        clips=clips,  # (b, v, c, t, h, w)
        labels=torch.tensor(labels, dtype=torch.int64),
        indices=torch.tensor([sample.index for sample in samples], dtype=torch.int64),
        bad=bad,
    )
