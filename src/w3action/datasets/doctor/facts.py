"""What the doctor knows of a file: which rows of the manifest lie in it, and what reading it told.

A file of many spans is opened once. Files of equal size are to be hashed; others cannot have the same content. All of
it is plain enough to be sent to and from a worker process.
"""

import os
import stat
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from w3action.data.video import Span, Video


@dataclass(frozen=True, eq=False)
class ListedFile:
    """One file, folder of images or member of a shard, with the rows that lie in it.

    Attributes:
        path: where it lies.
        byte_offset: where it begins inside `path`, when that is a shard.
        num_bytes: its length inside a shard.
        rows: the places in the manifest of the rows of each distinct span.
        identity: device, inode and offset; None where it cannot be seen.
        is_hashed: whether another file has the same size, so that the content must be compared.
    """

    path: Path
    byte_offset: int | None
    num_bytes: int | None
    rows: Mapping[Span, Sequence[int]]
    identity: tuple[int, int, int] | None = None
    is_hashed: bool = False

    @property
    def all_rows(self) -> tuple[int, ...]:
        """Every row that lies in the file, in order."""
        return tuple(sorted(row for rows in self.rows.values() for row in rows))

    @property
    def name(self) -> str:
        """What messages call it."""
        return str(self.path) if self.byte_offset is None else f"{self.path} at byte {self.byte_offset}"


def group_by_file(videos: Sequence[Video]) -> list[ListedFile]:
    """Gather the rows of each file, in the order of their first rows."""
    groups: dict[tuple, dict[Span, list[int]]] = {}
    for row, video in enumerate(videos):
        key = (os.path.abspath(video.path), video.byte_offset, video.num_bytes)
        groups.setdefault(key, {}).setdefault(video.span, []).append(row)
    seen = {key: _identify(*key) for key in groups}
    num_of_size = Counter(size for identity, size in set(seen.values()) if identity is not None)
    files = []
    for key, rows in groups.items():
        first, (identity, size) = videos[next(iter(rows.values()))[0]], seen[key]
        is_hashed = identity is not None and num_of_size[size] > 1
        files.append(ListedFile(first.path, first.byte_offset, first.num_bytes, rows, identity, is_hashed))
    return files


def _identify(path: str, offset: int | None, num_bytes: int | None) -> tuple[tuple[int, int, int] | None, int]:
    """Return (device, inode and offset; size in bytes), or (None, 0) of no file; a folder's size is its images'."""
    try:
        status = os.stat(path)
        size = status.st_size
        if stat.S_ISDIR(status.st_mode):
            size = sum(item.stat().st_size for item in os.scandir(path) if item.is_file())
        elif not stat.S_ISREG(status.st_mode):
            return None, 0
    except (OSError, ValueError):  # the latter: a zero byte in the path
        return None, 0
    return (status.st_dev, status.st_ino, offset or 0), size if num_bytes is None else num_bytes


class Problem(NamedTuple):
    """Something wrong with a file: a kind of `findings.KINDS` and one line that names no file."""

    kind: str
    message: str


@dataclass(frozen=True)
class VideoFacts:
    """How a video is stored and shown.

    Attributes:
        num_frames: frames that are shown; counted, not what the header says.
        fps: on average; None of a folder of images.
        width, height: pixels as displayed, after rotation.
        codec: its name.
        rotation_degrees: counterclockwise, of the stored picture to the displayed one.
        uneven_share: share of the times between frames that differ by over a quarter from the usual one.
        largest_gap: longest time between two frames, as a multiple of the usual one.
    """

    num_frames: int
    fps: float | None
    width: int
    height: int
    codec: str
    rotation_degrees: int = 0
    uneven_share: float = 0.0
    largest_gap: float = 1.0

    @property
    def seconds(self) -> float | None:
        """How long it lasts."""
        return None if not self.fps else self.num_frames / self.fps


@dataclass(frozen=True)
class SpanFacts:
    """What a span holds of its video.

    Attributes:
        num_frames: frames in it.
        beyond_end: how far it reaches past the video's end, in its own unit; 0 if nothing.
        fingerprint: see `fingerprint.py`; None where frames were not decoded.
    """

    num_frames: int
    beyond_end: float = 0.0
    fingerprint: np.ndarray | None = None


@dataclass(frozen=True)
class FileFacts:
    """All that was learnt of a file: `video` and `spans` are missing where a problem hid them."""

    problems: tuple[Problem, ...] = ()
    video: VideoFacts | None = None
    spans: tuple[SpanFacts, ...] = ()
    digest: str | None = None  # of the content, where it was asked for
