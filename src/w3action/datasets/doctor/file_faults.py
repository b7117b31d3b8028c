"""Faults of files, of the spans in them and of rows that are there twice: from what was read to findings."""

from collections.abc import Iterable, Iterator, Sequence

from w3action.data.manifest import Manifest
from w3action.data.video import Span
from w3action.datasets.doctor.facts import FileFacts, ListedFile, Problem, SpanFacts, VideoFacts
from w3action.datasets.doctor.findings import Finding, found
from w3action.workers import Lost

FEWEST_FRAMES, SHORTEST_SECONDS = 8, 0.3
SMALLEST_SIDE = 32  # pixels
UNEVEN_SHARE, LARGEST_GAP = 0.05, 4.0  # of the times between frames; of a time to the usual one
_BEYOND_FRAMES = 1.5  # a span in seconds may end so many frames past the last one: times are rounded


def facts_of_lost(lost: Lost, *, limit_seconds: float) -> FileFacts:
    """Return what is known of a file whose reading never came back."""
    if lost.hung:
        return FileFacts(problems=(Problem("hangs", f"reading it took over {limit_seconds:g} s"),))
    return FileFacts(problems=(Problem("crashes", f"reading it ended the process (exit code {lost.exit_code})"),))


def check_file(file: ListedFile, facts: FileFacts) -> Iterator[Finding]:
    """Find the faults of one file and of its spans."""
    for kind, message in (*facts.problems, *(_faults_of_video(facts.video) if facts.video else ())):
        yield found(kind, f"{file.name}: {message}", file.all_rows)
    if facts.video is None:
        return
    is_damaged = any(kind in ("damaged", "truncated") for kind, _ in facts.problems)
    for (span, rows), held in zip(file.rows.items(), facts.spans, strict=True):
        if is_damaged and held.beyond_end:
            continue  # the damage has been said
        for kind, message in _faults_of_span(span, held, facts.video):
            yield found(kind, f"{file.name}: {message}", rows)


def _faults_of_video(video: VideoFacts) -> Iterator[Problem]:
    if video.rotation_degrees:
        yield Problem("rotated", f"stored {video.rotation_degrees} degrees off upright")
    if min(video.width, video.height) < SMALLEST_SIDE:
        yield Problem("tiny_picture", f"{video.width}x{video.height} pixels")
    if video.uneven_share > UNEVEN_SHARE or video.largest_gap >= LARGEST_GAP:
        share, gap = f"{100 * video.uneven_share:.0f} %", f"{video.largest_gap:.1f} times it"
        said = f"{share} of the times between frames are not the usual one, the longest is {gap}"
        yield Problem("variable_frame_rate", said)


def _faults_of_span(span: Span, held: SpanFacts, video: VideoFacts) -> Iterator[Problem]:
    if fault := span.fault():
        yield Problem("empty_span", "; ".join(fault))
        return
    fps = video.fps
    lasts = f"the video has {video.num_frames} frames" + (f", {video.num_frames / fps:.2f} s" if fps else "")
    if not held.num_frames:
        yield Problem("span_outside", f"no frame in {span}; {lasts}")
        return
    if held.beyond_end > (_BEYOND_FRAMES / fps if span.in_seconds and fps else 0):
        unit = "s" if span.in_seconds else "frames"
        yield Problem("span_beyond_end", f"{span} ends {held.beyond_end:.4g} {unit} behind the video; {lasts}")
    seconds = held.num_frames / fps if fps else None
    if held.num_frames < FEWEST_FRAMES or (seconds is not None and seconds < SHORTEST_SECONDS):
        length = "" if seconds is None else f", {seconds:.2f} s"
        yield Problem("very_short", f"{held.num_frames} frames{length}{'' if span == Span() else f' in {span}'}")


def check_rows(files: Iterable[ListedFile], manifest: Manifest) -> Iterator[Finding]:
    """Find rows that mean the same span of the same file, in one split."""
    for file in files:
        for span, rows in file.rows.items():
            by_split: dict[str | None, list[int]] = {}
            for row in rows:
                by_split.setdefault(manifest.videos[row].split, []).append(row)
            for same in by_split.values():
                if len(same) > 1:
                    what = f"{file.name}: {'' if span == Span() else f'{span} '}is in {len(same)} rows"
                    yield _row_twice(same, what, manifest)


def _row_twice(rows: Sequence[int], what: str, manifest: Manifest) -> Finding:
    classes, videos = manifest.classes, [manifest.videos[row] for row in rows]
    labels = sorted({label for video in videos for label in video.labels})
    if len(labels) == len(videos[0].labels):
        return found("same_row_twice", what, rows)
    named = ", ".join(classes[label] if 0 <= label < len(classes) else str(label) for label in labels)
    return found("two_labels", f"{what}, as {named}", rows)
