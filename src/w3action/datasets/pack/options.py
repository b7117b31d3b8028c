"""What is packed and how: the options, which sample goes to which shard, and the record that a resumed run compares.

The plan is a pure function of the manifest's rows and the options: rows are parted by split, shuffled with a fixed
seed (who streams the shards gets mixed classes) and cut into shards of equally many samples. How many that are is
measured once on a few samples and kept in the record.
"""

import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from w3action.data.manifest import Manifest
from w3action.data.video import relative_name

FORMAT = 1  # raise when the same options give other shards than before
ENCODERS = {"h264": "libx264"}


@dataclass(frozen=True)
class PackOptions:
    """How videos are packed.

    Attributes:
        short_side: frames whose shorter side is longer than this many pixels are scaled down to it; None never does.
        gop: length of the groups of pictures; any frame is reached by decoding at most this many.
        crf: x264's quality, from 0 (lossless) to 51.
        codec: a key of `ENCODERS`.
        copy: pack the files as they are; the four above then have no effect.
        shard_mb: size of a shard in megabytes (10^6 bytes), about.

    Raises:
        ValueError: a value out of range.
    """

    short_side: int | None = 256
    gop: int = 8
    crf: int = 21
    codec: str = "h264"
    copy: bool = False
    shard_mb: float = 256.0

    def __post_init__(self):
        if self.short_side is not None and self.short_side < 2:
            raise ValueError(f"short_side is {self.short_side} pixels but must be at least 2: give for example 256")
        if self.gop < 1:
            raise ValueError(f"gop is {self.gop} frames but must be at least 1: give for example 8")
        if not 0 <= self.crf <= 51:
            raise ValueError(f"crf is {self.crf} but must lie in [0, 51]: 21 is hardly told from the source")
        if self.codec not in ENCODERS:
            raise ValueError(f"codec is {self.codec!r} but must be one of {', '.join(ENCODERS)}")
        if not (self.shard_mb > 0 and math.isfinite(self.shard_mb)):
            raise ValueError(f"shard_mb is {self.shard_mb} but must be above 0: give for example 256")

    def known(self) -> dict:
        """Return the options that have an effect."""
        return {"copy": True, "shard_mb": self.shard_mb} if self.copy else asdict(self)


@dataclass(frozen=True)
class PlannedShard:
    """A shard's name without suffix, and the rows of the manifest (from 0) that go into it, in order."""

    name: str
    rows: tuple[int, ...]


def plan_shards(splits: Sequence[str | None], *, samples_per_shard: int) -> tuple[PlannedShard, ...]:
    """Part rows into shards named after their splits ("all" where a row has none).

    Args:
        splits: of every row of the manifest.
        samples_per_shard: at most so many rows a shard; the shards of a split differ by one at most.

    Raises:
        ValueError: `samples_per_shard` is below 1.
    """
    if samples_per_shard < 1:
        raise ValueError(f"samples_per_shard is {samples_per_shard} but must be at least 1")
    rows_by_split: dict[str, list[int]] = {}
    for row, split in enumerate(splits):
        rows_by_split.setdefault(re.sub(r"[^A-Za-z0-9_-]", "_", split or "all"), []).append(row)
    shards = []
    for split, rows in sorted(rows_by_split.items()):
        shuffled = np.random.default_rng(0).permutation(rows)
        parts = np.array_split(shuffled, -(-len(rows) // samples_per_shard))
        shards += [PlannedShard(f"{split}-{number:05d}", tuple(part.tolist())) for number, part in enumerate(parts)]
    return tuple(shards)


def fingerprint(manifest: Manifest) -> str:
    """Hash (SHA-256) what a manifest says: places, spans, labels and splits in their order; not what videos hold."""
    digest = hashlib.sha256(json.dumps(manifest.classes).encode())
    for video in manifest.videos:
        place = (video.byte_offset, video.num_bytes, video.label, video.split)
        more = [video.others, video.fps] if video.others or video.fps else []
        name = relative_name(video.path, source=manifest.source)
        digest.update(json.dumps([name, *vars(video.span).values(), *place, *more]).encode())
    return digest.hexdigest()


def check_same(record: Path, wanted: dict) -> dict | None:
    """Return what an earlier run of the same job recorded, or None if there was none.

    Raises:
        ValueError: the earlier run had other options or another manifest; the message names each.
    """
    if not record.exists():
        return None
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or not isinstance(found["options"], dict):
            raise ValueError("it holds no options")
    except (ValueError, KeyError) as error:
        raise ValueError(f"{record}: no record of a packed set ({error}); pack to another folder") from error
    remedy = "pack with the same, or to another folder"
    for name, what in {"format": "another version of w3action", "manifest": "a manifest of other rows"}.items():
        if found.get(name) != wanted[name]:
            raise ValueError(f"{record.parent}: was begun with {what}; {remedy}")
    before, now = found["options"], wanted["options"]
    changed = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if changed:
        earlier = ", ".join(f"{name}={before.get(name)}" for name in changed)
        given = ", ".join(f"{name}={now.get(name)}" for name in changed)
        raise ValueError(f"{record.parent}: was begun with {earlier}, given now {given}; {remedy}")
    return found
