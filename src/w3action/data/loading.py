"""From a manifest to batches: the data set, the sampler and the loader.

Every sample is a pure function of (seed, epoch, index): its randomness comes from `default_rng((seed, epoch,
index))` and from nothing else, so the number of workers, the order and a resumed run never change it. A video
that cannot be decoded becomes a `BadVideo` in the batch, and the run goes on.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Literal

import numpy as np
import torch
from jaxtyping import Int64
from torch.utils.data import DataLoader, Dataset, Sampler

from w3action.clip_format import Modality
from w3action.data.cache import FrameCache
from w3action.data.clip import BadVideo, Sample, collate
from w3action.data.open_frames import open_frames
from w3action.data.sampling import check_positive
from w3action.data.source import DecodeError
from w3action.data.transforms import Transform
from w3action.data.video import Video
from w3action.kernels import pixels

Key = tuple[int, int]  # (epoch, index)


class VideoDataset(Dataset):
    """Decodes, samples and transforms videos; a map-style data set whose keys are (epoch, index).

    Args:
        videos: what to read, as in `Manifest.videos`.
        sample: (number of frames, rng=...) -> frame indices (clips, segments); see `sampling`. It goes to worker
            processes, so it must be picklable: no lambda.
        transform: called for every clip of `segments` frames with (clip, rng); see `transforms`. All clips of
            a video get equal random numbers, hence the same crop and the same flip.
        flip_map: flip_map[label] is the label of a mirrored video (`FlipMap.permutation`); None leaves labels
            alone.
        seed: seed of all randomness.
        short_side: what frames' shorter sides are scaled to while decoding, in pixels; None leaves them.
        cache: keeps decoded frames in memory; for `num_workers=0`.
        modality: "rgb", or "flow": `sample` then picks the first flow of each segment, of a video's n - 1.
        decode_on: "cpu", or "cuda" for torchcodec on a GPU (see `gpu_decode`); a cache decodes on the CPU, once.
    """

    def __init__(
        self,
        videos: Sequence[Video],
        *,
        sample: Callable[..., Int64[np.ndarray, "clips segments"]],
        transform: Transform,
        flip_map: Sequence[int] | None = None,
        seed: int = 0,
        short_side: int | None = None,
        cache: FrameCache | None = None,
        modality: Modality = "rgb",
        decode_on: Literal["cpu", "cuda"] = "cpu",
    ):
        self.videos, self.sample, self.transform = tuple(videos), sample, transform
        self.flip_map, self.seed, self.decode_on = flip_map, seed, decode_on
        self.open = partial(open_frames, short_side=short_side, cache=cache, modality=modality, decode_on=decode_on)

    def __len__(self) -> int:
        """Return the number of videos."""
        return len(self.videos)

    def __getitem__(self, index: Key) -> Sample | BadVideo:
        """Return the sample of (epoch, index): its views lie clip by clip, and within a clip crop by crop."""
        epoch, place = index
        video = self.videos[place]
        try:
            with self.open(video) as frames:
                rng = np.random.default_rng((self.seed, epoch, place))
                indices = self.sample(frames.count, rng=rng)  # (clips, segments)
                clips = frames.read(indices).split(indices.shape[1])
        except DecodeError as error:
            return BadVideo(index=place, path=str(video.path), reason=str(error))
        views, flipped = [], False
        for clip in clips:
            made, flipped = self.transform(clip, np.random.default_rng((self.seed, epoch, place, 1)))
            views.append(made)
        labels = video.labels
        if flipped and self.flip_map is not None:
            labels = tuple(self.flip_map[label] for label in labels)
        whole = views[0] if len(views) == 1 else torch.cat(views)
        return Sample(views=whole, label=labels[0], index=place, others=labels[1:])


class EpochBatchSampler(Sampler[list[Key]]):
    """Batches of (epoch, index) for one epoch on one rank.

    The order is a pure function of (seed, epoch); batch k of all ranks together holds the samples
    [k * batch_size * world_size, (k + 1) * batch_size * world_size) of it, whatever the number of ranks.

    Args:
        num_samples: length of the data set.
        batch_size: samples per batch and rank.
        seed: seed of the order.
        epoch: number of the epoch; also goes into the samples' own randomness.
        shuffle: whether to permute; otherwise the order is that of the data set.
        rank: this process.
        world_size: number of processes.
        first_batch: number of batches of this epoch already done (to resume in its middle).
        drop_last: keep whole batches only, equally many on each rank (training). Otherwise every sample comes
            exactly once over all ranks, and the last batches may be smaller or missing on some ranks
            (evaluation).
    """

    def __init__(
        self,
        num_samples: int,
        *,
        batch_size: int,
        seed: int = 0,
        epoch: int = 0,
        shuffle: bool = True,
        rank: int = 0,
        world_size: int = 1,
        first_batch: int = 0,
        drop_last: bool = True,
    ):
        check_positive(batch_size=batch_size, world_size=world_size)
        if not 0 <= rank < world_size:
            raise ValueError(f"rank is {rank} but must lie in [0, {world_size}): ranks count from 0")
        num_batches = num_samples // (batch_size * world_size)
        if drop_last and num_batches == 0:
            raise ValueError(
                f"{num_samples} samples make no batch of {batch_size} on each of {world_size} ranks: "
                "lower batch_size or set drop_last=False"
            )
        self.epoch, self.batch_size, self.first_batch = epoch, batch_size, first_batch
        order = np.arange(num_samples)
        if shuffle:
            np.random.default_rng((seed, epoch)).shuffle(order)
        if drop_last:
            order = order[: num_batches * batch_size * world_size]
        self._share: list[int] = order[rank::world_size].tolist()

    def __len__(self) -> int:
        """Return the number of batches left."""
        return max(0, -(-len(self._share) // self.batch_size) - self.first_batch)

    def __iter__(self) -> Iterator[list[Key]]:
        """Give batches from `first_batch` on."""
        for start in range(self.first_batch * self.batch_size, len(self._share), self.batch_size):
            yield [(self.epoch, index) for index in self._share[start : start + self.batch_size]]


def make_loader(
    dataset: VideoDataset, sampler: Sampler[list[Key]], *, num_workers: int, pin_memory: bool = False
) -> DataLoader:
    """Make a loader of `ClipBatch`es; each worker computes on one thread."""
    on_gpu = num_workers > 0 and dataset.decode_on == "cuda"
    if num_workers > 0:
        pixels.prepare()
    return DataLoader(
        dataset,
        batch_sampler=sampler,
        collate_fn=collate,
        num_workers=num_workers,
        pin_memory=pin_memory,
        worker_init_fn=partial(_start_worker, device=torch.cuda.current_device() if on_gpu else None),
        # A GPU cannot be used in a process that was forked from one that uses it.
        multiprocessing_context="spawn" if on_gpu else None,
    )


def _start_worker(worker: int, *, device: int | None) -> None:
    torch.set_num_threads(1)
    if device is not None:  # that of the process it works for, which may be one of several
        torch.cuda.set_device(device)
