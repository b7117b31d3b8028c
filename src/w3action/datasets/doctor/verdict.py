"""What the doctor reports, for a program and for a person: a dict, and lines of text."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from w3action.data.manifest import Manifest
from w3action.datasets.doctor.facts import Entry, FileFacts
from w3action.datasets.doctor.findings import Finding, count_severities
from w3action.datasets.doctor.verdict import Histogram, take_histograms

_SHOWN = 5  # findings of a kind


@dataclass(frozen=True)
class Report:
    """A checked manifest.

    Attributes:
        manifest: what was checked.
        entries: its files.
        facts: of each file.
        findings: gravest first.
        deep: whether every frame was decoded.
        wall_seconds: how long it took.
    """

    manifest: Manifest
    entries: tuple[Entry, ...]
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
        kinds: dict[str, list[Finding]] = {}
        for finding in self.findings:
            kinds.setdefault(finding.kind, []).append(finding)
        return kinds

    def as_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON; `rows` count from 0."""
        return {
            "manifest": str(self.manifest.source),
            "deep": self.deep,
            "num_rows": len(self.manifest),
            "num_files": len(self.entries),
            "num_classes": len(self.manifest.classes),
            "splits": self.num_by_split(),
            "hours": round(self.hours, 4),
            "wall_seconds": round(self.wall_seconds, 2),
            "counts": count_severities(self.findings),
            "findings": [
                {
                    "severity": finding.severity,
                    "kind": finding.kind,
                    "rows": list(finding.rows),
                    "message": finding.message,
                    "remedy": finding.remedy,
                }
                for finding in self.findings
            ],
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
            f"{len(self.entries)} files, {len(self.manifest.classes)} classes, {self.hours:.2f} hours"
        )
