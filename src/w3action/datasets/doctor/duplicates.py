"""The same clip twice: in two splits, where it makes a test worthless, or in one.

Files of one content are found by size and hash, whatever their names; spans of one content overlap or do not. Clips
that were encoded anew, scaled or trimmed have other bytes and are found by their fingerprints, where frames were read.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from w3action.data.manifest import Manifest
from w3action.data.video import Span
from w3action.datasets.doctor.facts import FileFacts, ListedFile
from w3action.datasets.doctor.findings import Finding, found
from w3action.datasets.doctor.fingerprint import alike_pairs


@dataclass(frozen=True, eq=False)
class _Clip:
    """A row: which content it is a part of, and from where to where (seconds, or frames if there is no rate)."""

    row: int
    split: str
    file: ListedFile
    span: Span
    content: Hashable
    start: float
    end: float
    fingerprint: np.ndarray | None

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.split or 'no split'}: {self.file.name}{'' if self.span == Span() else f' {self.span}'}"


def check_duplicates(files: Sequence[ListedFile], facts: Sequence[FileFacts], manifest: Manifest) -> Iterator[Finding]:
    """Find clips that are there twice."""
    clips = list(_clips_of(files, facts, manifest))
    by_content: dict[Hashable, list[_Clip]] = {}
    for clip in clips:
        by_content.setdefault(clip.content, []).append(clip)
    for same in by_content.values():
        if len({clip.split for clip in same}) > 1:
            yield from _check_across(same)
        if len({clip.file for clip in same}) > 1:
            yield from _check_within(same, manifest)
    yield from _check_alike(clips)


def _clips_of(files: Sequence[ListedFile], facts: Sequence[FileFacts], manifest: Manifest) -> Iterator[_Clip]:
    for file, known in zip(files, facts, strict=True):
        content = known.digest or file.identity or file
        fps = known.video.fps if known.video is not None else None
        prints = [span.fingerprint for span in known.spans] or [None] * len(file.rows)
        for (span, rows), seen in zip(file.rows.items(), prints, strict=True):
            start, end = _interval(span, fps)
            for row in rows:
                yield _Clip(row, manifest.videos[row].split or "", file, span, content, start, end, seen)


def _interval(span: Span, fps: float | None) -> tuple[float, float]:
    start, end, unit = span.start_seconds, span.end_seconds, 1.0
    if span.in_frames:
        start, end, unit = span.first_frame, span.stop_frame, fps or 1
    return (start or 0) / unit, float("inf") if end is None else end / unit


def _check_across(same: Sequence[_Clip]) -> Iterator[Finding]:
    """Name each span of one content that overlaps one of another split, or note once that none does."""
    latest: dict[str, _Clip] = {}  # of each split the clip that ends last, of those that began before
    has_overlap = False
    for clip in sorted(same, key=lambda clip: (clip.start, clip.row)):
        partners = [other for split, other in latest.items() if split != clip.split and other.end > clip.start]
        if partners:
            has_overlap = True
            other = max(partners, key=lambda other: other.end)
            kind = "same_clip_in_two_splits" if clip.file is other.file else "same_content_in_two_splits"
            first, second = sorted((other, clip), key=lambda clip: clip.row)
            said = "is" if (clip.start, clip.end) == (other.start, other.end) else "overlaps"
            yield found(kind, f"{first.name} {said} {second.name}", (first.row, second.row))
        last = latest.get(clip.split)
        if last is None or clip.end > last.end:
            latest[clip.split] = clip
    if not has_overlap:
        splits = " and ".join(sorted({clip.split or "no split" for clip in same}))
        rows = sorted(clip.row for clip in same)
        yield found("same_recording_in_two_splits", f"{same[0].file.name}: spans of it in {splits}", rows)


def _check_within(same: Sequence[_Clip], manifest: Manifest) -> Iterator[Finding]:
    """Name files of one content and span in one split."""
    groups: dict[tuple, list[_Clip]] = {}
    for clip in same:
        groups.setdefault((clip.split, clip.start, clip.end), []).append(clip)
    for group in groups.values():
        names = [file.name for file in dict.fromkeys(clip.file for clip in group)]
        if len(names) > 1:
            rows = sorted(clip.row for clip in group)
            has_one_label = len({manifest.videos[row].labels for row in rows}) == 1
            kind = "same_content_twice" if has_one_label else "same_content_two_labels"
            yield found(kind, f"{len(names)} files have the same content: {', '.join(names[:4])}", rows)


def _check_alike(clips: Sequence[_Clip]) -> Iterator[Finding]:
    """Name for each clip the one of an earlier split that is most like it, if they may be the same."""
    seen: dict[str, list[_Clip]] = {}
    for clip in clips:
        if clip.fingerprint is not None and clip.fingerprint.any():
            seen.setdefault(clip.split, []).append(clip)
    splits = sorted(seen, key=lambda split: (split != "train", split))
    prints = {split: np.array([clip.fingerprint for clip in held]) for split, held in seen.items()}
    for place, split in enumerate(splits):
        best: dict[int, tuple[float, _Clip]] = {}
        for earlier in splits[:place]:
            for mine, other, likeness in alike_pairs(prints[split], prints[earlier]):
                is_said = seen[split][mine].content == seen[earlier][other].content
                if not is_said and likeness > best.get(mine, (0.0, None))[0]:
                    best[mine] = likeness, seen[earlier][other]
        for mine, (likeness, other) in sorted(best.items(), key=lambda item: item[0]):
            clip = seen[split][mine]
            message = f"{clip.name} looks like {other.name} ({likeness:.2f} of 1)"
            yield found("near_duplicate_in_two_splits", message, (clip.row, other.row))
