"""Reading one entry of the manifest, whatever it is: a video file, a folder of images, a member of a shard, or none.

What lies at the path is looked at before it is opened: opening a pipe would wait for ever.
"""

import hashlib
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from av.video.reformatter import VideoReformatter

from w3action.data.flow_images import FlowImages, find_flow_images
from w3action.data.frame_folder import decode_image, list_images
from w3action.data.shards import open_member
from w3action.data.source import DecodeError
from w3action.data.span import Span
from w3action.data.video import Video
from w3action.datasets.doctor.facts import Entry, FileFacts, Problem, SpanFacts, VideoFacts
from w3action.datasets.doctor.fingerprint import fingerprint, frames_of, look_at
from w3action.datasets.doctor.read_video import read_video

_PIECE = 1 << 20


def read_entry(entry: Entry, *, deep: bool) -> FileFacts:
    """Learn what there is to learn. Whatever the file does becomes a problem of the file."""
    try:
        problem = _look(entry)
        if problem is not None:
            return FileFacts(problems=(problem,))
        facts = _read(entry, deep=deep)
        return replace(facts, digest=_digest(entry)) if entry.is_hashed else facts
    except Exception as error:  # a file that breaks our reading must not end the check of all others
        return FileFacts(problems=(Problem("unreadable", f"cannot be read ({type(error).__name__}: {error})"),))


def _look(entry: Entry) -> Problem | None:
    """What is wrong at the path, without opening it."""
    try:
        status = os.stat(entry.path)
    except FileNotFoundError:
        if entry.byte_offset is not None:
            return None  # the shard may be fetched when it is opened
        return Problem("missing", "there is no such file")
    except PermissionError:
        return Problem("no_permission", "its folder may not be entered")
    except (OSError, ValueError) as error:
        return Problem("missing", f"cannot be looked at ({error})")
    if not stat.S_ISDIR(status.st_mode) and not stat.S_ISREG(status.st_mode):
        return Problem("not_a_file", "is a pipe, a socket or a device")
    if not os.access(entry.path, os.R_OK):
        return Problem("no_permission", "may not be read")
    if stat.S_ISREG(status.st_mode) and status.st_size == 0:
        return Problem("empty", "is empty (0 bytes)")
    return None


def _read(entry: Entry, *, deep: bool) -> FileFacts:
    if entry.byte_offset is not None and entry.num_bytes is not None:
        try:
            with open_member(entry.path, offset=entry.byte_offset, size=entry.num_bytes) as member:
                return read_video(member, entry.spans, deep=deep)
        except DecodeError as error:
            return FileFacts(problems=(Problem("truncated" if entry.path.exists() else "missing", error.reason),))
    if entry.path.is_dir():
        return _read_folder(entry.path, entry.spans, deep=deep)
    return read_video(str(entry.path), entry.spans, deep=deep)


def _read_folder(folder: Path, spans: Sequence[Span], *, deep: bool) -> FileFacts:
    """The same for a folder of images: the first is decoded, or all."""
    names = list_images(folder)
    if not names:
        flow = find_flow_images(Video(path=folder, label=0))
        if flow is not None:
            return _read_flow(flow, spans, deep=deep)
        return FileFacts(problems=(Problem("not_a_file", "is a folder without a .jpg or .png image"),))
    ranges = [range(len(names))[span.first_frame : span.stop_frame] for span in spans]
    wanted = {inside[place] for inside in ranges if inside for place in frames_of(len(inside))} if deep else set()
    reformatter, pictures, broken, size = VideoReformatter(), {}, [], None
    for number in range(len(names)) if deep else [0]:
        try:
            frame = decode_image(folder / names[number])
        except DecodeError as error:
            broken.append((names[number], error.reason))
            continue
        size = size or (frame.width, frame.height)
        if number in wanted:
            pictures[number] = look_at(frame, reformatter)
    problems = []
    if broken:
        name, reason = broken[0]
        problems.append(Problem("damaged", f"{len(broken)} of {len(names)} images cannot be read: {name}, {reason}"))
    if any(span.in_seconds for span in spans):
        problems.append(Problem("span_in_seconds", "is a folder of images, which knows no times"))
    codec = os.path.splitext(names[0])[1][1:].lower()
    return FileFacts(
        problems=tuple(problems),
        video=None if size is None else VideoFacts(len(names), None, *size, codec="jpeg" if codec == "jpg" else codec),
        spans=tuple(
            SpanFacts(
                num_frames=len(inside),
                beyond_end=float(max(0, (span.stop_frame or 0) - len(names))),
                fingerprint=_fingerprint([pictures.get(inside[place]) for place in frames_of(len(inside))])
                if inside
                else None,
            )
            for span, inside in zip(spans, ranges, strict=True)
        ),
    )


def _read_flow(flow: FlowImages, spans: Sequence[Span], *, deep: bool) -> FileFacts:
    """The same for the stored flow of a video of one frame more: the first flow is read, or all."""
    problems, size = [], None
    for number in range(len(flow)) if deep else [0]:
        try:
            size = flow.read(np.array([number]), short_side=None).shape[1:3]
        except DecodeError as error:
            problems.append(Problem("damaged", error.reason))
            break
    if any(span.in_seconds for span in spans):
        problems.append(Problem("span_in_seconds", "is a folder of flow images, which knows no times"))
    num_frames = len(flow) + 1
    held = [range(num_frames)[span.first_frame : span.stop_frame] for span in spans]
    return FileFacts(
        problems=tuple(problems),
        video=None if size is None else VideoFacts(num_frames, None, width=size[1], height=size[0], codec="flow"),
        spans=tuple(
            SpanFacts(num_frames=len(inside), beyond_end=float(max(0, (span.stop_frame or 0) - num_frames)))
            for span, inside in zip(spans, held, strict=True)
        ),
    )


def _fingerprint(pictures: list[np.ndarray | None]) -> np.ndarray | None:
    seen = [picture for picture in pictures if picture is not None]
    return fingerprint(np.stack(seen)) if len(seen) == len(pictures) else None


def _digest(entry: Entry) -> str:
    """A hash of the content, of all images of a folder in order."""
    digest = hashlib.blake2b(digest_size=16)
    if entry.byte_offset is not None and entry.num_bytes is not None:
        with open_member(entry.path, offset=entry.byte_offset, size=entry.num_bytes) as member:
            digest.update(member.read())
    else:
        for path in _files_of(entry.path):
            with path.open("rb") as file:
                while piece := file.read(_PIECE):
                    digest.update(piece)
    return digest.hexdigest()


def _files_of(path: Path) -> Iterable[Path]:
    if not path.is_dir():
        return [path]
    names = list_images(path)
    flow = None if names else find_flow_images(Video(path=path, label=0))
    return (path / name for name in names) if flow is None else (*flow.x, *flow.y)
