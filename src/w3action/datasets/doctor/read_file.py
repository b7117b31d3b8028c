"""Read one file of a manifest, whatever it is: a video file, a folder of images, a member of a shard, or none.

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
from w3action.data.video import Span, Video
from w3action.datasets.doctor.facts import FileFacts, ListedFile, Problem, VideoFacts
from w3action.datasets.doctor.fingerprint import look_at
from w3action.datasets.doctor.read_video import facts_of_span, frames_to_look_at, read_video


def read_file(file: ListedFile, *, deep: bool) -> FileFacts:
    """Learn what there is to learn. Whatever the file does becomes a problem of the file."""
    try:
        problem = _look(file)
        if problem is not None:
            return FileFacts(problems=(problem,))
        facts = _read(file, deep=deep)
        return replace(facts, digest=_digest(file)) if file.is_hashed else facts
    except Exception as error:  # a file that breaks our reading must not end the check of all others
        return FileFacts(problems=(Problem("unreadable", f"cannot be read ({type(error).__name__}: {error})"),))


def _look(file: ListedFile) -> Problem | None:
    """Return what is wrong at the path, without opening it."""
    try:
        status = os.stat(file.path)
    except FileNotFoundError:
        if file.byte_offset is not None:
            return None  # the shard may be fetched when it is opened
        return Problem("missing", "there is no such file")
    except PermissionError:
        return Problem("no_permission", "its folder may not be entered")
    except (OSError, ValueError) as error:
        return Problem("missing", f"cannot be looked at ({error})")
    if not stat.S_ISDIR(status.st_mode) and not stat.S_ISREG(status.st_mode):
        return Problem("not_a_file", "is a pipe, a socket or a device")
    if not os.access(file.path, os.R_OK):
        return Problem("no_permission", "may not be read")
    if stat.S_ISREG(status.st_mode) and status.st_size == 0:
        return Problem("empty", "is empty (0 bytes)")
    return None


def _read(file: ListedFile, *, deep: bool) -> FileFacts:
    if file.byte_offset is not None and file.num_bytes is not None:
        try:
            with open_member(file.path, offset=file.byte_offset, size=file.num_bytes) as member:
                return read_video(member, list(file.rows), deep=deep)
        except DecodeError as error:
            return FileFacts(problems=(Problem("truncated" if file.path.exists() else "missing", error.reason),))
    if file.path.is_dir():
        return _read_folder(file.path, list(file.rows), deep=deep)
    return read_video(str(file.path), list(file.rows), deep=deep)


def _read_folder(folder: Path, spans: Sequence[Span], *, deep: bool) -> FileFacts:
    """Read the first image of a folder, or all: frames, or the stored flow of a video of one frame more."""
    names = list_images(folder)
    flow = None if names else find_flow_images(Video(path=folder, label=0))
    if not names and flow is None:
        return FileFacts(problems=(Problem("not_a_file", "is a folder without a .jpg or .png image"),))
    places = np.arange(float(len(names) if flow is None else len(flow) + 1))  # in place of times
    in_frames = [Span(first_frame=span.first_frame, num_frames=span.num_frames) for span in spans]
    pictures: dict[int, np.ndarray | None] = {}
    if flow is None:
        if deep:
            pictures = dict.fromkeys(number for span in in_frames for number in frames_to_look_at(span, places))
        damage, video = _read_images(folder, names, pictures, deep=deep)
    else:
        damage, video = _read_flow(flow, deep=deep)
    problems = [] if damage is None else [Problem("damaged", damage)]
    if any(span.in_seconds for span in spans):
        what = "images" if flow is None else "flow images"
        problems.append(Problem("span_in_seconds", f"is a folder of {what}, which knows no times"))
    seen = {number: picture for number, picture in pictures.items() if picture is not None}
    facts = (facts_of_span(span, places, seen, near=[0]) for span in in_frames)
    return FileFacts(tuple(problems), video, tuple(facts))


def _read_images(
    folder: Path, names: Sequence[str], pictures: dict[int, np.ndarray | None], *, deep: bool
) -> tuple[str | None, VideoFacts | None]:
    """Return what is wrong with the images and how they are shown; fill in the pictures asked for."""
    reformatter, broken, size = VideoReformatter(), [], None
    for number in range(len(names) if deep else 1):
        try:
            frame = decode_image(folder / names[number])
        except DecodeError as error:
            broken.append(f"{names[number]}, {error.reason}")
            continue
        size = size or (frame.width, frame.height)
        if number in pictures:
            pictures[number] = look_at(frame, reformatter)
    damage = f"{len(broken)} of {len(names)} images cannot be read: {broken[0]}" if broken else None
    codec = os.path.splitext(names[0])[1][1:].lower().replace("jpg", "jpeg")
    return damage, None if size is None else VideoFacts(len(names), None, *size, codec=codec)


def _read_flow(flow: FlowImages, *, deep: bool) -> tuple[str | None, VideoFacts | None]:
    """Return what is wrong with the images of a flow, and how they are shown."""
    video = None
    for number in range(len(flow) if deep else 1):
        try:
            height, width = flow.read(np.array([number]))[0].shape[1:3]
        except DecodeError as error:
            return error.reason, video
        video = VideoFacts(len(flow) + 1, None, width=width, height=height, codec="flow")
    return None, video


def _digest(file: ListedFile) -> str:
    """Hash the content, of a folder that of all its images in order."""
    digest = hashlib.blake2b(digest_size=16)
    if file.byte_offset is not None and file.num_bytes is not None:
        with open_member(file.path, offset=file.byte_offset, size=file.num_bytes) as member:
            digest.update(member.read())
    else:
        for path in _files_of(file.path):
            with path.open("rb") as content:
                hashlib.file_digest(content, lambda: digest)  # reads on where the last file ended
    return digest.hexdigest()


def _files_of(path: Path) -> Iterable[Path]:
    if not path.is_dir():
        return [path]
    names = list_images(path)
    flow = None if names else find_flow_images(Video(path=path, label=0))
    return (path / name for name in names) if flow is None else (*flow.x, *flow.y)
