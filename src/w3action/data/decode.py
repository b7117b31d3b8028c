"""From a video file to the frames that were asked for, with no more work than they need.

`decode(path, pick)` lists the frames of the file (or of a span of it) from its packets, asks `pick` which of
them are wanted, and decodes only the groups of pictures that hold a wanted frame, each up to the last wanted
one; frames that no other depends on are skipped. Conversion to RGB and scaling are one pass of FFmpeg's
swscale per wanted frame. The frames equal those of a full sequential decode. Where packet times are no guide
(an avi with B-frames), everything is decoded and the frames that come out are the timeline.
"""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import av
import numpy as np
import torch
from jaxtyping import Float64, Int64

from w3action.data.canvas import Canvas, orientation
from w3action.data.clip import Clip
from w3action.data.timeline import DecodeError, Source, Timeline, read_timeline

__all__ = ["DecodeError", "VideoInfo", "decode", "probe"]

# Where all frames must be decoded, those beyond this are decoded a second time instead of kept.
MAX_HELD_BYTES = 64 << 20

# A file may list this many frames more at its end than its decoder gives: earlier frames stand in for them.
_MAX_UNDELIVERED = 2


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


def decode(
    path: str | os.PathLike[str],
    pick: Callable[[int], Sequence[int] | np.ndarray],
    *,
    start_seconds: float | None = None,
    end_seconds: float | None = None,
    short_side: int | None = None,
    num_threads: int = 1,
) -> Clip:
    """Decode chosen frames of a video.

    Args:
        path: a video file of any format that FFmpeg reads.
        pick: called once with the number of frames; returns indices of the frames wanted, of any shape (read
            row by row), in any order, with repetitions.
        start_seconds: only frames shown at this time or later, counted from the start of the video stream.
        end_seconds: only frames shown before this time.
        short_side: scale frames, up or down, so that the shorter side has this many pixels.
        num_threads: threads of the decoder and of the conversion.

    Returns:
        The frames in the order of the indices, turned and mirrored as the file's display matrix says.

    Raises:
        DecodeError: the file is missing, empty, damaged, cut off, no video, or shows no frame in the span.
        ValueError: `pick` returned no indices, or some outside of [0, number of frames).
    """
    if short_side is not None and short_side < 1:
        raise ValueError(f"short_side is {short_side} pixels but must be at least 1: give for example 256")
    with Source(path, num_threads=num_threads) as source:
        frames = _list_frames(source, start_seconds=start_seconds, end_seconds=end_seconds)
        indices = _check_indices(pick(len(frames.seconds)), num_frames=len(frames.seconds))
        wanted, places = np.unique(indices, return_inverse=True)  # decode each frame once
        canvas = Canvas(len(indices), short_side=short_side, num_threads=num_threads)
        for index, frame in frames.get(wanted):
            canvas.paint(frame, np.flatnonzero(places == np.searchsorted(wanted, index)))
        return Clip(
            frames=torch.from_numpy(canvas.pixels).permute(3, 0, 1, 2),  # (c, t, h, w)
            pts_seconds=torch.from_numpy(frames.seconds[indices]),
        )


def probe(path: str | os.PathLike[str]) -> VideoInfo:
    """Count a file's frames, by demuxing where that tells, and decode the first to learn how it is displayed.

    Raises:
        DecodeError: as for `decode`.
    """
    with Source(path) as source:
        frames = _list_frames(source)
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


def _list_frames(
    source: Source, *, start_seconds: float | None = None, end_seconds: float | None = None
) -> "_ListedFrames | _DecodedFrames":
    span = f"[{start_seconds or 0:g} s, {'end' if end_seconds is None else f'{end_seconds:g} s'})"
    if end_seconds is not None and end_seconds <= (start_seconds or 0):
        raise DecodeError(f"{source.path}: the span {span} is empty; its end must lie behind its start")
    timeline = read_timeline(source, start_seconds=start_seconds, end_seconds=end_seconds)
    if timeline is not None:
        frames = _ListedFrames(source, timeline)
    else:
        frames = _DecodedFrames(source, start_seconds=start_seconds, end_seconds=end_seconds)
    if not len(frames.seconds) and start_seconds is None and end_seconds is None:
        raise DecodeError(f"{source.path}: not one frame can be decoded; the file is damaged, fetch it again")
    if not len(frames.seconds):
        raise DecodeError(f"{source.path}: no frame is shown in {span}; {_length_of(source)}, correct the span")
    return frames


class _ListedFrames:
    """The frames of a timeline, decoded from the key frame before each."""

    def __init__(self, source: Source, timeline: Timeline):
        self.source, self.timeline = source, timeline
        self.seconds: Float64[np.ndarray, " n"] = timeline.seconds

    def get(self, wanted: Int64[np.ndarray, " k"]) -> Iterator[tuple[int, av.VideoFrame]]:
        """(index, frame) for every wanted index, in any order."""
        missing = set(wanted.tolist())
        for skip_others in (True, False):  # the second time only for frames that did not come out
            for index, frame in self._decode(sorted(missing), skip_others=skip_others):
                missing.discard(index)
                yield index, frame
            if not missing:
                return
        for index in sorted(missing):
            yield index, self._stand_in(index)

    def _stand_in(self, index: int) -> av.VideoFrame:
        num_frames = len(self.seconds)
        if self.timeline.reaches_end and index >= num_frames - _MAX_UNDELIVERED:
            for earlier in range(index - 1, max(-1, num_frames - _MAX_UNDELIVERED - 2), -1):
                for _, frame in self._decode([earlier], skip_others=False):
                    return frame
        raise DecodeError(
            f"{self.source.path}: the decoder gave no frame {index} of {num_frames} "
            f"({self.seconds[index]:.2f} s); the file is damaged, convert it again"
        )

    def _decode(self, wanted: Sequence[int], *, skip_others: bool) -> Iterator[tuple[int, av.VideoFrame]]:
        packets = self.timeline.replay(self.source)
        for first, last, targets in self._runs(wanted):
            yield from self._decode_run(packets, first, last, targets, skip_others=skip_others)

    def _runs(self, wanted: Sequence[int]) -> Iterator[tuple[int, int, dict[int, int]]]:
        """(first packet, last packet, {pts: index of the wanted frame}), disjoint, in decode order."""
        timeline = self.timeline
        runs: list[list[int]] = []
        last = -2
        for index in sorted(wanted, key=lambda index: timeline.key_positions[index]):
            if timeline.key_positions[index] > last + 1:
                runs.append([])
            runs[-1].append(index)
            last = max(last, timeline.positions[index])
        for run in runs:
            targets = {int(timeline.pts[index]): index for index in run}
            yield int(timeline.key_positions[run[0]]), int(timeline.positions[run].max()), targets

    def _decode_run(
        self,
        packets: Iterator[tuple[int, av.Packet]],
        first: int,
        last: int,
        targets: dict[int, int],
        *,
        skip_others: bool,
    ) -> Iterator[tuple[int, av.VideoFrame]]:
        waiting = dict(targets)
        codec = self.source.stream.codec_context
        codec.flush_buffers()
        try:
            for position, packet in packets:
                if position < first:
                    continue
                # Frames on which no other depends need not be decoded, unless they are wanted.
                codec.skip_frame = "NONREF" if skip_others and packet.pts not in targets else "DEFAULT"
                fed = [packet, None] if position == last else [packet]  # None: give out what is still held back
                for frame in (frame for item in fed for frame in codec.decode(item)):
                    if frame.pts in waiting:
                        yield waiting.pop(frame.pts), frame
                    if not waiting:
                        return
                if position == last:
                    return
        except av.error.FFmpegError as error:
            index = min(waiting.values())
            raise DecodeError(
                f"{self.source.path}: decoding failed before frame {index} of {len(self.seconds)} "
                f"({self.seconds[index]:.2f} s): {error.strerror}; the file is damaged, fetch it again"
            ) from error


class _DecodedFrames:
    """The frames of a span as they come out of a full sequential decode, which numbers and times them."""

    def __init__(self, source: Source, *, start_seconds: float | None, end_seconds: float | None):
        self.source = source
        self.held: list[av.VideoFrame] | None = []
        pts, num_bytes = [], 0
        for frame in self._decode_all():
            pts.append(frame.pts)
            num_bytes += sum(plane.buffer_size for plane in frame.planes)
            if num_bytes > MAX_HELD_BYTES:
                self.held = None
            if self.held is not None:
                self.held.append(frame)
        seconds = self._times(pts)
        inside = np.ones(len(seconds), bool)
        if start_seconds is not None:
            inside &= seconds >= start_seconds
        if end_seconds is not None:
            inside &= seconds < end_seconds
        self.numbers = np.flatnonzero(inside)
        self.seconds: Float64[np.ndarray, " n"] = seconds[inside]

    def _times(self, pts: list[int | None]) -> Float64[np.ndarray, " n"]:
        stream = self.source.stream
        if None not in pts and stream.time_base:
            times = np.array(pts, np.int64)
            if (np.diff(times) > 0).all():
                return (times - times[:1]) * float(stream.time_base)
        rate = stream.average_rate or stream.guessed_rate
        if not rate:
            raise DecodeError(f"{self.source.path}: neither frame times nor a frame rate is stored; convert it")
        return np.arange(len(pts)) / float(rate)

    def get(self, wanted: Int64[np.ndarray, " k"]) -> Iterator[tuple[int, av.VideoFrame]]:
        """(index, frame) for every wanted index, in order."""
        index_of = {int(self.numbers[index]): int(index) for index in wanted}
        frames: Iterable[av.VideoFrame] = self._decode_all() if self.held is None else self.held
        for number, frame in enumerate(frames):
            if number in index_of:
                yield index_of.pop(number), frame
            if not index_of:
                return

    def _decode_all(self) -> Iterator[av.VideoFrame]:
        number = 0
        try:
            for packet in itertools.chain(self.source.demux(), [None]):  # None: give out what is still held back
                for frame in self.source.stream.codec_context.decode(packet):
                    number += 1
                    yield frame
        except av.error.FFmpegError as error:
            raise DecodeError(
                f"{self.source.path}: decoding failed after {number} frames: {error.strerror}; the file is "
                "damaged, fetch or convert it again"
            ) from error


def _check_indices(indices: Sequence[int] | np.ndarray, *, num_frames: int) -> Int64[np.ndarray, " t"]:
    flat = np.asarray(indices).ravel()
    if not len(flat) or flat.dtype.kind not in "iu" or flat.min() < 0 or flat.max() >= num_frames:
        raise ValueError(
            f"pick returned {flat.tolist()[:16]} for {num_frames} frames: return at least one whole number, "
            f"all in [0, {num_frames})"
        )
    return flat.astype(np.int64)


def _length_of(source: Source) -> str:
    stream = source.stream
    if stream.duration and stream.time_base:
        return f"the video lasts {float(stream.duration * stream.time_base):.2f} s"
    if source.container.duration:
        return f"the file lasts {source.container.duration / av.time_base:.2f} s"
    return "the file does not say how long it lasts"
