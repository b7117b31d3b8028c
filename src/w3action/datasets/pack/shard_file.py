"""One shard on disk: an uncompressed tar, written under another name until it is whole, and the record of it.

The tar is plain ustar with times and owners of zero, so equal samples make equal bytes. A record `parts/NAME.json`
says that a shard is finished: its size, its SHA-256, where its samples lie, and which rows could not be packed.
"""

import hashlib
import io
import json
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from w3action.data.source import BinaryFile
from w3action.files import write_text


class ShardWriter:
    """Write members to `path`, which appears when `finish` has read it back."""

    def __init__(self, path: Path):
        self.path, self._part, self._digest = path, path.with_name(f"{path.name}.part"), hashlib.sha256()
        self._file = self._part.open("wb")
        self._tar = tarfile.TarFile(fileobj=cast(Any, self), mode="w", format=tarfile.USTAR_FORMAT)

    def write(self, data: bytes) -> int:
        """Write and hash, for the tar."""
        self._digest.update(data)
        return self._file.write(data)

    def tell(self) -> int:
        """Return the number of bytes written, for the tar."""
        return self._file.tell()

    def add(self, name: str, data: bytes | BinaryFile, *, num_bytes: int) -> int:
        """Append a member of exactly `num_bytes`; return where its bytes begin.

        Raises:
            OSError: the disk is full, or `data` ends early.
        """
        header = tarfile.TarInfo(name)
        header.size = num_bytes
        offset = self.tell() + tarfile.BLOCKSIZE
        self._tar.addfile(header, io.BytesIO(data) if isinstance(data, bytes) else cast(Any, data))
        return offset

    def finish(self) -> tuple[int, str]:
        """Close, read back, rename; return (size in bytes, SHA-256).

        Raises:
            OSError: what the disk gives back is not what was written.
        """
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        num_bytes = self._file.tell()
        self._file.close()
        sha256 = hash_file(self._part)
        if sha256 != self._digest.hexdigest():
            raise OSError(f"{self._part}: reads back other bytes than were written; check the disk")
        os.replace(self._part, self.path)
        return num_bytes, sha256

    def abandon(self) -> None:
        """Close and delete what was written."""
        self._file.close()
        self._part.unlink(missing_ok=True)


@dataclass(frozen=True)
class PackedSample:
    """Where a row of the manifest lies in a shard, and what lies there."""

    row: int
    key: str
    member: str
    byte_offset: int
    num_bytes: int
    total_frames: int
    fps: float
    width: int
    height: int


@dataclass(frozen=True)
class FailedRow:
    """A row of the manifest (from 0) that is not packed, and why."""

    row: int
    kind: str
    reason: str


@dataclass(frozen=True)
class FinishedShard:
    """Everything known of a finished shard; without samples there is no file."""

    name: str
    num_bytes: int
    sha256: str
    samples: tuple[PackedSample, ...]
    failed: tuple[FailedRow, ...]


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_record(path: Path, shard: FinishedShard) -> None:
    """Write a shard's record; it appears whole or not at all."""
    write_text(path, json.dumps(shard, default=vars, indent=1))


def read_record(path: Path, *, folder: Path) -> FinishedShard | None:
    """Read a shard's record; None if there is none, or the shard beside it is not there as recorded (by size)."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    samples = tuple(PackedSample(**sample) for sample in found.pop("samples"))
    shard = FinishedShard(**found | {"samples": samples, "failed": tuple(FailedRow(**row) for row in found["failed"])})
    file = folder / shard.name
    if shard.samples and not (file.is_file() and file.stat().st_size == shard.num_bytes):
        return None
    return shard
