"""Reading one video file for the doctor: its header and packets, and one frame of it or all of them.

Without `deep` the packets tell the number and the times of the frames, and only the first frame is decoded (it tells
how the picture is turned, and whether there is any). With it every frame is, and each span gets a fingerprint. Where
packets carry no times (an avi with B-frames) the frames are taken to be evenly spaced.
"""

import itertools
from collections.abc import Iterator, Sequence

import av
import numpy as np
from av.stream import Disposition
from av.video.reformatter import VideoReformatter

from w3action.data.decode import orientation
from w3action.data.frames import MAX_UNDELIVERED
from w3action.data.source import DecodeError, Source, VideoFile
from w3action.data.timeline import Timeline, read_timeline
from w3action.data.video import Span
from w3action.datasets.doctor.facts import FileFacts, Problem, SpanFacts, VideoFacts
from w3action.datasets.doctor.fingerprint import NUM_FRAMES, fingerprint, frames_of, look_at

_NEAR = 2  # frames between one that the decoder kept to itself and one that stands in
_MAX_TRIED = 128  # packets without a frame, of which one would be the first


def read_video(file: VideoFile, spans: Sequence[Span], *, deep: bool) -> FileFacts:
    """Read a file that is there and not empty. Nothing that the file does is raised."""
    try:
        source = Source(file, limit_seconds=None)
    except (DecodeError, av.error.FFmpegError, OSError, ValueError) as error:
        return FileFacts(problems=(_why_not_opened(file, error),))
    try:
        with source:
            timeline = read_timeline(source)
            num_packets = sum(1 for _ in source.demux()) if timeline is None else None
            return _Reading(source, timeline, num_packets, deep=deep).of(spans)
    except (DecodeError, av.error.FFmpegError, OSError, ValueError) as error:
        is_ffmpegs = isinstance(error.__cause__ or error, av.error.FFmpegError)
        return FileFacts(problems=(Problem("damaged" if is_ffmpegs else "truncated", _reason(error)),))


def _why_not_opened(file: VideoFile, error: Exception) -> Problem:
    """Whether there is no video in it, or nothing that can be read at all."""
    try:
        if not isinstance(file, str) and hasattr(file, "seek"):
            file.seek(0)
        with av.open(file, metadata_errors="ignore") as container:
            videos = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
            if not videos:
                held = {"video": "a still picture"}
                kinds = sorted({held.get(stream.type, stream.type) for stream in container.streams})
                return Problem("no_video_stream", f"holds only {', '.join(kinds) or 'nothing'}")
    except (av.error.FFmpegError, OSError, ValueError):
        pass
    reason = error.__cause__ or error
    return Problem("unreadable", f"cannot be opened as a video ({_reason(reason)})")


class _Reading:
    """One pass over an open file."""

    def __init__(self, source: Source, timeline: Timeline | None, num_packets: int | None, *, deep: bool):
        self.source, self.timeline, self.deep = source, timeline, deep
        if timeline is not None:
            self.seconds = timeline.seconds
        else:
            rate = source.stream.average_rate or source.stream.guessed_rate
            self.seconds = np.arange(num_packets or 0) / float(rate or 25)
        self.problems: list[Problem] = []
        self.num_decoded = self.num_corrupt = 0
        self.first: av.VideoFrame | None = None

    def of(self, spans: Sequence[Span]) -> FileFacts:
        wanted = self._wanted(spans) if self.deep else {}
        pictures: dict[int, np.ndarray] = {}
        reformatter = VideoReformatter()
        error = None
        try:
            for number, frame in self._decode():
                self.first = self.first or frame
                self.num_decoded += number is not None
                self.num_corrupt += frame.is_corrupt
                if number is not None and number in wanted:
                    pictures[number] = look_at(frame, reformatter)
                if not self.deep:
                    break
        except (DecodeError, av.error.FFmpegError) as failure:
            error = failure
        if self.first is None:
            reason = f" ({_reason(error)})" if error else ""
            return FileFacts(problems=(Problem("damaged", f"not one frame can be decoded{reason}"),))
        self._judge(error)
        if self.deep and self.timeline is None and self.num_decoded:
            self.seconds = self.seconds[: self.num_decoded]
        return FileFacts(
            problems=tuple(self.problems),
            video=self._video(self.first),
            spans=tuple(self._span(span, pictures) for span in spans),
        )

    def _wanted(self, spans: Sequence[Span]) -> set[int]:
        inside = (span.inside(self.seconds) for span in spans if span.fault() is None)
        return {int(numbers[place]) for numbers in inside if len(numbers) for place in frames_of(len(numbers))}

    def _decode(self) -> Iterator[tuple[int | None, av.VideoFrame]]:
        """(number in order of presentation, frame); no number for a frame that is not shown."""
        numbers = itertools.count()
        of_pts: dict[int | None, int] | None = None
        if self.timeline is not None:
            of_pts = {int(pts): number for number, pts in enumerate(self.timeline.pts)}
        for packet in self._packets():
            for frame in self.source.stream.codec_context.decode(packet):
                yield (next(numbers) if of_pts is None else of_pts.pop(frame.pts, None)), frame

    def _packets(self) -> Iterator[av.Packet | None]:
        """Packets from the first key frame on, then None, at which the decoder gives out what it holds back."""
        if self.timeline is None:
            packets: Iterator[av.Packet] = self.source.demux()
        else:
            packets = (packet for position, packet in self.timeline.replay(self.source) if position >= 0)
        if not self.deep:
            packets = itertools.islice(packets, _MAX_TRIED)
        yield from packets
        yield None

    def _judge(self, error: Exception | None) -> None:
        num_listed = len(self.seconds)
        if cut := self._cut_off():
            self.problems.append(Problem("truncated", cut))
        if error is not None:
            reason = f"decoding fails after {self.num_decoded} of {num_listed} frames ({_reason(error)})"
            self.problems.append(Problem("damaged", reason))
        elif self.deep and self.num_decoded < num_listed - MAX_UNDELIVERED:
            reason = f"the decoder gives only {self.num_decoded} of {num_listed} frames"
            self.problems.append(Problem("damaged", reason))
        if self.num_corrupt and self.deep:
            self.problems.append(Problem("concealed_damage", f"{self.num_corrupt} of {num_listed} frames are damaged"))

    def _cut_off(self) -> str | None:
        """What the header promises and the file does not hold."""
        num_listed = len(self.seconds)
        stream, formats = self.source.stream, self.source.container.format.name
        if "avi" in formats and num_listed < 0.98 * stream.frames - 2:  # one or two too many are usual
            return f"the header says {stream.frames} frames, {num_listed} are there"
        if "matroska" in formats and num_listed:
            promised, last = _promised_seconds(self.source), float(self.seconds[-1])
            if promised is not None and last < 0.95 * promised - 1:
                return f"the header says {promised:.1f} s, the last frame is shown at {last:.1f} s"
        return None

    def _video(self, first: av.VideoFrame) -> VideoFacts:
        turns, _ = orientation(first)
        width, height = (first.height, first.width) if turns % 2 else (first.width, first.height)
        steps = np.diff(self.seconds)
        usual = float(np.median(steps)) if len(steps) else 0.0
        # Containers round times to milliseconds or so: that is no other frame rate.
        uneven = np.abs(steps - usual) > 0.25 * usual + 0.0015
        rate = self.source.stream.average_rate or self.source.stream.guessed_rate
        return VideoFacts(
            num_frames=len(self.seconds),
            fps=len(steps) / float(steps.sum()) if steps.sum() > 0 else float(rate or 0) or None,
            width=width,
            height=height,
            codec=self.source.stream.codec_context.codec.canonical_name,
            rotation_degrees=90 * turns,
            uneven_share=float(uneven.mean()) if len(steps) else 0.0,
            largest_gap=float(steps.max()) / usual if usual else 1.0,
        )

    def _span(self, span: Span, pictures: dict[int, np.ndarray]) -> SpanFacts:
        if span.fault() is not None:
            return SpanFacts(num_frames=0)
        inside = span.inside(self.seconds)
        wanted = [int(inside[place]) for place in frames_of(len(inside))] if len(inside) else []
        # Decoders may keep a frame to themselves: one close to it stands in.
        near = [min(pictures, key=lambda known, number=number: abs(known - number)) for number in wanted if pictures]
        seen = [pictures[known] for known, number in zip(near, wanted, strict=False) if abs(known - number) <= _NEAR]
        return SpanFacts(
            num_frames=len(inside),
            beyond_end=self._beyond_end(span),
            fingerprint=fingerprint(np.stack(seen)) if len(seen) == NUM_FRAMES else None,
        )

    def _beyond_end(self, span: Span) -> float:
        if span.stop_frame is not None:
            return float(max(0, span.stop_frame - len(self.seconds)))
        if span.end_seconds is None or len(self.seconds) < 2:
            return 0.0
        end = float(self.seconds[-1] + np.median(np.diff(self.seconds)))
        return max(0.0, span.end_seconds - end)


def _promised_seconds(source: Source) -> float | None:
    """How long the video stream lasts by the header, if that does not tell of longer sound."""
    told = source.stream.metadata.get("DURATION", "").split(":")
    if len(told) == 3:
        hours, minutes, seconds = told
        return 3600 * float(hours) + 60 * float(minutes) + float(seconds)
    container = source.container
    return container.duration / av.time_base if container.duration and len(container.streams) == 1 else None


def _reason(error: BaseException) -> str:
    """Return what went wrong in a few words, without the file's name and without advice."""
    if isinstance(error, DecodeError):
        return error.reason
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
