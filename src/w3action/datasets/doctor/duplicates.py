"""The same clip twice: in two splits, where it makes a test worthless, or in one.

Files of one content are found by size and hash, whatever their names; spans of one content overlap or do not. Clips
that were encoded anew, scaled or trimmed have other bytes and are found by their fingerprints, where frames were read.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from w3action.data.manifest import Manifest
from w3action.data.span import Span
from w3action.datasets.doctor.facts import Entry, FileFacts
from w3action.datasets.doctor.findings import Finding, found
from w3action.datasets.doctor.fingerprint import alike_pairs


@dataclass(frozen=True)
class _Clip:
    """A row: which content it is a part of, and from where to where (seconds, or frames if there is no rate)."""

    row: int
    split: str
    entry: int
    content: Hashable
    start: float
    end: float
    fingerprint: np.ndarray | None


def check_duplicates(entries: Sequence[Entry], facts: Sequence[FileFacts], manifest: Manifest) -> Iterator[Finding]:
    """Findings on clips that are there twice."""
    clips = _clips_of(entries, facts, manifest)
    by_content: dict[Hashable, list[_Clip]] = {}
    for clip in clips:
        by_content.setdefault(clip.content, []).append(clip)
    for same in by_content.values():
        if len({clip.split for clip in same}) > 1:
            yield from _check_across(same, entries)
        if len({clip.entry for clip in same}) > 1:
            yield from _check_within(same, entries, manifest)
    yield from _check_alike(clips, entries)


def _clips_of(entries: Sequence[Entry], facts: Sequence[FileFacts], manifest: Manifest) -> list[_Clip]:
    clips = []
    for place, (entry, known) in enumerate(zip(entries, facts, strict=True)):
        content = known.digest or entry.identity or place
        fps = known.video.fps if known.video is not None else None
        prints = [span.fingerprint for span in known.spans] or [None] * len(entry.spans)
        for span, rows, seen in zip(entry.spans, entry.rows, prints, strict=True):
            start, end = _interval(span, fps)
            for row in rows:
                split = manifest.videos[row].split or ""
                clips.append(_Clip(row, split, place, content, start, end, seen))
    return clips


def _interval(span: Span, fps: float | None) -> tuple[float, float]:
    if span.in_frames:
        end = float("inf") if span.stop_frame is None else span.stop_frame / (fps or 1)
        return (span.first_frame or 0) / (fps or 1), end
    return span.start_seconds or 0.0, float("inf") if span.end_seconds is None else span.end_seconds


def _check_across(same: Sequence[_Clip], entries: Sequence[Entry]) -> Iterator[Finding]:
    """Spans of one content in two splits: each that overlaps one of another split, or one note if none does."""
    latest: dict[str, _Clip] = {}  # of each split the clip that ends last, of those that began before
    has_overlap = False
    for clip in sorted(same, key=lambda clip: (clip.start, clip.row)):
        partners = [other for split, other in latest.items() if split != clip.split and other.end > clip.start]
        if partners:
            has_overlap = True
            other = max(partners, key=lambda other: other.end)
            kind = "same_clip_in_two_splits" if clip.entry == other.entry else "same_content_in_two_splits"
            first, second = sorted((other, clip), key=lambda clip: clip.row)
            is_same = (clip.start, clip.end) == (other.start, other.end)
            said = "is" if is_same else "overlaps"
            yield found(
                kind, f"{_name(first, entries)} {said} {_name(second, entries)}", sorted((first.row, second.row))
            )
        last = latest.get(clip.split)
        if last is None or clip.end > last.end:
            latest[clip.split] = clip
    if not has_overlap:
        splits = " and ".join(sorted({clip.split or "no split" for clip in same}))
        rows = sorted(clip.row for clip in same)
        yield found("same_recording_in_two_splits", f"{entries[same[0].entry].name}: spans of it in {splits}", rows)


def _check_within(same: Sequence[_Clip], entries: Sequence[Entry], manifest: Manifest) -> Iterator[Finding]:
    """Several files of one content and span in one split."""
    groups: dict[tuple, list[_Clip]] = {}
    for clip in same:
        groups.setdefault((clip.split, clip.start, clip.end), []).append(clip)
    for group in groups.values():
        if len({clip.entry for clip in group}) < 2:
            continue
        rows = sorted(clip.row for clip in group)
        names = ", ".join(entries[place].name for place in sorted({clip.entry for clip in group})[:4])
        has_one_label = len({manifest.videos[row].labels for row in rows}) == 1
        kind = "same_content_twice" if has_one_label else "same_content_two_labels"
        yield found(kind, f"{len({clip.entry for clip in group})} files have the same content: {names}", rows)


def _check_alike(clips: Sequence[_Clip], entries: Sequence[Entry]) -> Iterator[Finding]:
    """For each clip the one of an earlier split that is most like it, if it is so like that it may be the same."""
    seen: dict[str, list[_Clip]] = {}
    for clip in clips:
        if clip.fingerprint is not None and clip.fingerprint.any():
            seen.setdefault(clip.split, []).append(clip)
    splits = sorted(seen, key=lambda split: (split != "train", split))
    for place, split in enumerate(splits):
        best: dict[int, tuple[float, _Clip]] = {}
        prints = _stack(seen[split])
        for earlier in splits[:place]:
            for mine, other, likeness in alike_pairs(prints, _stack(seen[earlier])):
                is_said = seen[split][mine].content == seen[earlier][other].content
                if not is_said and likeness > best.get(mine, (0.0, None))[0]:
                    best[mine] = likeness, seen[earlier][other]
        for mine, (likeness, other) in sorted(best.items()):
            clip = seen[split][mine]
            message = f"{_name(clip, entries)} looks like {_name(other, entries)} ({likeness:.2f} of 1)"
            yield found("near_duplicate_in_two_splits", message, (clip.row, other.row))


def _stack(clips: Sequence[_Clip]) -> np.ndarray:
    return np.stack([clip.fingerprint for clip in clips if clip.fingerprint is not None])


def _name(clip: _Clip, entries: Sequence[Entry]) -> str:
    entry = entries[clip.entry]
    span = next(span for span, rows in zip(entry.spans, entry.rows, strict=True) if clip.row in rows)
    said = "" if span == Span() else f" {span}"
    return f"{clip.split or 'no split'}: {entry.name}{said}"
