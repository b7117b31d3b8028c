"""Does the mask look at the hand? A number for what Figure 3 of the paper shows as pictures.

For every frame that a network sees, the share of M^s that falls on the hand, against the share of the frame that the
hand covers: their ratio is 1 for a mask that does not care where the hand is. Frames in which the hand acts and frames
in which it does not are kept apart: the paper claims that W3 is quiet when nothing happens, so the mean of the
mask is compared between them too.

Where the hand is comes from a table beside the videos' list, as the tabletop set has it (`tracks.parquet`): path
(relative to the table's folder), frame, x0, y0, x1, y1 (pixels of the file's frames, NaN where the hand is out of
view), acting.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from w3action.clip_format import ClipFormat
from w3action.data import FrameCache, Manifest, Video, probe
from w3action.evaluate.protocols import center_clip
from w3action.models.action_model import stage_masks
from w3action.runs.checkpoint import Checkpoint
from w3action.use.explain.masks import resample

TRACKS_FILE = "tracks.parquet"


class TracksError(ValueError):
    """Hand tracks that are missing or do not fit the videos."""


@dataclass(frozen=True)
class Track:
    """The hand in every frame of a video."""

    boxes: Float[np.ndarray, "t 4"]  # x0, y0, x1, y1 in pixels; NaN where it is out of view
    acting: Bool[np.ndarray, " t"]


@dataclass(frozen=True)
class Gaze:
    """How one stage's last mask treats the hand, over the frames of one kind.

    Attributes:
        stage: from 1.
        acting: whether the hand acts in these frames.
        num_frames: with the hand in view.
        mass: mean share of the mask that falls on the hand.
        area: mean share of the frame that the hand covers.
        level: mean of the mask over the frames, hand in view or not.
    """

    stage: int
    acting: bool
    num_frames: int
    mass: float
    area: float
    level: float

    @property
    def ratio(self) -> float:
        """Attention to the hand, relative to its size: 1 does not care."""
        return self.mass / self.area


def read_tracks(path: Path, manifest: Manifest) -> dict[Path, Track]:
    """Read the tracks of a manifest's videos.

    Raises:
        TracksError: no such file, a column is missing, or a video has no track.
    """
    if not path.is_file():
        raise TracksError(f"{path}: no hand tracks; they are a table of path, frame, x0, y0, x1, y1, acting")
    table = pq.read_table(path)
    missing = {"path", "frame", "x0", "y0", "x1", "y1", "acting"} - set(table.column_names)
    if missing:
        raise TracksError(f"{path}: no column {', '.join(sorted(missing))}; found are {', '.join(table.column_names)}")
    table = table.sort_by([("path", "ascending"), ("frame", "ascending")])
    names = np.array(table["path"].to_pylist())
    boxes = np.stack([table[name].to_numpy().astype(np.float64) for name in ("x0", "y0", "x1", "y1")], axis=1)
    acting = np.array(table["acting"].to_pylist(), bool)
    starts = np.flatnonzero(np.r_[True, names[1:] != names[:-1]])
    spans = zip(starts, [*starts[1:], len(names)], strict=True)
    listed = {(path.parent / names[a]).resolve(): Track(boxes[a:b], acting[a:b]) for a, b in spans}
    tracks = {video.path: listed.get(video.path.resolve()) for video in manifest.videos}
    lost = [video for video, track in tracks.items() if track is None]
    if lost:
        raise TracksError(f"{path}: {len(lost)} of {len(manifest)} videos have no track, first {lost[0]}")
    return {video: track for video, track in tracks.items() if track is not None}


@torch.no_grad()
def measure_gaze(
    checkpoint: Checkpoint, videos: Iterable[Video], tracks: dict[Path, Track], *, cache: FrameCache | None = None
) -> list[Gaze]:
    """Measure the last spatial mask of every stage on the centre clips of videos.

    Returns:
        For every stage, acting and not acting.

    Raises:
        TracksError: the network has no spatial masks, a track is shorter than its video, or no frame shows the hand
            acting, or doing nothing.
        DecodeError: a video cannot be read.
    """
    found: dict[tuple[int, bool], list[tuple[float, float, float]]] = defaultdict(list)
    wanted = checkpoint.clip_format
    weight = next(checkpoint.model.parameters())
    for video in videos:
        if video.span.in_seconds:
            raise TracksError(f"{video.path}: tracks count frames; give its span as start_frame, end_frame")
        seen = center_clip(video, wanted, cache=cache)
        numbers = seen.numbers + (video.first_frame or 0)  # of the whole file, as its track counts
        masks = stage_masks(checkpoint.model.forward_features(seen.view.to(weight)).masks)
        if not masks:
            raise TracksError(f"{checkpoint.path}: this network has no spatial masks; choose one with W3 or CBAM")
        track = tracks[video.path]
        if max(numbers) >= len(track.boxes):
            raise TracksError(f"{video.path}: its track has {len(track.boxes)} frames, the video more than that")
        hands = hand_pixels(track.boxes[numbers], video.path, wanted)
        for stage, mask in enumerate(masks, start=1):
            for shares, acting in zip(_on_hand(mask[0].float().cpu(), hands), track.acting[numbers], strict=True):
                found[stage, bool(acting)].append(shares)
    if {acting for _, acting in found} != {False, True}:
        raise TracksError(
            "figure 3 compares frames in which the hand acts with others; these tracks have only one kind"
        )
    return [_average(stage, acting, np.array(rows)) for (stage, acting), rows in sorted(found.items())]


def hand_pixels(boxes: Float[np.ndarray, "t 4"], video: Path, wanted: ClipFormat) -> Bool[Tensor, "t size size"]:
    """Mark the pixels of the centre crop whose centres lie in the hand's box; none where it is out of view."""
    info = probe(video)
    scale = wanted.resize / min(info.width, info.height)
    left = (round(info.width * scale) - wanted.size) // 2
    top = (round(info.height * scale) - wanted.size) // 2
    x0, y0, x1, y1 = torch.from_numpy(boxes * scale).T[:, :, None] - torch.tensor([left, top, left, top])[:, None, None]
    centres = torch.arange(wanted.size) + 0.5
    across = (centres >= x0) & (centres < x1)  # (T, W); NaN compares false
    down = (centres >= y0) & (centres < y1)
    return down[:, :, None] & across[:, None, :]


def _on_hand(mask: Float[Tensor, "t h w"], hands: Bool[Tensor, "t size size"]) -> list[tuple[float, float, float]]:
    """Return for each frame (share of the mask on the hand, the hand's share of the frame, mean of the mask).

    Without a hand the first two are NaN.
    """
    size = hands.shape[-1]
    pixels = torch.arange(size)
    full = resample(mask, rows=pixels, columns=pixels, size=size)  # (T, size, size)
    mass = (full * hands).sum(dim=(1, 2)) / full.sum(dim=(1, 2))
    area = hands.float().mean(dim=(1, 2))
    seen = area > 0
    mass, area = mass.where(seen, torch.nan), area.where(seen, torch.nan)
    return list(zip(mass.tolist(), area.tolist(), full.mean(dim=(1, 2)).tolist(), strict=True))


def _average(stage: int, acting: bool, rows: Float[np.ndarray, "frames 3"]) -> Gaze:
    seen = rows[~np.isnan(rows[:, 0])]
    mass, area = seen[:, 0].mean(), seen[:, 1].mean()
    return Gaze(stage, acting, len(seen), float(mass), float(area), float(rows[:, 2].mean()))
