"""Read one video file for the doctor: its header and packets, and one frame of it or all of them.

Without `deep` the packets tell the number and the times of the frames, and only the first frame is decoded (it tells
how the picture is turned, and whether there is any). With it every frame is, and each span gets a fingerprint. Where
packets carry no times (an avi with B-frames) the frames are taken to be evenly spaced.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from jaxtyping import Float64

from w3action.data.decode import orientation
from w3action.data.frames import MAX_UNDELIVERED
from w3action.data.source import DecodeError, NoVideoError, Source, VideoFile
from w3action.data.timeline import Timeline, read_timeline
from w3action.data.video import Span
from w3action.datasets.doctor.facts import FileFacts, Problem, SpanFacts, VideoFacts
from w3action.datasets.doctor.fingerprint import NUM_FRAMES, fingerprint, look_at, middles_of

Seconds = Float64[np.ndarray, " n"]  # when each frame of the video is shown

_NEAR = (0, -1, 1, -2, 2)  # where to look for a frame or, if the decoder kept it to itself, one that stands in
_MAX_TRIED = 128  # packets without a frame, of which one would be the first


def read_video(file: VideoFile, spans: Sequence[Span], *, deep: bool) -> FileFacts:
    """Read a file that is there and not empty; what is wrong with it is not raised but becomes a problem of it."""
    try:
        source = Source(file, limit_seconds=None)
    except NoVideoError as error:
        return FileFacts(problems=(Problem("no_video_stream", f"holds only {error.held}"),))
    except DecodeError as error:
        # FFmpeg's own words come in a sentence; what we refuse does not.
        reason = error.reason if error.__cause__ else f"cannot be opened as a video ({error.reason})"
        return FileFacts(problems=(Problem("unreadable", reason),))
    try:
        with source:
            return _read(source, spans, deep=deep)
    except (OSError, ValueError) as error:
        is_ffmpegs = isinstance(error.__cause__ or error, av.error.FFmpegError)
        return FileFacts(problems=(Problem("damaged" if is_ffmpegs else "truncated", _reason(error)),))


def _read(source: Source, spans: Sequence[Span], *, deep: bool) -> FileFacts:
    timeline = read_timeline(source)
    if timeline is not None:
        seconds = timeline.seconds
    else:
        seconds = np.arange(sum(1 for _ in source.demux())) / (_rate(source) or 25)
    wanted = {number for span in spans for number in frames_to_look_at(span, seconds)} if deep else set()
    pictures: dict[int, np.ndarray] = {}
    reformatter = VideoReformatter()
    first = failure = None
    num_decoded = num_corrupt = 0
    try:
        for number, frame in _decode(source, timeline, deep=deep):
            first = first or frame
            num_decoded += number is not None
            num_corrupt += frame.is_corrupt
            if number is not None and number in wanted:
                pictures[number] = look_at(frame, reformatter)
            if not deep:
                break
    except (DecodeError, av.error.FFmpegError) as error:
        failure = error
    if first is None:
        reason = f" ({_reason(failure)})" if failure else ""
        return FileFacts(problems=(Problem("damaged", f"not one frame can be decoded{reason}"),))
    problems, num_listed = [], len(seconds)
    if cut := _cut_off(source, seconds):
        problems.append(Problem("truncated", cut))
    if failure is not None:
        reason = f"decoding fails after {num_decoded} of {num_listed} frames ({_reason(failure)})"
        problems.append(Problem("damaged", reason))
    elif deep and num_decoded < num_listed - MAX_UNDELIVERED:
        problems.append(Problem("damaged", f"the decoder gives only {num_decoded} of {num_listed} frames"))
    if num_corrupt and deep:
        problems.append(Problem("concealed_damage", f"{num_corrupt} of {num_listed} frames are damaged"))
    if deep and timeline is None and num_decoded:
        seconds = seconds[:num_decoded]
    facts = tuple(facts_of_span(span, seconds, pictures) for span in spans)
    return FileFacts(tuple(problems), _facts_of_video(source, first, seconds), facts)


def _decode(source: Source, timeline: Timeline | None, *, deep: bool) -> Iterator[tuple[int | None, av.VideoFrame]]:
    """Give (number in order of presentation, frame); no number for a frame that is not shown."""
    if timeline is None:
        packets: Iterator[av.Packet] = source.demux()
        of_pts: dict[int | None, int] | None = None
    else:  # from the first key frame on
        packets = (packet for position, packet in timeline.replay(source) if position >= 0)
        of_pts = {int(pts): number for number, pts in enumerate(timeline.pts)}
    numbers = itertools.count()
    tried = packets if deep else itertools.islice(packets, _MAX_TRIED)
    for packet in itertools.chain(tried, [None]):  # at None the decoder gives out what it holds back
        for frame in source.stream.codec_context.decode(packet):
            yield (next(numbers) if of_pts is None else of_pts.pop(frame.pts, None)), frame


def _cut_off(source: Source, seconds: Seconds) -> str | None:
    """Say what the header promises and the file does not hold."""
    promised_frames, formats = source.stream.frames, source.container.format.name
    if "avi" in formats and len(seconds) < 0.98 * promised_frames - 2:  # one or two too many are usual
        return f"the header says {promised_frames} frames, {len(seconds)} are there"
    if "matroska" in formats and len(seconds):
        promised, last = _promised_seconds(source), float(seconds[-1])
        if promised is not None and last < 0.95 * promised - 1:
            return f"the header says {promised:.1f} s, the last frame is shown at {last:.1f} s"
    return None


def _promised_seconds(source: Source) -> float | None:
    """Return how long the video stream lasts by the header, if that does not tell of longer sound."""
    told = source.stream.metadata.get("DURATION", "").split(":")
    if len(told) == 3:
        hours, minutes, seconds = told
        return 3600 * float(hours) + 60 * float(minutes) + float(seconds)
    container = source.container
    return container.duration / av.time_base if container.duration and len(container.streams) == 1 else None


def _facts_of_video(source: Source, first: av.VideoFrame, seconds: Seconds) -> VideoFacts:
    turns, _ = orientation(first)
    width, height = (first.height, first.width) if turns % 2 else (first.width, first.height)
    steps = np.diff(seconds)
    usual = float(np.median(steps)) if len(steps) else 0.0
    # Containers round times to milliseconds or so: that is no other frame rate.
    uneven = np.abs(steps - usual) > 0.25 * usual + 0.0015
    return VideoFacts(
        num_frames=len(seconds),
        fps=len(steps) / float(steps.sum()) if steps.sum() > 0 else _rate(source) or None,
        width=width,
        height=height,
        codec=source.stream.codec_context.codec.canonical_name,
        rotation_degrees=90 * turns,
        uneven_share=float(uneven.mean()) if len(steps) else 0.0,
        largest_gap=float(steps.max()) / usual if usual else 1.0,
    )


def _rate(source: Source) -> float:
    """Return the frames per second that the header says; 0 if it says nothing."""
    return float(source.stream.average_rate or source.stream.guessed_rate or 0)


def frames_to_look_at(span: Span, seconds: Seconds) -> list[int]:
    """Return the numbers of the frames of a span that its fingerprint is taken of; none where it holds none."""
    inside = span.inside(seconds) if span.fault() is None else np.array([], int)
    return [int(inside[place]) for place in middles_of(len(inside))]


def facts_of_span(
    span: Span, seconds: Seconds, pictures: Mapping[int, np.ndarray], *, near: Sequence[int] = _NEAR
) -> SpanFacts:
    """Return what a span holds of a video, whose frames' times and some of whose small pictures are given."""
    if span.fault() is not None:
        return SpanFacts(num_frames=0)
    beyond_end = 0.0
    if span.stop_frame is not None:
        beyond_end = float(max(0, span.stop_frame - len(seconds)))
    elif span.end_seconds is not None and len(seconds) > 1:
        beyond_end = max(0.0, span.end_seconds - float(seconds[-1] + np.median(np.diff(seconds))))
    wanted = frames_to_look_at(span, seconds)
    stand_ins = [next((number + step for step in near if number + step in pictures), None) for number in wanted]
    seen = [pictures[number] for number in stand_ins if number is not None]
    return SpanFacts(
        num_frames=len(span.inside(seconds)),
        beyond_end=beyond_end,
        fingerprint=fingerprint(np.stack(seen)) if len(seen) == NUM_FRAMES else None,
    )


def _reason(error: BaseException) -> str:
    """Return what went wrong in a few words, without the file's name and without advice."""
    return getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error) or type(error).__name__
