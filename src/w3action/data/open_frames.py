"""One way in for every video: a file, one inside a tar, a folder of images or of flow, decoded before or not.

with open_frames(video, short_side=256) as frames:
    indices = test_segments(frames.count, num_segments=8)
    clip = frames.read(indices)
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from w3action.clip_format import Modality
from w3action.data.cache import FrameCache
from w3action.data.clip import Frames
from w3action.data.decode import OpenVideo, orientation
from w3action.data.flow import ComputedFlow, FlowStacks
from w3action.data.flow_images import find_flow_images
from w3action.data.frame_folder import FolderFrames
from w3action.data.frames import list_frames
from w3action.data.gpu_decode import GpuVideo, warn_once
from w3action.data.shards import open_member
from w3action.data.source import LIMIT_SECONDS, BinaryFile, DecodeError, Source, VideoFile
from w3action.data.video import Span, Video


@contextmanager
def open_frames(
    video: Video | VideoFile,
    *,
    short_side: int | None = None,
    enlarge: bool = True,
    modality: Modality = "rgb",
    cache: FrameCache | None = None,
    decode_on: Literal["cpu", "cuda"] = "cpu",
    num_threads: int = 1,
    limit_seconds: float | None = LIMIT_SECONDS,
) -> Iterator[Frames]:
    """Open a video: its frames are counted at once and decoded as they are read.

    Args:
        video: an entry of a manifest, whose span counts; a path; or a binary file object that can seek (it stays open).
        short_side: scale frames so that the shorter side has this many pixels; None leaves them.
        enlarge: also where that makes them larger.
        modality: "rgb", or "flow" for stacks of flows: stored ones if the path is a folder of them, else computed.
        cache: decoded frames to use and to add to; they are decoded on the CPU.
        decode_on: "cuda" is torchcodec on a GPU; what it cannot decode the CPU does.
        num_threads: threads of the decoder and of the conversion.
        limit_seconds: give up when opening, or a reading, takes longer; None never does.

    Raises:
        DecodeError: the file is missing, empty, damaged, cut off, no video, too large or too slow, or shows no
            frame in the span; frames too small for flow. Inside the block every failure of FFmpeg becomes one.
        FetchError: a shard that holds the video had to be fetched and could not be.
        ImportError: `decode_on` is "cuda" and torchcodec is not installed.
        ValueError: an option that makes no sense.
    """
    if isinstance(video, str | Path):
        video = Video(Path(video), label=0)
    how = {"short_side": short_side, "enlarge": enlarge, "num_threads": num_threads, "limit_seconds": limit_seconds}
    with ExitStack() as stack:
        if modality == "flow":
            flow = find_flow_images(video, short_side=short_side) if isinstance(video, Video) else None
            if flow is None:
                rgb = open_frames(video, **how, cache=cache, decode_on=decode_on)
                flow = ComputedFlow(stack.enter_context(rgb), name=_name(video))
            yield FlowStacks(flow)
        elif cache is not None and isinstance(video, Video):
            kept = cache.find(video, short_side, enlarge)
            if kept is None:
                opened = stack.enter_context(open_frames(video, **how))
                kept = opened if cache.is_full else cache.keep(opened, video, short_side, enlarge)
            yield kept
        elif isinstance(video, Video) and video.path.is_dir():
            folder = FolderFrames(video.path, video.span, fps=video.fps)
            yield OpenVideo(folder, short_side=short_side, enlarge=enlarge, num_threads=num_threads)
        else:
            yield _open_file(stack, video, on_gpu=decode_on == "cuda", **how)


def _open_file(
    stack: ExitStack, video: Video | VideoFile, *, on_gpu: bool, num_threads: int, limit_seconds: float | None, **size
) -> Frames:
    span, file = (video.span, video.path) if isinstance(video, Video) else (Span(), video)
    if isinstance(video, Video) and video.byte_offset is not None and video.num_bytes is not None:
        file = stack.enter_context(open_member(video.path, offset=video.byte_offset, size=video.num_bytes))
    source = partial(Source, file, num_threads=num_threads, limit_seconds=limit_seconds)
    if on_gpu:
        content: str | bytes = str(file)
        if isinstance(file, BinaryFile):
            file.seek(0)
            content = file.read(-1)
        with suppress(DecodeError):  # the CPU's way below raises it again
            whole = stack.enter_context(source())
            on_cpu = OpenVideo(list_frames(whole), num_threads=num_threads, **size)
            try:
                return GpuVideo(on_cpu, content, stream=whole.stream.index, span=span)
            except ValueError as error:
                warn_once(f"{_name(video)}: {error}")
    return OpenVideo(list_frames(stack.enter_context(source()), span), num_threads=num_threads, **size)


def _name(video: Video | VideoFile) -> str:
    return str(video.path if isinstance(video, Video) else getattr(video, "name", "the video"))


@dataclass(frozen=True)
class VideoInfo:
    """What a file holds: counted frames, frames per second on average, size as displayed (after rotation)."""

    num_frames: int
    fps: float
    width: int
    height: int
    duration_seconds: float
    codec: str
    rotation_degrees: int  # counterclockwise, of the stored picture to the displayed one: 0, 90, 180 or 270


def probe(file: VideoFile, *, limit_seconds: float | None = LIMIT_SECONDS) -> VideoInfo:
    """Count a file's frames, by demuxing where that tells, and decode the first to learn how it is displayed.

    Raises:
        DecodeError: as for `open_frames`.
    """
    with Source(file, limit_seconds=limit_seconds) as source:
        frames = list_frames(source)
        seconds = frames.seconds
        _, first = next(frames.get(np.zeros(1, np.int64)))
        turns, _ = orientation(first)
        width, height = (first.height, first.width) if turns % 2 else (first.width, first.height)
        span = float(seconds[-1] - seconds[0])
        fps = (len(seconds) - 1) / span if span > 0 else float(source.stream.average_rate or 1)
        return VideoInfo(
            num_frames=len(seconds),
            fps=fps,
            width=width,
            height=height,
            duration_seconds=span + 1 / fps,
            codec=source.stream.codec_context.codec.canonical_name,
            rotation_degrees=90 * turns,
        )
