"""The frames of an open video by number: decoded from the key frames before them, or all from the start.

`ListedFrames` has a timeline and decodes only the groups of pictures that hold a wanted frame, each up to the
last wanted one; frames that no other depends on are skipped. `DecodedFrames` has none (an avi with B-frames):
a full decode numbers and times the frames. Both give frames equal to those of a full sequential decode.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence

import av
import numpy as np
from jaxtyping import Float64, Int64

from w3action.data.source import DecodeError, Source
from w3action.data.timeline import Timeline, read_timeline
from w3action.data.video import Span

# Where all frames must be decoded, those beyond this are decoded a second time instead of kept.
MAX_HELD_BYTES = 64 << 20

# A file may list this many frames more at its end than its decoder gives: earlier frames stand in for them.
MAX_UNDELIVERED = 2


def list_frames(source: Source, span: Span | None = None) -> "ListedFrames | DecodedFrames":
    """List the frames of a span, at least one.

    Raises:
        DecodeError: the file is damaged or cut off, or shows no frame in the span.
    """
    span = span or Span()
    if fault := span.fault():
        raise DecodeError(source.name, *fault)
    timeline = read_timeline(source, span)
    frames = ListedFrames(source, timeline) if timeline is not None else DecodedFrames(source, span)
    if not len(frames.seconds) and not span.in_seconds and not span.in_frames:
        raise DecodeError(source.name, "not one frame can be decoded", "the file is damaged, fetch it again")
    if not len(frames.seconds):
        raise DecodeError(source.name, f"no frame is shown in {span}", f"{_length_of(source)}, correct the span")
    return frames


class ListedFrames:
    """The frames of a timeline, decoded from the key frame before each."""

    def __init__(self, source: Source, timeline: Timeline):
        self.source, self.timeline, self.name = source, timeline, source.name
        self.seconds: Float64[np.ndarray, " n"] = timeline.seconds

    def get(self, wanted: Int64[np.ndarray, " k"]) -> Iterator[tuple[int, av.VideoFrame]]:
        """Give (index, frame) for every wanted index, in any order."""
        self.source.restart_clock()
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
        if self.timeline.reaches_end and index >= num_frames - MAX_UNDELIVERED:
            for earlier in range(index - 1, max(-1, num_frames - MAX_UNDELIVERED - 2), -1):
                for _, frame in self._decode([earlier], skip_others=False):
                    return frame
        raise DecodeError(
            self.source.name,
            f"the decoder gave no frame {index} of {num_frames} ({self.seconds[index]:.2f} s)",
            "the file is damaged, convert it again",
        )

    def _decode(self, wanted: Sequence[int], *, skip_others: bool) -> Iterator[tuple[int, av.VideoFrame]]:
        packets = self.timeline.replay(self.source)
        for first, last, targets in self.runs(wanted):
            yield from self._decode_run(packets, first, last, targets, skip_others=skip_others)

    def runs(self, wanted: Sequence[int]) -> Iterator[tuple[int, int, dict[int, int]]]:
        """Give (first packet, last packet, {pts: index of the wanted frame}), disjoint, in decode order."""
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
        waiting, set_to = dict(targets), None
        codec = self.source.stream.codec_context
        codec.flush_buffers()
        try:
            for position, packet in packets:
                if position < first:
                    continue
                self.source.check_time()
                # Frames on which no other depends need not be decoded, unless they are wanted.
                skip_frame = "NONREF" if skip_others and packet.pts not in targets else "DEFAULT"
                if skip_frame != set_to:
                    codec.skip_frame = set_to = skip_frame
                frames = codec.decode(packet)
                if position == last:
                    frames += codec.decode(None)  # give out what is still held back
                for frame in frames:
                    if frame.pts in waiting:
                        yield waiting.pop(frame.pts), frame
                    if not waiting:
                        return
                if position == last:
                    return
        except av.error.FFmpegError as error:
            index = min(waiting.values())
            raise DecodeError(
                self.source.name,
                f"decoding failed before frame {index} of {len(self.seconds)} ({self.seconds[index]:.2f} s): "
                f"{self.source.reason(error)}",
                "the file is damaged, fetch it again",
            ) from error


class DecodedFrames:
    """The frames of a span as they come out of a full sequential decode, which numbers and times them."""

    def __init__(self, source: Source, span: Span):
        self.source, self.name = source, source.name
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
        self.numbers = span.inside(seconds)
        self.seconds: Float64[np.ndarray, " n"] = seconds[self.numbers]

    def _times(self, pts: list[int | None]) -> Float64[np.ndarray, " n"]:
        stream = self.source.stream
        if None not in pts and stream.time_base:
            times = np.array(pts, np.int64)
            if (np.diff(times) > 0).all():
                return (times - times[:1]) * float(stream.time_base)
        rate = stream.average_rate or stream.guessed_rate
        if not rate:
            raise DecodeError(self.source.name, "neither frame times nor a frame rate is stored", "convert it")
        return np.arange(len(pts)) / float(rate)

    def get(self, wanted: Int64[np.ndarray, " k"]) -> Iterator[tuple[int, av.VideoFrame]]:
        """Give (index, frame) for every wanted index, in order."""
        self.source.restart_clock()
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
                self.source.name,
                f"decoding failed after {number} frames: {self.source.reason(error)}",
                "the file is damaged, fetch or convert it again",
            ) from error


def _length_of(source: Source) -> str:
    stream = source.stream
    if stream.duration and stream.time_base:
        return f"the video lasts {float(stream.duration * stream.time_base):.2f} s"
    if source.container.duration:
        return f"the file lasts {source.container.duration / av.time_base:.2f} s"
    return "the file does not say how long it lasts"
