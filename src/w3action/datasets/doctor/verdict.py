"""What the doctor reports: findings and a data set at a glance, as a dict for programs and as text for people."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from w3action.data.manifest import Manifest
from w3action.datasets.doctor.facts import FileFacts, ListedFile, VideoFacts
from w3action.datasets.doctor.findings import Finding, count_severities

_SHOWN = 5  # findings of a kind
MOST_BARS = 10
_FRAMES = (8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384)  # upper ends, not part of a bar
_SECONDS = (0.3, 1, 2, 4, 8, 16, 32, 64, 300, 3600)


@dataclass(frozen=True)
class Histogram:
    """Counts by name, in the order in which to show them."""

    title: str
    counts: tuple[tuple[str, int], ...]


def take_histograms(facts: Sequence[FileFacts]) -> tuple[Histogram, ...]:
    """Count sizes, rates, codecs (most frequent first), numbers of frames and seconds of what could be read."""
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
    bars = [f"{start:g} to {end:g}" for start, end in zip((0, *ends), ends, strict=False)] + [f"{ends[-1]:g} and more"]
    counts = Counter(sum(value >= end for end in ends) for value in values)
    places = range(min(counts, default=0), max(counts, default=-1) + 1)
    return Histogram(title, tuple((bars[place], counts[place]) for place in places))


@dataclass(frozen=True)
class Report:
    """A checked manifest.

    Attributes:
        manifest: what was checked.
        files: those that its rows lie in.
        facts: of each file.
        findings: gravest first, those of a kind together.
        deep: whether every frame was decoded.
        wall_seconds: how long it took.
    """

    manifest: Manifest
    files: tuple[ListedFile, ...]
    facts: tuple[FileFacts, ...]
    findings: tuple[Finding, ...]
    deep: bool
    wall_seconds: float

    @property
    def exit_code(self) -> int:
        """1 if there are errors, else 0."""
        return int(count_severities(self.findings)["error"] > 0)

    @property
    def histograms(self) -> tuple[Histogram, ...]:
        """The data set at a glance."""
        return take_histograms(self.facts)

    @property
    def hours(self) -> float:
        """How long all files last together that could be read."""
        return sum(known.video.seconds or 0 for known in self.facts if known.video is not None) / 3600

    def by_kind(self) -> dict[str, list[Finding]]:
        """Findings of each kind, gravest kind first."""
        return {kind: list(found) for kind, found in groupby(self.findings, key=lambda finding: finding.kind)}

    def as_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON; `rows` count from 0."""
        return {
            "manifest": str(self.manifest.source),
            "deep": self.deep,
            "num_rows": len(self.manifest),
            "num_files": len(self.files),
            "num_classes": len(self.manifest.classes),
            "splits": self.num_by_split(),
            "hours": round(self.hours, 4),
            "wall_seconds": round(self.wall_seconds, 2),
            "counts": count_severities(self.findings),
            "findings": [{**vars(finding), "rows": list(finding.rows)} for finding in self.findings],
            "histograms": {histogram.title: dict(histogram.counts) for histogram in self.histograms},
        }

    def num_by_split(self) -> dict[str, int]:
        """Rows of each split; empty where the manifest names none."""
        return {split: sum(v.split == split for v in self.manifest.videos) for split in self.manifest.splits}

    def lines(self) -> Iterator[str]:
        """The summary as text: the data set, findings by kind, the verdict."""
        yield self.headline()
        for histogram in self.histograms:
            if histogram.counts:
                shown = ", ".join(f"{name}: {count}" for name, count in histogram.counts[:_SHOWN])
                more = len(histogram.counts) - _SHOWN
                yield f"  {histogram.title:18} {shown}{f', {more} more' if more > 0 else ''}"
        for kind, findings in self.by_kind().items():
            first = findings[0]
            yield f"{first.severity}: {kind.replace('_', ' ')} ({len(findings)}): {first.remedy}"
            yield from (f"  {finding.message}" for finding in findings[:_SHOWN])
            if len(findings) > _SHOWN:
                yield f"  ... and {len(findings) - _SHOWN} more"
        counts = ", ".join(
            f"{number} {severity}{'' if number == 1 else 's'}"
            for severity, number in count_severities(self.findings).items()
        )
        yield f"{counts} in {self.wall_seconds:.1f} s" + ("" if self.deep else " (headers and packets; --deep decodes)")

    def headline(self) -> str:
        """The data set in one line."""
        splits = ", ".join(f"{split} {number}" for split, number in self.num_by_split().items())
        return (
            f"{self.manifest.source}: {len(self.manifest)} clips{f' ({splits})' if splits else ''} in "
            f"{len(self.files)} files, {len(self.manifest.classes)} classes, {self.hours:.2f} hours"
        )
