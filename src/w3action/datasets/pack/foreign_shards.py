"""The index of WebDataset shards that others made: `index_shards` reads their headers and labels, and copies nothing.

A sample is what shares a name up to the first dot: a video (.mp4, .webm, .avi, ...), and its label in .cls (a class
id or name) or in .json. Tar headers are read one after another; members are never unpacked. A member whose name leads
out of the archive, and a link, device or sparse file, is refused by name: no honest video shard holds one.
"""

import json
import re
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from w3action.data.frame_folder import natural_key
from w3action.data.manifest import SPLITS, read_classes
from w3action.data.open_frames import VideoInfo, probe
from w3action.data.shards import open_member
from w3action.data.source import DecodeError
from w3action.data.video import VIDEO_SUFFIXES, ManifestError
from w3action.datasets.pack.packed_index import INDEX_FILE, SHARD_COLUMNS, VIDEO_COLUMNS, write_failed
from w3action.datasets.pack.shard_file import hash_file
from w3action.datasets.parquet_manifest import to_table, write_parquet
from w3action.workers import Lost, run_jobs

LABEL_SUFFIXES, MAX_LABEL_BYTES = {"json", "cls"}, 1 << 20


@dataclass
class _Sample:
    """Members of one key: the video's place in the shard, and what is said of it."""

    shard: Path
    key: str
    byte_offset: int = -1  # below 0 until the video is found
    num_bytes: int = 0
    label: Any = None
    split: str | None = None


def index_shards(
    folder: Path,
    *,
    label_key: str = "label",
    classes: Sequence[str] | None = None,
    num_workers: int | None = None,
    on_video: Callable[[], None] = lambda: None,
) -> Path:
    """Write `index.parquet`, `classes.txt` and `failed.csv` into a folder of tar shards (and of its sub-folders).

    Splits are those of a key "split" in the .json, else of the shards' names (train-000.tar, val/000.tar).

    Args:
        folder: holds uncompressed .tar files.
        label_key: the key of a .json that holds the label: a class name or id.
        classes: class names in the order of their ids; by default those of `classes.txt` in the folder, else the
            labels found, sorted.
        num_workers: processes that open the videos to count their frames; None means one for each core.
        on_video: called in this process after each of them.

    Returns:
        The index, a manifest. Videos that cannot be opened or have no label are listed in `failed.csv`.

    Raises:
        ManifestError: no shard, no sample, a compressed or broken tar, a member that is refused, an unknown label, or
            a folder that `pack_manifest` wrote.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ManifestError(f"{folder}: no such folder; give the folder of the shards")
    if (folder / "pack.json").exists():
        raise ManifestError(f"{folder}: was written by w3 data pack and has its index; read its index.parquet")
    shards = sorted(folder.rglob("*.tar"), key=lambda path: natural_key(path.relative_to(folder).as_posix()))
    if not shards:
        raise ManifestError(f"{folder}: holds no .tar file; give the folder of the shards (unpack .tar.gz first)")
    samples = [sample for shard in shards for sample in _read_samples(shard, folder=folder, label_key=label_key)]
    if not samples:
        raise ManifestError(f"{folder}: no video in {len(shards)} shards; expected members as KEY.mp4 and KEY.cls")
    names, ids = _resolve(samples, folder=folder, given=classes)
    jobs = ((sample.shard, sample.byte_offset, sample.num_bytes) for sample in samples)
    rows, failed = [], []
    results = zip(samples, run_jobs(_probe_member, jobs, num_workers=num_workers), strict=True)
    for number, (sample, info) in enumerate(results, start=1):
        on_video()
        path = sample.shard.relative_to(folder).as_posix()
        if isinstance(info, Lost):
            info = "decoding it ended the process; the file is damaged"
        elif sample.label is None and not isinstance(info, str):
            info = "no label in .cls or .json"
        if isinstance(info, str):
            failed.append((number, f"{path}:{sample.key}", sample.label, "unreadable", info))
            continue
        own = {"path": path, "label_id": ids[sample.label], "label": names[ids[sample.label]]}
        rows.append({**vars(info), "total_frames": info.num_frames, **vars(sample), **own})
    if not rows:
        raise ManifestError(f"{folder}: not one of {len(samples)} videos can be used; first: {failed[0][-1]}")
    write_failed(folder, failed)
    hashes = {shard: {"shard_bytes": shard.stat().st_size, "shard_sha256": hash_file(shard)} for shard in shards}
    columns = ["path", "label", "label_id", *VIDEO_COLUMNS, *SHARD_COLUMNS]
    table = to_table(({**row, **hashes[row["shard"]]} for row in rows), columns)
    return write_parquet(folder / INDEX_FILE, table, class_lists={"label": names})


def _read_samples(shard: Path, *, folder: Path, label_key: str) -> list[_Sample]:
    """Return the samples of one tar that hold a video, in their order."""
    samples: dict[str, _Sample] = {}
    for member, key, suffix, content in _members(shard):
        sample = samples.setdefault(key, _Sample(shard, key, split=_split_of(shard, folder=folder)))
        if f".{suffix}" in VIDEO_SUFFIXES:
            if sample.byte_offset >= 0:
                raise ManifestError(f"{shard}: two videos of the key {key!r}; give every video a key of its own")
            sample.byte_offset, sample.num_bytes = member.offset_data, member.size
        elif suffix == "cls":
            sample.label = _number_or_text(content)
        elif suffix == "json":
            told = _json_object(content, shard=shard, name=member.name)
            if sample.label is None:
                sample.label = told.get(label_key)
            if isinstance(told.get("split"), str):
                sample.split = told["split"]
    return [sample for sample in samples.values() if sample.byte_offset >= 0]


def _members(shard: Path) -> Iterator[tuple[tarfile.TarInfo, str, str, bytes]]:
    """Give (member, key, suffix, content if it is a label) of the files in a tar."""
    try:
        with tarfile.open(shard, "r:") as tar:
            for member in tar:
                path = PurePosixPath(member.name)
                stem, _, suffix = path.name.partition(".")
                suffix = suffix.lower()
                if fault := _fault_of(member, suffix):
                    raise ManifestError(f"{shard}: the member {member.name!r} {fault}")
                # Read in memory; nothing is written.
                file = tar.extractfile(member) if suffix in LABEL_SUFFIXES else None
                if member.isreg():
                    yield member, (path.parent / stem).as_posix(), suffix, file.read() if file is not None else b""
    except (tarfile.TarError, EOFError) as error:
        remedy = "unpack a compressed one, or fetch it again"
        raise ManifestError(f"{shard}: cannot be read as an uncompressed tar ({error}); {remedy}") from error


def _fault_of(member: tarfile.TarInfo, suffix: str) -> str | None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\\" in member.name or "\0" in member.name:
        return "leads out of the archive; such a shard is refused"
    if member.issparse() or not (member.isreg() or member.isdir()):
        return "is a link, a device or a sparse file; such a shard is refused"
    if member.isreg() and suffix in LABEL_SUFFIXES and member.size > MAX_LABEL_BYTES:
        return f"of {member.size} bytes is too large for a label"
    return None


def _json_object(data: bytes, *, shard: Path, name: str) -> dict:
    try:
        told = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{shard}: the member {name!r} is no JSON ({error}); make the shard again") from error
    return told if isinstance(told, dict) else {}


def _number_or_text(data: bytes) -> int | str:
    text = data.decode("utf-8", errors="replace").strip()
    return int(text) if re.fullmatch(r"\d{1,9}", text) else text


def _split_of(shard: Path, *, folder: Path) -> str | None:
    parts = [re.split(r"[^a-z]", part.lower(), maxsplit=1)[0] for part in shard.relative_to(folder).parts]
    return next((SPLITS[part] for part in reversed(parts) if part in SPLITS), None)


def _resolve(
    samples: Sequence[_Sample], *, folder: Path, given: Sequence[str] | None
) -> tuple[tuple[str, ...], dict[int | str, int]]:
    """Return the class names, and the class id of every label: by its name, or the number itself."""
    for label in (sample.label for sample in samples):
        if label is not None and (isinstance(label, bool) or not isinstance(label, int | str) or label == ""):
            raise ManifestError(f"{folder}: the label {label!r} is no class name or id; give another label_key")
    labels: set[int | str] = {sample.label for sample in samples if sample.label is not None}
    names = tuple(given) if given is not None else read_classes(folder / "classes.txt")
    if not names:
        numbers = [label for label in labels if isinstance(label, int)]
        is_numbered = len(numbers) == len(labels)
        names = tuple(map(str, range(max(numbers, default=-1) + 1) if is_numbered else sorted(map(str, labels))))
    ids = {name: place for place, name in enumerate(names)}
    found = {label: ids.get(str(label), label) for label in labels}
    unknown = sorted(str(label) for label, place in found.items() if place not in range(len(names)))
    if unknown:
        said = f"the label {unknown[0]!r} is not among the {len(names)} classes ({len(unknown)} such labels)"
        raise ManifestError(f"{folder}: {said}; give classes that list all labels, or none")
    return names, {label: int(place) for label, place in found.items()}


def _probe_member(place: tuple[Path, int, int]) -> VideoInfo | str:
    """Return what a member holds, or why it cannot be opened."""
    shard, offset, size = place
    try:
        with open_member(shard, offset=offset, size=size) as member:
            return probe(member)
    except DecodeError as error:
        return " ".join(str(error).split())
