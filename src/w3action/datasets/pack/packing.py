"""Pack a manifest: `pack_manifest` makes shards and their index, in parallel, and goes on where it was stopped.

DIR/SPLIT-00000.tar ...       the shards, WebDataset: KEY.mp4 and KEY.json of every sample
DIR/index.parquet             a manifest of all videos packed; written last
DIR/classes.txt, failed.csv   class names; the rows that could not be packed, and why
DIR/pack.json, parts/*.json   which set this is; the record of every finished shard

Workers encode videos, this process writes shards in the order of the plan. Stopped at any moment, by any signal, the
same call does the unfinished shards again and no other.
"""

import io
import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from w3action.data.manifest import Manifest, read_manifest
from w3action.data.video import Span, relative_name
from w3action.datasets.pack.options import FORMAT, PackOptions, PlannedShard, check_same, fingerprint, plan_shards
from w3action.datasets.pack.pack_video import Failure, Packed, pack_video
from w3action.datasets.pack.packed_index import INDEX_FILE, write_index
from w3action.datasets.pack.shard_file import (
    FailedRow,
    FinishedShard,
    PackedSample,
    ShardWriter,
    read_record,
    write_record,
)
from w3action.files import write_text
from w3action.workers import Lost, num_cores, run_jobs

ORPHANS_SECONDS = 3  # workers of a killed packing may hold its lock until they notice, within a second
NUM_ESTIMATED = 8  # videos packed ahead to learn how many fit into a shard


@dataclass(frozen=True)
class PackReport:
    """What a packed set holds.

    Attributes:
        index: the manifest of it.
        num_packed: videos in the shards.
        num_failed: rows listed in `failed.csv`.
        num_shards: tar files.
        num_bytes: of all shards together.
    """

    index: Path
    num_packed: int
    num_failed: int
    num_shards: int
    num_bytes: int


def pack_manifest(
    source: Path | str,
    out: Path,
    *,
    options: PackOptions | None = None,
    label_column: str = "label",
    num_workers: int | None = None,
    on_video: Callable[[], None] = lambda: None,
) -> PackReport:
    """Pack all videos of a manifest, or finish a packing that was stopped.

    Args:
        source: what `read_manifest` reads; a column fps there is the rate of folders of images.
        out: the packed set's folder, made if need be.
        options: how to pack; `PackOptions()` by default.
        label_column: the column of the manifest that holds the labels.
        num_workers: processes; None means one for each core. 1 works in this process, which a file that crashes FFmpeg
            then ends; more outlive it.
        on_video: called in this process after every row of the manifest, packed now or before or failed.

    Returns:
        What was packed. A video that cannot be packed is listed in `failed.csv` and left out.

    Raises:
        ManifestError: the manifest cannot be read.
        ValueError: `out` holds another set, or this one with other options; `copy` with a row that is no whole file;
            not one video could be packed.
        BlockingIOError: another process is packing to `out`.
        OSError: the disk is full or fails.
    """
    options = options or PackOptions()
    num_workers = num_cores() if num_workers is None else num_workers
    if num_workers < 1:
        raise ValueError(f"num_workers is {num_workers} but must be at least 1: 1 works in this process")
    manifest = read_manifest(source, label_column=label_column)
    if options.copy:
        _check_whole_files(manifest)
    out = Path(out)
    (out / "parts").mkdir(parents=True, exist_ok=True)
    with _held(out):
        finished = _Packing(manifest, manifest.label_names(), out, options, num_workers, on_video).pack_shards()
        num_packed = sum(len(shard.samples) for shard in finished)
        if num_packed == 0:
            reason = finished[0].failed[0].reason
            raise ValueError(f"{manifest.source}: not one of {len(manifest)} videos could be packed; first: {reason}")
        return PackReport(
            index=write_index(out, manifest, finished),
            num_packed=num_packed,
            num_failed=sum(len(shard.failed) for shard in finished),
            num_shards=sum(bool(shard.samples) for shard in finished),
            num_bytes=sum(shard.num_bytes for shard in finished),
        )


@dataclass(frozen=True)
class _Packing:
    """What to pack, whereto and how."""

    manifest: Manifest
    labels: Mapping[str, Sequence[str]]  # of every row, by column
    out: Path
    options: PackOptions
    num_workers: int
    on_video: Callable[[], None]

    def pack_shards(self) -> list[FinishedShard]:
        """Write every shard that is not finished yet."""
        shards = self._plan()
        record_of = {shard: self.out / "parts" / f"{shard.name}.json" for shard in shards}
        known = {shard: read_record(record, folder=self.out) for shard, record in record_of.items()}
        results = self._pack([row for shard in shards if not known[shard] for row in shard.rows])
        finished = []
        with closing(results):  # ends the workers
            for planned in shards:
                shard = known[planned]
                if shard is None:
                    shard = self._write_shard(planned, results)
                    write_record(record_of[planned], shard)
                else:
                    for _ in planned.rows:
                        self.on_video()
                finished.append(shard)
        return finished

    def _plan(self) -> tuple[PlannedShard, ...]:
        record = self.out / "pack.json"
        options = self.options.known()
        wanted: dict[str, Any] = {"format": FORMAT, "manifest": fingerprint(self.manifest), "options": options}
        found = check_same(record, wanted)
        if found is None:
            if any(self.out.glob("*.tar")) or (self.out / INDEX_FILE).exists():
                reason = "holds shards that are not of this packing (no pack.json); give another folder"
                raise ValueError(f"{self.out}: {reason}")
            found = {**wanted, "samples_per_shard": self._samples_per_shard()}
            write_text(record, json.dumps(found, indent=1) + "\n")
        splits = [video.split for video in self.manifest.videos]
        return plan_shards(splits, samples_per_shard=found["samples_per_shard"])

    def _samples_per_shard(self) -> int:
        """Learn how many samples make `shard_mb`, by the mean of some spread over the manifest."""
        rows = np.unique(np.linspace(0, len(self.manifest) - 1, NUM_ESTIMATED).astype(int)).tolist()
        packed = self._pack(rows)
        sizes = [video.num_bytes + 2048 for video in packed if isinstance(video, Packed)]  # with headers and JSON
        return max(1, int(self.options.shard_mb * 1e6 / np.mean(sizes))) if sizes else 1000

    def _pack(self, rows: Iterable[int]) -> Generator[Packed | Failure | Lost]:
        videos = (self.manifest.videos[row] for row in rows)
        return run_jobs(partial(pack_video, options=self.options), videos, num_workers=self.num_workers)

    def _write_shard(self, planned: PlannedShard, results: Iterator[Packed | Failure | Lost]) -> FinishedShard:
        writer = ShardWriter(self.out / f"{planned.name}.tar")
        samples, failed = [], []
        try:
            for row in planned.rows:
                result = next(results)
                if isinstance(result, Packed):
                    samples.append(self._add(writer, row, result))
                else:
                    if isinstance(result, Lost):
                        reason = "decoding it ended the process; the file is damaged, fetch it again"
                        result = Failure("crash", f"{self.manifest.videos[row].path}: {reason}")
                    failed.append(FailedRow(row, result.kind, " ".join(result.reason.split())))
                self.on_video()
            num_bytes, sha256 = writer.finish() if samples else (0, "")
        finally:
            writer.abandon()  # what was finished has another name
        return FinishedShard(writer.path.name, num_bytes, sha256, samples=tuple(samples), failed=tuple(failed))

    def _add(self, writer: ShardWriter, row: int, packed: Packed) -> PackedSample:
        video, key, info = self.manifest.videos[row], f"{row:08d}", packed.info
        member = key + packed.suffix
        with video.path.open("rb") if packed.data is None else io.BytesIO(packed.data) as file:
            offset = writer.add(member, file, num_bytes=packed.num_bytes)
        told = {
            **{column: names[row] for column, names in self.labels.items()},
            "label_id": None if self.manifest.labellings else video.label,
            "split": video.split,
            "source": relative_name(video.path, source=self.manifest.source),
            "start_seconds": video.start_seconds,
            "end_seconds": video.end_seconds,
            "start_frame": video.first_frame,
            "end_frame": video.span.stop_frame,
            "total_frames": info.num_frames,
            "fps": info.fps,
        }
        known = {name: value for name, value in told.items() if value is not None}
        text = json.dumps(known, ensure_ascii=False).encode()
        writer.add(f"{key}.json", text, num_bytes=len(text))
        size = info.width, info.height
        return PackedSample(row, key, member, offset, packed.num_bytes, info.num_frames, info.fps, *size)


def _check_whole_files(manifest: Manifest) -> None:
    for number, video in enumerate(manifest.videos, start=1):
        if video.span != Span() or video.byte_offset is not None or video.path.is_dir():
            what = "a folder of images" if video.path.is_dir() else "a part of a file"
            remedy = "copy=True packs whole files as they are; pack without it"
            raise ValueError(f"{manifest.source}: row {number} ({video.path}) is {what}, and {remedy}")


@contextmanager
def _held(out: Path) -> Iterator[None]:
    """Keep others from packing to the same folder; the system lets go of the lock when this process dies."""
    try:
        lock = FileLock(out / "parts" / ".lock", timeout=ORPHANS_SECONDS)
        lock.acquire()
    except Timeout as error:
        raise BlockingIOError(f"{out}: another process is packing to this folder; wait for it") from error
    try:
        yield
    finally:
        lock.release()
