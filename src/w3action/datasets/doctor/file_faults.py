"""From what was read of each file to findings on it and on the spans of it."""

from collections.abc import Iterator, Sequence

from w3action.data.manifest import Manifest
from w3action.data.span import Span
from w3action.datasets.doctor.facts import Entry, FileFacts, Problem, SpanFacts
from w3action.datasets.doctor.findings import Finding, found
from w3action.workers import Lost

FEWEST_FRAMES, SHORTEST_SECONDS = 8, 0.3
SMALLEST_SIDE = 32  # pixels
UNEVEN_SHARE, LARGEST_GAP = 0.05, 4.0  # of the times between frames; of a time to the usual one
_BEYOND_FRAMES = 1.5  # a span in seconds may end so many frames behind the last one: times are rounded


def facts_of_lost(lost: Lost, *, limit_seconds: float) -> FileFacts:
    """What is known of a file whose reading never came back."""
    if lost.hung:
        return FileFacts(problems=(Problem("hangs", f"reading it took over {limit_seconds:g} s"),))
    return FileFacts(problems=(Problem("crashes", f"reading it ended the process (exit code {lost.exit_code})"),))


def check_file(entry: Entry, facts: FileFacts) -> Iterator[Finding]:
    """Findings on one file and its spans."""
    for kind, message in facts.problems:
        yield found(kind, f"{entry.name}: {message}", entry.all_rows)
    video = facts.video
    if video is None:
        return
    if video.rotation_degrees:
        yield found("rotated", f"{entry.name}: stored {video.rotation_degrees} degrees off upright", entry.all_rows)
    if min(video.width, video.height) < SMALLEST_SIDE:
        yield found("tiny_picture", f"{entry.name}: {video.width}x{video.height} pixels", entry.all_rows)
    if video.uneven_share > UNEVEN_SHARE or video.largest_gap >= LARGEST_GAP:
        yield found(
            "variable_frame_rate",
            f"{entry.name}: {100 * video.uneven_share:.0f} % of the times between frames are not the usual one, the "
            f"longest is {video.largest_gap:.1f} times it",
            entry.all_rows,
        )
    is_damaged = any(kind in ("damaged", "truncated") for kind, _ in facts.problems)
    for span, rows, held in zip(entry.spans, entry.rows, facts.spans, strict=True):
        if fault := span.fault():
            yield found("empty_span", f"{entry.name}: {'; '.join(fault)}", rows)
        elif not (is_damaged and held.beyond_end):  # the damage has been said
            yield from _check_span(entry, span, rows, held, fps=video.fps, num_frames=video.num_frames)


def _check_span(
    entry: Entry, span: Span, rows: Sequence[int], held: SpanFacts, *, fps: float | None, num_frames: int
) -> Iterator[Finding]:
    lasts = f"the video has {num_frames} frames" + (f", {num_frames / fps:.2f} s" if fps else "")
    if not held.num_frames:
        yield found("span_outside", f"{entry.name}: no frame in {span}; {lasts}", rows)
        return
    slack = _BEYOND_FRAMES / fps if span.in_seconds and fps else 0
    if held.beyond_end > slack:
        unit = "s" if span.in_seconds else "frames"
        message = f"{entry.name}: {span} ends {held.beyond_end:.4g} {unit} behind the video; {lasts}"
        yield found("span_beyond_end", message, rows)
    seconds = held.num_frames / fps if fps else None
    if held.num_frames < FEWEST_FRAMES or (seconds is not None and seconds < SHORTEST_SECONDS):
        of_span = "" if span == Span() else f" in {span}"
        length = "" if seconds is None else f", {seconds:.2f} s"
        yield found("very_short", f"{entry.name}: {held.num_frames} frames{length}{of_span}", rows)


def check_rows(entries: Sequence[Entry], manifest: Manifest) -> Iterator[Finding]:
    """Rows that mean the same span of the same file, in one split."""
    for entry in entries:
        for span, rows in zip(entry.spans, entry.rows, strict=True):
            by_split: dict[str | None, list[int]] = {}
            for row in rows:
                by_split.setdefault(manifest.videos[row].split, []).append(row)
            for same in by_split.values():
                if len(same) < 2:
                    continue
                labels = sorted({label for row in same for label in manifest.videos[row].labels})
                what = f"{entry.name}: {'' if span == Span() else f'{span} '}is in {len(same)} rows"
                if len(labels) > len(manifest.videos[same[0]].labels):
                    named = ", ".join(manifest.classes[i] if 0 <= i < len(manifest.classes) else str(i) for i in labels)
                    yield found("two_labels", f"{what}, as {named}", same)
                else:
                    yield found("same_row_twice", what, same)
