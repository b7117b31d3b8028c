"""Decode on a GPU, by torchcodec: for machines whose GPU has time to spare and whose cores do not.

Frames are counted as on a CPU, decoded and scaled on the GPU, and come back as a `Clip` like any other. What the GPU
cannot do the CPU does, and a warning says so once: turned videos, codecs that the GPU does not know, and damaged files,
so that their error is the same. A span of a long video costs the reading of all its packets. Scaling is PyTorch's, not
swscale's: numbers differ by a level or two.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from w3action.data.clip import Clip
from w3action.data.decode import OpenVideo, scaled_size
from w3action.data.sampling import check_indices
from w3action.data.video import Span

DEVICE = "cuda"

_has_warned = False


def fault() -> str | None:
    """Say why videos cannot be decoded on the GPU here, or None."""
    try:
        import torchcodec.decoders  # noqa: F401
    except (ImportError, RuntimeError, OSError) as error:  # the last two: it is there, but its FFmpeg is not
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        return f"torchcodec cannot be imported ({reason}); pip install torchcodec, in its build for CUDA"
    if DEVICE == "cuda" and not torch.cuda.is_available():
        return "PyTorch finds no GPU"
    return None


class GpuVideo:
    """The `Frames` of a span that a GPU decodes; they lie in the machine's memory.

    Args:
        on_cpu: the whole video, opened as usual.
        content: the same video as torchcodec takes it: a path, or bytes.
        stream: which of its streams.
        span: the part of it.

    Raises:
        ImportError: torchcodec is not installed; see `fault`.
        ValueError: a CPU must decode it; the text says why.
    """

    def __init__(self, on_cpu: OpenVideo, content: str | bytes, *, stream: int, span: Span):
        from torchcodec.decoders import VideoDecoder

        self.on_cpu, self.seconds = on_cpu, on_cpu.listed.seconds
        self.numbers = span.inside(self.seconds)
        try:
            self.decoder: Any = VideoDecoder(content, stream_index=stream, device=DEVICE)
            rotation, num_frames = getattr(self.decoder.metadata, "rotation", None), len(self.decoder)
        except RuntimeError as error:
            raise ValueError(str(error)) from error
        if rotation or num_frames != on_cpu.count or not len(self.numbers):
            raise ValueError(f"turned by {rotation or 0} degrees, {num_frames} of {on_cpu.count} frames")

    @property
    def count(self) -> int:
        """Number of frames."""
        return len(self.numbers)

    def read(self, indices: Sequence[int] | np.ndarray) -> Clip:
        """Decode frames; see `Frames.read`."""
        numbers = self.numbers[check_indices(indices, count=self.count)]
        try:
            frames = self.decoder.get_frames_at(numbers.tolist()).data  # (t, c, h, w)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:  # of torchcodec
            warn_once(f"{self.on_cpu.listed.name}: {error}")
            return self.on_cpu.read(numbers)
        height, width = frames.shape[2:]
        width, height = scaled_size(width, height, short_side=self.on_cpu.short_side, enlarge=self.on_cpu.enlarge)
        if (height, width) != tuple(frames.shape[2:]):
            options: dict[str, Any] = {"mode": "bilinear", "antialias": True, "align_corners": False}
            frames = F.interpolate(frames.float(), (height, width), **options)
            frames = frames.round_().clamp_(0, 255).to(torch.uint8)
        images = frames.permute(0, 2, 3, 1).contiguous().cpu()  # (t, h, w, c), as a CPU's frames lie
        return Clip(frames=images.permute(3, 0, 1, 2), pts_seconds=torch.from_numpy(self.seconds[numbers]))


def warn_once(reason: str) -> None:
    """Say why a CPU decodes, once: someone may wait for a GPU that does not work."""
    global _has_warned
    if not _has_warned:
        _has_warned = True
        line = next(iter(reason.splitlines()), reason)
        warnings.warn(f"a video is decoded on the CPU, not on the GPU, and so may others be: {line}", stacklevel=2)
