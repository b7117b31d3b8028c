"""Evaluate a model on videos by a protocol."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import numpy as np
import torch

from w3action.clip_format import Modality
from w3action.data import ClipBatch, EpochBatchSampler, FrameCache, Video, VideoDataset, find_flip_pairs, make_loader
from w3action.evaluate.protocols import Protocol
from w3action.evaluate.scoring import Model, Scores, score_videos


class UnreadableVideosError(ValueError):
    """Videos that could not be read, where every video counts."""


def evaluate_videos(
    model: Model,
    videos: Sequence[Video],
    *,
    classes: Sequence[str],
    sizes: Sequence[int] = (),
    protocol: Protocol,
    num_frames: int,
    size: int,
    resize: int,
    modality: Modality = "rgb",
    device: torch.device | str = "cpu",
    batch_size: int = 16,
    num_workers: int = 2,
    skip_bad: bool = False,
    cache: FrameCache | None = None,
    rank: int = 0,
    world_size: int = 1,
    on_videos: Callable[[int], None] = lambda count: None,
) -> Scores:
    """Score videos, one row each.

    Args:
        model: maps `(n, C, T, H, W)` to logits; in evaluation mode, on `device`.
        videos: what to score; their labels are ids into `classes`.
        classes: by name, in the order of the model's logits.
        sizes: how many of the classes are of each labelling, where there are several.
        protocol: how views are made and fused.
        num_frames: T.
        size: side of the crop in pixels.
        resize: shorter side in pixels before the crop.
        modality: what the network sees, frames ("rgb") or "flow".
        device: where the model is.
        batch_size: videos at once, divided by the views of each.
        num_workers: processes that decode.
        skip_bad: leave out videos that cannot be read; otherwise they are an error.
        cache: decoded frames to use again.
        rank: this process, of `world_size`, which share the videos.
        world_size: number of processes.
        on_videos: called with the number of videos of each batch.

    Raises:
        UnreadableVideosError: a video cannot be read and `skip_bad` is off.
    """
    transform = protocol.transform(size=size, resize=resize, modality=modality)
    dataset = VideoDataset(
        videos,
        sample=partial(_sample, protocol.sample, num_frames),
        transform=transform,
        flip_map=None,
        seed=0,
        short_side=resize,
        cache=cache,
        modality=modality,
    )
    sampler = EpochBatchSampler(
        len(videos),
        batch_size=max(1, batch_size // (protocol.num_clips * transform.num_views)),
        seed=0,
        epoch=0,
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
