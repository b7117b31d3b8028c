"""What the doctor can find: each kind of finding with how grave it is and what to do about it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

SEVERITIES = ("error", "warning", "note")  # training fails or its figures lie; they suffer; good to know


class Kind(NamedTuple):
    """How grave a kind of finding is, and what to do."""

    severity: str
    remedy: str


KINDS = {
    # Files
    "missing": Kind("error", "check the paths and the folder that they are relative to"),
    "not_a_file": Kind("error", "give the path of a video file, or of a folder of .jpg or .png images"),
    "no_permission": Kind("error", "let yourself read it: chmod u+r"),
    "empty": Kind("error", "fetch or record it again"),
    "unreadable": Kind("error", "it is cut off, damaged or no video: fetch it again"),
    "no_video_stream": Kind("error", "it holds sound or a still picture alone: give the video, or drop the row"),
    "truncated": Kind("error", "fetch it again: its end is missing"),
    "damaged": Kind("error", "fetch or convert it again, or drop the row"),
    "hangs": Kind("error", "reading it was given up: convert it, or drop the row"),
    "crashes": Kind("error", "reading it brought a process down: convert it, or drop the row"),
    "concealed_damage": Kind("warning", "the decoder painted over lost data: look at it, fetch it again"),
    "variable_frame_rate": Kind(
        "warning", "frames are picked by number, so unevenly in time: convert with ffmpeg -fps_mode cfr"
    ),
    "very_short": Kind("warning", "frames will be repeated to fill a clip: drop the rows or lengthen their spans"),
    "tiny_picture": Kind("warning", "there is nothing to see: check how it was made"),
    "rotated": Kind("note", "nothing: w3action turns it upright; other tools may not"),
    # Spans
    "empty_span": Kind("error", "its end must lie behind its start, and its start at 0 or later"),
    "span_in_seconds": Kind("error", "give its span as start_frame, end_frame"),
    "span_outside": Kind("error", "correct the span, its units or its file"),
    "span_beyond_end": Kind("warning", "correct its end: what lies beyond the video is not there"),
    "same_row_twice": Kind("warning", "keep one of the rows: the clip counts twice"),
    "two_labels": Kind("error", "keep the right label: one clip cannot teach two"),
    # Labels
    "label_out_of_range": Kind("error", "add the class's name, or correct the label"),
    "labels_not_listed": Kind("error", "list every label in classes.txt; until then the file is not used"),
    "unnamed_classes": Kind("note", "put classes.txt beside the manifest: one name a line, in the order of the ids"),
    "class_ids_skip": Kind("warning", "ids that no row has get no class: put a classes.txt beside the manifest"),
    "class_without_clips": Kind("warning", "add clips, or take the name out of the classes"),
    "class_not_trained": Kind("error", "a class that training never shows cannot be recognised: split again"),
    "class_not_tested": Kind("warning", "nothing says how well these are recognised: split again"),
    "few_clips": Kind("warning", "add clips, or merge classes"),
    "imbalance": Kind("warning", "judge by the mean over classes; consider more clips of the rare classes"),
    "one_class": Kind("error", "there is nothing to tell apart: give clips of at least two classes"),
    "one_class_dominates": Kind("warning", "always answering it scores that much: judge by the mean over classes"),
    # The same thing twice
    "same_clip_in_two_splits": Kind("error", "keep it in one split: a test on what was trained on says nothing"),
    "same_content_in_two_splits": Kind("error", "keep it in one split: a test on what was trained on says nothing"),
    "near_duplicate_in_two_splits": Kind("warning", "look at both; if they are one recording, keep it in one split"),
    "same_recording_in_two_splits": Kind("note", "split by recording where the test should be of unseen ones"),
    "same_content_twice": Kind("warning", "keep one of the files: the clip counts twice"),
    "same_content_two_labels": Kind("error", "keep the right label: one clip cannot teach two"),
}


@dataclass(frozen=True)
class Finding:
    """One thing found.

    Attributes:
        severity: one of `SEVERITIES`.
        kind: a key of `KINDS`.
        rows: places among the manifest's videos, from 0; empty where it concerns classes.
        message: one line that names the file or class and what is wrong.
        remedy: what to do about it.
    """

    severity: str
    kind: str
    rows: tuple[int, ...]
    message: str
    remedy: str


def found(kind: str, message: str, rows: Iterable[int] = ()) -> Finding:
    """Make a finding of a known kind; the message becomes one line."""
    severity, remedy = KINDS[kind]
    return Finding(severity, kind, tuple(rows), " ".join(message.split()), remedy)


def gravest_first(findings: Iterable[Finding]) -> list[Finding]:
    """Sort errors before warnings before notes; within these in the order of `KINDS`, then of rows."""
    order = {kind: place for place, kind in enumerate(KINDS)}
    return sorted(findings, key=lambda each: (SEVERITIES.index(each.severity), order[each.kind], each.rows))


def count_severities(findings: Iterable[Finding]) -> dict[str, int]:
    """Count the findings of each severity, zero included."""
    counts = Counter(each.severity for each in findings)
    return {severity: counts[severity] for severity in SEVERITIES}
