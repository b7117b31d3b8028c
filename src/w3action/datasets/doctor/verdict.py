"""What the doctor reports: findings and a data set at a glance, as a dict for programs and as text for people."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from w3action.data.manifest import Manifest
from w3action.datasets.doctor.facts import FileFacts, ListedFile
from w3action.datasets.doctor.findings import Finding, count_severities

_SHOWN = 5  # findings of a kind
MOST_BARS = 10
_FRAMES = (8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384)  # upper ends, not part of a bar
_SECONDS = (0.3, 1, 2, 4, 8, 16, 32, 64, 300, 3600)


Histogram = Mapping[str, int]  # counts by name, in the order in which to show them


def take_histograms(facts: Sequence[FileFacts]) -> dict[str, Histogram]:
    """Count sizes, rates, codecs (most frequent first), numbers of frames and seconds of what could be read."""
    videos = [known.video for known in facts if known.video is not None]
    timed = [video.seconds for video in videos if video.seconds is not None]
    spans = [span.num_frames for known in facts for span in known.spans]
    return {
        "size, pixels": _by_count(f"{video.width}x{video.height}" for video in videos),
        "frames per second": _by_count(f"{video.fps:.3g}" if video.fps else "unknown" for video in videos),
        "codec": _by_count(video.codec for video in videos),
        "frames in a clip": _by_range(spans, _FRAMES),
        "seconds of a file": _by_range(timed, _SECONDS),
    }


def _by_count(names: Iterable[str]) -> Histogram:
    counts = Counter(names).most_common()
    shown, rest = dict(counts[:MOST_BARS]), counts[MOST_BARS:]
    return shown | {f"{len(rest)} others": sum(count for _, count in rest)} if rest else shown


def _by_range(values: Sequence[float], ends: Sequence[float]) -> Histogram:
    bars = [f"{start:g} to {end:g}" for start, end in zip((0, *ends), ends, strict=False)] + [f"{ends[-1]:g} and more"]
    counts = Counter(sum(value >= end for end in ends) for value in values)
    return {bars[place]: counts[place] for place in range(min(counts, default=0), max(counts, default=-1) + 1)}


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
    def histograms(self) -> dict[str, Histogram]:
        """The data set at a glance: histograms by title."""
        return take_histograms(self.facts)

    @property
    def hours(self) -> float:
        """How long all files last together that could be read."""
        return sum(known.video.seconds or 0 for known in self.facts if known.video is not None) / 3600

    def by_kind(self) -> dict[str, list[Finding]]:
        """Return the findings of each kind, gravest kind first."""
        return {kind: list(found) for kind, found in groupby(self.findings, key=lambda finding: finding.kind)}

    def as_dict(self) -> dict[str, Any]:
        """Return all of it, ready for JSON; `rows` count from 0."""
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
            "histograms": self.histograms,
        }

    def num_by_split(self) -> dict[str, int]:
        """Count the rows of each split; none where the manifest names none."""
        return {split: sum(v.split == split for v in self.manifest.videos) for split in self.manifest.splits}

    def lines(self) -> Iterator[str]:
        """Give the summary as text: the data set, findings by kind, the verdict."""
        yield self.headline()
        for title, counts in self.histograms.items():
            if counts:
                shown = ", ".join(f"{name}: {count}" for name, count in [*counts.items()][:_SHOWN])
                more = len(counts) - _SHOWN
                yield f"  {title:18} {shown}{f', {more} more' if more > 0 else ''}"
        for kind, findings in self.by_kind().items():
            first = findings[0]
            yield f"{first.severity}: {kind.replace('_', ' ')} ({len(findings)}): {first.remedy}"
            yield from (f"  {finding.message}" for finding in findings[:_SHOWN])
            if len(findings) > _SHOWN:
                yield f"  ... and {len(findings) - _SHOWN} more"
        numbers = count_severities(self.findings).items()
        counts = ", ".join(f"{number} {severity}{'' if number == 1 else 's'}" for severity, number in numbers)
        yield f"{counts} in {self.wall_seconds:.1f} s" + ("" if self.deep else " (headers and packets; --deep decodes)")

    def headline(self) -> str:
        """Return the data set in one line."""
        splits = ", ".join(f"{split} {number}" for split, number in self.num_by_split().items())
        return (
            f"{self.manifest.source}: {len(self.manifest)} clips{f' ({splits})' if splits else ''} in "
            f"{len(self.files)} files, {len(self.manifest.classes)} classes, {self.hours:.2f} hours"
        )
