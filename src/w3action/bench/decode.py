"""How fast videos become network input here: our loader beside FFmpeg's bare decode and other decoders.

Every way does the same job on the same videos: open, take the middle frame of each segment, scale the shorter
side, crop the centre, normalise. The bound opens the file and feeds FFmpeg exactly the packets without which
those frames cannot be had, and does nothing else. The ways take turns in one process, on one thread each. Time is
the processor's, of all threads of the process, so that what else the machine does hardly counts; a way's rate is
the median over rounds.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import av
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from w3action.data.canvas import scaled_size
from w3action.data.clip import Clip
from w3action.data.decode import probe
from w3action.data.frames import ListedFrames, list_frames
from w3action.data.open_frames import open_frames
from w3action.data.sampling import test_segments
from w3action.data.shards import open_member
from w3action.data.source import Source
from w3action.data.transforms import TestTransform
from w3action.data.video import Video

BOUND, FILES, SHARDS = "bare decode", "w3action, files", "w3action, shards"

Way = Callable[[], object]  # the whole job on one video

_SPAN = ("start_seconds", "end_seconds", "first_frame", "num_frames")


@dataclass(frozen=True)
class Rate:
    """What one way reached."""

    clips_per_second: float  # of processor time, median of the rounds
    of_bound: float  # median over rounds of this way's rate by the bound's in the same round


@dataclass(frozen=True)
class DecodeBench:
    """Rates by way, the bound first; and why ways are missing."""

    rates: dict[str, Rate]
    missing: dict[str, str]
    num_clips: int
    num_segments: int
    size: int
    num_rounds: int

    def __str__(self) -> str:
        width = max(map(len, [*self.rates, *self.missing]))
        lines = [f"{'':{width}}  clips/s  of bound"]  # per core
        lines += [
            f"{way:{width}}  {rate.clips_per_second:7.1f}  {rate.of_bound:8.2f}" for way, rate in self.rates.items()
        ]
        lines += [f"{way:{width}}  not measured: {why}" for way, why in self.missing.items()]
        return "\n".join(lines)


def bench_decode(
    videos: Sequence[Video],
    *,
    num_segments: int = 8,
    size: int = 224,
    num_clips: int = 16,
    num_rounds: int = 7,
    on_round: Callable[[], None] = lambda: None,
) -> DecodeBench:
    """Measure every way that runs here on the same videos.

    Args:
        videos: as in `Manifest.videos`; `num_clips` of them, evenly spread, are taken, whole (spans are not
            heeded). Videos of a packed set are also written to files, and measured both ways. Folders of images
            are left out.
        num_segments: frames per clip.
        size: side of the crop in pixels; shorter sides are scaled to 8/7 of it (256 for 224).
        num_clips: videos per round.
        num_rounds: how often each way takes its turn, after one that does not count.
        on_round: called after every round.

    Raises:
        DecodeError: a video cannot be decoded.
        ValueError: no video file among the videos, or a count below 1.
    """
    for name, value in {"num_segments": num_segments, "size": size, "num_clips": num_clips}.items():
        if value < 1:
            raise ValueError(f"{name} is {value} but must be at least 1: give for example 8")
    if num_rounds < 1:
        raise ValueError(f"num_rounds is {num_rounds} but must be at least 1: give for example 7")
    whole = [video for video in videos if not video.path.is_dir()]
    if not whole:
        raise ValueError(f"none of the {len(videos)} videos is a video file: give a manifest of files or a packed set")
    chosen = [whole[place] for place in sorted(set(np.linspace(0, len(whole) - 1, num_clips).astype(int).tolist()))]
    job = Job(num_segments=num_segments, size=size)
    with tempfile.TemporaryDirectory() as folder, _one_thread():
        files = [_as_file(video, Path(folder) / f"{place}.mp4") for place, video in enumerate(chosen)]
        ways: dict[str, list[Way]] = {
            BOUND: [_Bare.plan(video, job).decode for video in files],
            FILES: [partial(job.run, video) for video in files],
        }
        if any(video.byte_offset is not None for video in chosen):
            whole_members = [replace(video, **dict.fromkeys(_SPAN)) for video in chosen]
            ways[SHARDS] = [partial(job.run, video) for video in whole_members]
        missing = {}
        for name, others in OTHERS.items():
            try:
                ways[name] = list(others(job, files))
                ways[name][0]()
            except (ImportError, RuntimeError, OSError) as error:
                ways.pop(name, None)
                missing[name] = next(iter(str(error).splitlines()), type(error).__name__)
        seconds = _take_turns(ways, num_rounds=num_rounds, on_round=on_round)
    bound = seconds[BOUND]
    rates = {
        way: Rate(
            clips_per_second=len(files) / statistics.median(taken),
            of_bound=statistics.median(best / own for best, own in zip(bound, taken, strict=True)),
        )
        for way, taken in seconds.items()
    }
    return DecodeBench(rates, missing, len(files), num_segments, size, num_rounds)


class Job:
    """From a video to (1, c, t, size, size): the middle frames of segments, scaled, cropped, normalised."""

    def __init__(self, *, num_segments: int, size: int):
        self.num_segments, self.short_side = num_segments, size * 8 // 7
        self.transform = TestTransform(size=size, resize=self.short_side)

    def indices(self, count: int) -> np.ndarray:
        """Return the indices of the frames wanted, of `count`."""
        return test_segments(count, num_segments=self.num_segments)[0]

    def run(self, video: Video) -> Float[Tensor, "1 c t h w"]:
        """Do the job with our decoder."""
        with open_frames(video, short_side=self.short_side) as frames:
            return self.finish(frames.read(self.indices(frames.count)))

    def finish(self, clip: Clip) -> Float[Tensor, "1 c t h w"]:
        """Crop and normalise."""
        return self.transform(clip)[0]


@dataclass(frozen=True)
class _Bare:
    """The packets without which a video's wanted frames cannot be had, in groups that each begin at a key frame.

    A packet is a place in decode order and whether it may be skipped where nothing depends on it.
    """

    path: Path
    stream: int  # among its video streams
    groups: tuple[tuple[tuple[int, bool], ...], ...]

    @classmethod
    def plan(cls, video: Video, job: Job) -> "_Bare":
        with Source(video.path) as source:
            frames = list_frames(source)
            stream = source.container.streams.video.index(source.stream)
            if not isinstance(frames, ListedFrames):  # nothing short of a full decode will do
                num_packets = sum(1 for _ in source.demux())
                return cls(video.path, stream, (tuple((place, False) for place in range(num_packets)),))
            skipped, pts = frames.timeline.num_skipped, [0] * (int(frames.timeline.positions.max()) + 1)
            for place, time_of_frame in zip(frames.timeline.positions, frames.timeline.pts, strict=True):
                pts[place] = int(time_of_frame)
            groups = [
                tuple((place + skipped, pts[place] not in targets) for place in range(first, last + 1))
                for first, last, targets in frames.runs(np.unique(job.indices(len(frames.seconds))).tolist())
            ]
            return cls(video.path, stream, tuple(groups))

    def decode(self) -> int:
        """Decode them with PyAV, converting nothing, and return how many frames came out."""
        num_frames = 0
        with av.open(str(self.path), mode="r", metadata_errors="ignore") as container:
            stream = container.streams.video[self.stream]
            codec = stream.codec_context
            codec.thread_count, codec.thread_type = 1, "NONE"
            packets = [packet for packet in container.demux(stream) if packet.size]
            for group in self.groups:
                codec.flush_buffers()
                for place, may_skip in group:
                    codec.skip_frame = "NONREF" if may_skip else "DEFAULT"
                    num_frames += len(codec.decode(packets[place]))
                num_frames += len(codec.decode(None))
        return num_frames


def _torchcodec(job: Job, videos: Sequence[Video], *, seek_mode: Literal["exact", "approximate"]) -> Iterator[Way]:
    from torchcodec.decoders import VideoDecoder
    from torchcodec.transforms import Resize

    def run(path: str, transforms: Sequence[Resize]) -> Tensor:
        decoder = VideoDecoder(path, num_ffmpeg_threads=1, seek_mode=seek_mode, transforms=transforms)
        found = decoder.get_frames_at(job.indices(len(decoder)).tolist())
        return job.finish(Clip(frames=found.data.transpose(0, 1), pts_seconds=found.pts_seconds))

    for video in videos:
        info = probe(video.path)
        size = scaled_size(info.height, info.width, short_side=job.short_side)
        # Scaled by its own decoder, as ours are.
        yield partial(run, str(video.path), [] if size == (info.height, info.width) else [Resize(size)])


def _decord(job: Job, videos: Sequence[Video]) -> Iterator[Way]:
    from decord import VideoReader

    def run(path: str, width: int, height: int) -> Tensor:
        reader = VideoReader(path, num_threads=1, width=width, height=height)
        indices = job.indices(len(reader)).tolist()
        frames = torch.from_numpy(reader.get_batch(indices).asnumpy()).permute(3, 0, 1, 2)
        seconds = torch.from_numpy(np.asarray(reader.get_frame_timestamp(indices))[:, 0].astype(np.float64))
        return job.finish(Clip(frames=frames, pts_seconds=seconds))

    for video in videos:
        info = probe(video.path)
        width, height = scaled_size(info.width, info.height, short_side=job.short_side)
        yield partial(run, str(video.path), width, height)


OTHERS: dict[str, Callable[[Job, Sequence[Video]], Iterator[Way]]] = {
    "torchcodec": partial(_torchcodec, seek_mode="exact"),
    "torchcodec, approximate": partial(_torchcodec, seek_mode="approximate"),
    "decord": _decord,
}


def _take_turns(ways: dict[str, list[Way]], *, num_rounds: int, on_round: Callable[[], None]) -> dict[str, list[float]]:
    """Return the seconds of every round, by way; the first round warms caches up and is not kept."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(num_rounds + 1):
        for name, clips in ways.items():
            start = time.process_time()
            for run in clips:
                run()
            if number:
                seconds[name].append(time.process_time() - start)
        on_round()
    return seconds


def _as_file(video: Video, path: Path) -> Video:
    """Return the whole of a video as a file of its own; a member of a shard is copied to `path`."""
    if video.byte_offset is None or video.num_bytes is None:
        return Video(path=video.path, label=video.label)
    with open_member(video.path, offset=video.byte_offset, size=video.num_bytes) as member:
        path.write_bytes(member.read())
    return Video(path=path, label=video.label)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
