"""Videos inside of uncompressed tar shards, read in place: a member is a byte range of the shard.

`open_member(path, offset=, size=)` gives a seekable file object on such a range. Nothing is unpacked, and no tar
header is read: an index (`index.parquet`, which `read_manifest` reads as any manifest) says where members lie, so
that a map-style data set picks from shards as it picks from files. A shard that is missing from the local copy of a
remote set is fetched first (`mirror.py`).

A shard has one descriptor in a process, and spawned workers open their own. Forked workers share it with their parent:
they cannot disturb each other because reads are `os.pread`, which needs no position. Windows has neither fork nor
`pread`; there threads take turns.
"""

import io
import os
import stat
import threading
from functools import lru_cache
from pathlib import Path

from w3action.data.mirror import fetch_missing
from w3action.data.source import DecodeError

MAX_OPEN_SHARDS = 32  # in one process; a member that is still being read keeps its shard open beyond that


def open_member(path: str | os.PathLike[str], *, offset: int, size: int) -> "Member":
    """Open `size` bytes from `offset` on of a file, read-only; `name` of what is returned tells both.

    Raises:
        DecodeError: no such shard, or the range does not lie within it.
        FetchError: the shard had to be fetched and could not be.
    """
    path = Path(path)
    if offset < 0 or size < 1:
        raise DecodeError(path, f"{size} bytes from {offset} on are no member", "index the shards again")
    status = _status(path)
    if offset + size > status.st_size:
        raise DecodeError(
            path,
            f"the member of {size} bytes from {offset} on lies beyond the shard's end, {status.st_size}: the shard is "
            "cut off or the index is not its own",
            "fetch it or index the shards again",
        )
    shard = _open_shard(path, status.st_dev, status.st_ino, status.st_mtime_ns)
    return Member(shard, offset=offset, size=size, name=f"{path}@{offset}")


class _Shard:
    """An open file, closed when neither a member nor the cache of `_open_shard` knows it any more."""

    def __init__(self, path: Path):
        self.file = path.open("rb", buffering=0)
        self.turn = threading.Lock()

    def __del__(self):
        if hasattr(self, "file"):
            self.file.close()

    def read(self, size: int, offset: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self.file.fileno(), size, offset)
        with self.turn:
            self.file.seek(offset)
            return self.file.read(size)


class Member(io.RawIOBase):
    """A window of a shard: a read-only binary file with a position of its own."""

    def __init__(self, shard: _Shard, *, offset: int, size: int, name: str):
        self.name = name
        self._shard, self._offset, self._size, self._position = shard, offset, size, 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Read at most `size` bytes, all that are left if it is negative; none at the end."""
        left = max(0, self._size - self._position)
        wanted = left if size is None or size < 0 else min(size, left)
        data = self._shard.read(wanted, self._offset + self._position)
        self._position += len(data)
        return data

    def readinto(self, buffer, /) -> int:
        """Fill a buffer from its start, as far as the bytes go; how many those were."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to an offset from the start, the current place or the end; beyond the end nothing is read."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"{self.name}: cannot seek to {base + offset}; positions count from 0")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """Return the current place, from the start of the member."""
        return self._position

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes."""
        return True


@lru_cache(maxsize=MAX_OPEN_SHARDS)
def _open_shard(path: Path, _device: int, _inode: int, _changed_at: int) -> _Shard:
    """Open a shard, or take the open one; one that is written anew has another inode or time."""
    return _Shard(path)


def _status(path: Path) -> os.stat_result:
    try:
        status = path.stat()
    except FileNotFoundError:
        if not fetch_missing(path):
            raise DecodeError(path, "no such shard", "check the path and the index's folder") from None
        status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise DecodeError(path, "this is no file but a folder or a device", "give an uncompressed tar shard")
    return status
