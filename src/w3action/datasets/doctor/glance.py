"""A data set at a glance: how many videos are of which size, rate, codec and length."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from w3action.datasets.doctor.facts import FileFacts, VideoFacts

MOST_BARS = 10
_FRAMES = (8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384)  # upper ends, not part of a bar
_SECONDS = (0.3, 1, 2, 4, 8, 16, 32, 64, 300, 3600)


@dataclass(frozen=True)
class Histogram:
    """Counts by name, in the order in which to show them."""

    title: str
    counts: tuple[tuple[str, int], ...]


def take_histograms(facts: Sequence[FileFacts]) -> tuple[Histogram, ...]:
    """Sizes, rates, codecs (most frequent first), numbers of frames and seconds of the files that could be read."""
    videos = [known.video for known in facts if known.video is not None]
    timed = [video.seconds for video in videos if video.seconds is not None]
    spans = [span.num_frames for known in facts for span in known.spans]
    return (
        _by_count("size, pixels", videos, lambda video: f"{video.width}x{video.height}"),
        _by_count("frames per second", videos, lambda video: "unknown" if not video.fps else f"{video.fps:.3g}"),
        _by_count("codec", videos, lambda video: video.codec),
        _by_range("frames in a clip", spans, _FRAMES),
        _by_range("seconds of a file", timed, _SECONDS),
    )


def _by_count(title: str, videos: Sequence[VideoFacts], name: Callable[[VideoFacts], str]) -> Histogram:
    counts = Counter(map(name, videos)).most_common()
    shown, rest = counts[:MOST_BARS], counts[MOST_BARS:]
    if rest:
        shown.append((f"{len(rest)} others", sum(count for _, count in rest)))
    return Histogram(title, tuple(shown))


def _by_range(title: str, values: Sequence[float], ends: Sequence[float]) -> Histogram:
    starts = (0, *ends)
    counts = Counter(sum(value >= end for end in ends) for value in values)
    places = range(min(counts, default=0), max(counts, default=-1) + 1)
    names = [
        f"{starts[place]:g} and more" if place == len(ends) else f"{starts[place]:g} to {ends[place]:g}"
        for place in places
    ]
    return Histogram(title, tuple((name, counts[place]) for place, name in zip(places, names, strict=True)))
