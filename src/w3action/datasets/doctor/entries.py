"""The manifest's rows, grouped by the file that they lie in: a file of many spans is opened once.

Files whose sizes are equal are to be hashed, others cannot have the same content.
"""

import os
import stat
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from w3action.data.video import Span, Video


@dataclass(frozen=True)
class Entry:
    """One file, folder of images or member of a shard, with the rows that lie in it.

    Attributes:
        path: where it lies.
        byte_offset: where it begins inside `path`, when that is a shard.
        num_bytes: its length inside a shard.
        spans: the distinct spans.
        rows: for each span the places of its rows in the manifest.
        identity: device, inode and offset; None where it cannot be seen.
        is_hashed: whether another file has the same size, so that the content must be compared.
    """

    path: Path
    byte_offset: int | None
    num_bytes: int | None
    spans: tuple[Span, ...]
    rows: tuple[tuple[int, ...], ...]
    identity: tuple[int, int, int] | None = None
    is_hashed: bool = False

    @property
    def all_rows(self) -> tuple[int, ...]:
        """Every row that lies in the file, in order."""
        return tuple(sorted(row for rows in self.rows for row in rows))

    @property
    def name(self) -> str:
        """What messages call it."""
        return str(self.path) if self.byte_offset is None else f"{self.path} at byte {self.byte_offset}"


def group_by_file(videos: tuple[Video, ...]) -> list[Entry]:
    """One entry a file, in the order of their first rows."""
    groups: dict[tuple, dict[Span, list[int]]] = {}
    for row, video in enumerate(videos):
        key = (os.path.abspath(video.path), video.byte_offset, video.num_bytes)
        groups.setdefault(key, {}).setdefault(video.span, []).append(row)
    seen = [_identify(*key) for key in groups]
    files = {(identity, size) for identity, size in seen if identity is not None}
    num_of_size = Counter(size for _, size in files)
    return [
        Entry(
            path=videos[next(iter(spans.values()))[0]].path,
            byte_offset=offset,
            num_bytes=num_bytes,
            spans=tuple(spans),
            rows=tuple(map(tuple, spans.values())),
            identity=identity,
            is_hashed=identity is not None and num_of_size[size] > 1,
        )
        for ((_, offset, num_bytes), spans), (identity, size) in zip(groups.items(), seen, strict=True)
    ]


def _identify(path: str, offset: int | None, num_bytes: int | None) -> tuple[tuple[int, int, int] | None, int]:
    """(device, inode and offset; size in bytes), or (None, 0) of what is no file; a folder's size is its images'."""
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
