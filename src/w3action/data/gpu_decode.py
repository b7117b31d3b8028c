"""Decode on a GPU, by torchcodec: for machines whose GPU has time to spare and whose cores do not.

Frames are counted and picked as on a CPU, decoded and scaled on the GPU, and come back as a `Clip` like any other. What
it cannot do `decode_video` does, and a warning says so once: turned videos, codecs that the GPU does not know, and
damaged files, so that their error is the same. A span of a long video costs the reading of all its packets. Scaling is
PyTorch's, not swscale's: numbers differ by a level or two.
"""

import functools
import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional as F

from w3action.data.canvas import scaled_size
from w3action.data.clip import Clip
from w3action.data.entry import decode_video
from w3action.data.frames import list_frames
from w3action.data.sampling import check_indices
from w3action.data.shards import open_member
from w3action.data.source import DecodeError, Source, VideoFile
from w3action.data.span import Span
from w3action.data.video import Video

_has_warned = False


def fault(device: str = "cuda") -> str | None:
    """Say why videos cannot be decoded on the GPU here, or None."""
    try:
        import torchcodec.decoders  # noqa: F401
    except (ImportError, RuntimeError, OSError) as error:  # the last two: it is there, but its FFmpeg is not
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        return f"torchcodec cannot be imported ({reason}); pip install torchcodec, in its build for CUDA"
    if device == "cuda" and not torch.cuda.is_available():
        return "PyTorch finds no GPU"
    return None


def decode_video_on_gpu(
    video: Video, pick: Callable[[int], np.ndarray], *, short_side: int | None, device: str = "cuda"
) -> Clip:
    """Decode the frames of an entry that `pick` wants on `device`; the clip lies in the machine's memory.

    Raises:
        DecodeError: as for `decode`.
        ImportError: torchcodec is not installed; see `fault`.
    """
    if video.path.is_dir():
        return decode_video(video, pick, short_side=short_side)
    pick = functools.cache(pick)  # it may be random, and a CPU must then decode the same frames
    span = Span(video.start_seconds, video.end_seconds, video.first_frame, video.num_frames)
    clip = None
    if video.byte_offset is not None and video.num_bytes is not None:
        with open_member(video.path, offset=video.byte_offset, size=video.num_bytes) as member:
            clip = _decode(member, member.read(), pick, span=span, short_side=short_side, device=device)
    else:
        clip = _decode(video.path, str(video.path), pick, span=span, short_side=short_side, device=device)
    return clip if clip is not None else decode_video(video, pick, short_side=short_side)


def _decode(
    file: VideoFile,
    content: str | bytes,
    pick: Callable[[int], np.ndarray],
    *,
    span: Span,
    short_side: int | None,
    device: str,
) -> Clip | None:
    """Return None where a CPU must do it; the second argument is the same video as torchcodec takes it."""
    from torchcodec.decoders import VideoDecoder

    video_name = getattr(file, "name", file)
    try:
        with Source(file) as source:
            seconds, stream = list_frames(source).seconds, source.stream.index
        decoder = VideoDecoder(content, stream_index=stream, device=device)
        rotation, num_frames = getattr(decoder.metadata, "rotation", None), len(decoder)
    except DecodeError:
        return None  # which will be raised again
    except RuntimeError as error:
        return _leave_to_cpu(f"{video_name}: {error}")
    inside = span.inside(seconds)
    if rotation or num_frames != len(seconds) or not len(inside):
        return _leave_to_cpu(f"{video_name}: turned by {rotation or 0} degrees, {num_frames} of {len(seconds)} frames")
    indices = inside[check_indices(pick(len(inside)), num_frames=len(inside))]
    try:
        frames = decoder.get_frames_at(indices.tolist()).data  # (t, c, h, w)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:  # of torchcodec
        return _leave_to_cpu(f"{video_name}: {error}")
    height, width = frames.shape[2:]
    width, height = scaled_size(width, height, short_side=short_side)
    if (height, width) != tuple(frames.shape[2:]):
        scaled = F.interpolate(frames.float(), (height, width), mode="bilinear", antialias=True, align_corners=False)
        frames = scaled.round_().clamp_(0, 255).to(torch.uint8)
    frames = frames.permute(0, 2, 3, 1).contiguous().cpu()  # as a CPU's frames lie
    return Clip(frames=frames.permute(3, 0, 1, 2), pts_seconds=torch.from_numpy(seconds[indices]))


def _leave_to_cpu(reason: str) -> None:
    """Say why, once: someone may wait for a GPU that does not work."""
    global _has_warned
    if not _has_warned:
        _has_warned = True
        line = next(iter(reason.splitlines()), reason)
        warnings.warn(f"a video is decoded on the CPU, not on the GPU, and so may others be: {line}", stacklevel=2)
