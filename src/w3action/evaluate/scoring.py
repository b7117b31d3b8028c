"""Videos -> one row of scores each: a protocol makes views, the network scores them, the views are fused."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from w3action.clip_format import ClipFormat
from w3action.data import (
    BadVideo,
    ClipBatch,
    EpochBatchSampler,
    FrameCache,
    Video,
    VideoDataset,
    find_flip_pairs,
    make_loader,
)
from w3action.evaluate.protocols import Fusion, Protocol
from w3action.labellings import split_logits

Model = Callable[[Float[Tensor, "n c_in t h w"]], Float[Tensor, "n k"]]
MOST_VIEWS_AT_ONCE = 16  # views are the larger axis: ten crops of two clips make 20 of one video


class UnreadableVideosError(ValueError):
    """Videos that could not be read, where every video counts."""


@dataclass(frozen=True)
class Scores:
    """Fused scores of videos, in the order of the videos, with the labels they are judged by."""

    scores: Float[Tensor, "n k"]  # logits or probabilities, as the protocol fuses
    labels: Int[Tensor, "n *labellings"]
    indices: Int[Tensor, "n"]  # into the list of videos
    bad: tuple[BadVideo, ...] = field(default=())


def evaluate_videos(
    model: Model,
    videos: Sequence[Video],
    *,
    classes: Sequence[str],
    sizes: Sequence[int] = (),
    protocol: Protocol,
    clip_format: ClipFormat,
    device: torch.device | str = "cpu",
    batch_size: int = 16,
    num_workers: int = 2,
    skip_bad: bool = False,
    cache: FrameCache | None = None,
    rank: int = 0,
    world_size: int = 1,
    on_videos: Callable[[int], None] = lambda count: None,
) -> Scores:
    """Read and score videos, one row each.

    Args:
        model: maps `(n, C, T, H, W)` to logits; in evaluation mode, on `device`.
        videos: what to score; their labels are ids into `classes`.
        classes: by name, in the order of the model's logits.
        sizes: how many of the classes are of each labelling, where there are several.
        protocol: how views are made and fused.
        clip_format: what the network sees of a video.
        device: where the model is.
        batch_size: views at once; at least the views of one video.
        num_workers: processes that decode.
        skip_bad: leave out videos that cannot be read; otherwise they are an error.
        cache: decoded frames to use again.
        rank: this process, of `world_size`, which share the videos.
        world_size: number of processes.
        on_videos: called with the number of videos of each batch.

    Raises:
        UnreadableVideosError: a video cannot be read and `skip_bad` is off.
    """
    transform = protocol.transform(clip_format)
    dataset = VideoDataset(
        videos,
        sample=partial(_sample, protocol.sample, clip_format.num_frames),
        transform=transform,
        flip_map=None,
        seed=0,
        short_side=clip_format.resize,
        cache=cache,
        modality=clip_format.modality,
    )
    sampler = EpochBatchSampler(
        len(videos),
        batch_size=max(1, batch_size // protocol.num_views(clip_format)),
        shuffle=False,
        rank=rank,
        world_size=world_size,
        drop_last=False,
    )
    batches = make_loader(dataset, sampler, num_workers=num_workers)
    return score_videos(
        model,
        batches if skip_bad else _all_readable(batches),
        num_classes=len(classes),
        sizes=sizes,
        flipped=transform.flipped,
        flip_permutation=find_flip_pairs(classes).permutation,
        fusion=protocol.fusion,
        device=torch.device(device),
        on_videos=on_videos,
    )


@torch.no_grad()
def score_videos(
    model: Model,
    batches: Iterable[ClipBatch],
    *,
    num_classes: int,
    sizes: Sequence[int] = (),
    flipped: Sequence[bool],
    flip_permutation: Sequence[int],
    fusion: Fusion,
    device: torch.device,
    on_videos: Callable[[int], None] = lambda count: None,
) -> Scores:
    """Score every video of the batches.

    Args:
        model: maps `(n, C, T, H, W)` to logits; in evaluation mode.
        batches: views `(B, V, C, T, H, W)` of videos.
        num_classes: K.
        sizes: how many classes each labelling has, where there are several.
        flipped: for each view of a clip whether it is mirrored; repeated over the clips of a video.
        flip_permutation: class -> its mirror image ("left" -> "right"); scores of mirrored views are put back.
        fusion: average logits, or probabilities.
        device: where the model is.
        on_videos: called with the number of videos of each batch.
    """
    scores, bad = [torch.empty(0, num_classes)], []  # the empty ones are all there is if no video can be read
    labels = [torch.empty((0, len(sizes)) if sizes else 0, dtype=torch.long)]
    indices = [torch.empty(0, dtype=torch.long)]
    permutation = torch.tensor(flip_permutation, device=device)
    for batch in batches:
        bad.extend(batch.bad)
        if len(batch.labels) > 0:
            b, v = batch.clips.shape[:2]
            views = batch.clips.flatten(0, 1).to(device)  # (B V, C, T, H, W)
            logits = torch.cat([model(part).float() for part in views.split(MOST_VIEWS_AT_ONCE)]).view(b, v, -1)
            mirrored = torch.tensor(flipped, device=device).repeat(v // len(flipped))  # (V,)
            logits = torch.where(mirrored[None, :, None], logits[:, :, permutation], logits)
            if fusion == "probabilities":
                logits = torch.cat([part.softmax(dim=-1) for part in split_logits(logits, sizes)], dim=-1)
            scores.append(logits.mean(dim=1).cpu())
            labels.append(batch.labels.cpu())
            indices.append(batch.indices.cpu())
        on_videos(len(batch.labels) + len(batch.bad))
    return Scores(torch.cat(scores), torch.cat(labels), torch.cat(indices), tuple(bad))


def _sample(sample: Callable[..., np.ndarray], num_frames: int, total: int, *, rng: np.random.Generator) -> np.ndarray:
    return sample(total, num_segments=num_frames)  # nothing is random in a test


def _all_readable(batches: Iterable[ClipBatch]) -> Iterator[ClipBatch]:
    """Stop at the first video that cannot be read: the hours that the others take would be lost."""
    for batch in batches:
        if batch.bad:
            raise UnreadableVideosError(
                f"a video cannot be read: {batch.bad[0].reason}; mend it, or leave such videos out with --skip-bad"
            )
        yield batch
