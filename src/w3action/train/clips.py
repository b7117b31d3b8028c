"""The videos of a run, and the training clips made from them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from torch.utils.data import DataLoader

from w3action.clip_format import ClipFormat
from w3action.config import ConfigError, DataConfig
from w3action.data import (
    EpochBatchSampler,
    FlipMap,
    FrameCache,
    Manifest,
    TrainTransform,
    VideoDataset,
    hold_out,
    make_loader,
    read_manifest,
    test_segments,
    train_dense,
    train_segments,
)
from w3action.data.gpu_decode import fault as gpu_fault
from w3action.runs.folder import HELD_OUT_FILE

HELD_OUT = 0.2  # of the videos, where nothing says which are for validation


def read_videos(data: Path, val: Path | None, *, label_column: str, seed: int) -> tuple[Manifest, Manifest]:
    """Read the training and the validation videos; both have the training set's classes, in its order.

    With `val` given, every video of `data` is for training unless both are the same file. Without it, a manifest's
    own split column (or split folders) decides: no other split than "train" is trained on. Where nothing says which
    are for validation, a fifth of each class is held out.

    Raises:
        ManifestError: see `read_manifest`; among others a validation label that training does not have.
        ConfigError: a video is in both lists.
    """
    everything = read_manifest(data, label_column=label_column)
    if val is not None and val.resolve() != data.resolve():
        validation = read_manifest(val, classes=everything.classes, label_column=label_column)
        _check_apart(everything, validation, data=data, val=val)
        return everything, validation
    if val is not None and not everything.has_split("val"):
        raise ConfigError(
            f"--data and --val are both {data}, which has no split column; leave --val out to hold out videos"
        )
    training = everything.split("train") if everything.splits else everything
    if everything.has_split("val"):
        return training, everything.split("val")
    return hold_out(training, fraction=HELD_OUT, seed=seed)


def _check_apart(training: Manifest, validation: Manifest, *, data: Path, val: Path) -> None:
    places = {(v.path.resolve(), *v.place[1:]) for v in training.videos}
    shared = [v for v in validation.videos if (v.path.resolve(), *v.place[1:]) in places]
    if shared:
        raise ConfigError(
            f"{len(shared)} of the validation videos of {val} are also training videos of {data}, first "
            f"{shared[0].path}; remove them from one list, or leave --val out to use the splits of {data}"
        )


def where_to_measure(data: Path, val: Path | None, out: Path, *, label_column: str) -> list[str]:
    """Return the arguments of `w3 eval` that name videos which the run in `out` was not trained on."""
    if val is not None and val.resolve() != data.resolve():
        return ["--data", str(val)]
    everything = read_manifest(data, label_column=label_column)
    for split in ("test", "val"):
        if everything.has_split(split):
            return ["--data", str(data), "--split", split]
    return ["--data", str(out / HELD_OUT_FILE)]


def clip_format_of(config: DataConfig) -> ClipFormat:
    """Return what the network sees; videos are decoded to a shorter side of 256 for crops of 224, unless it is set.

    Raises:
        ConfigError: the shorter side is smaller than the crop.
    """
    resize = config.resize or round(config.size * 8 / 7)
    if resize < config.size:
        raise ConfigError(
            f"data.resize is {resize} but data.size is {config.size}; crops do not fit, raise data.resize"
        )
    return ClipFormat(config.num_frames, config.size, resize, config.modality)


def training_loader(
    config: DataConfig,
    videos: Manifest,
    flips: FlipMap,
    *,
    batch_size: int,
    seed: int,
    rank: int,
    world_size: int,
    pin_memory: bool,
    cache: FrameCache | None,
) -> Callable[[int, int], DataLoader]:
    """Return the function (epoch, first batch) -> this process's batches from there on.

    Raises:
        ConfigError: videos are to be decoded on a GPU, and cannot be.
    """
    if config.decode_on == "cuda" and (fault := gpu_fault()):
        raise ConfigError(f"data.decode_on is cuda, but {fault}; or leave it at cpu")
    flipping = config.flip == "plain" or (config.flip == "auto" and not flips.unpaired)
    dataset = VideoDataset(
        videos.videos,
        sample=partial(SAMPLERS[config.sampling], num_segments=config.num_frames),
        transform=TrainTransform(
            size=config.size,
            scales=config.scales,
            flip_probability=0.5 if flipping else 0.0,
            color_jitter=config.color_jitter,
            modality=config.modality,
        ),
        flip_map=flips.permutation if config.flip == "auto" else None,
        seed=seed,
        short_side=clip_format_of(config).resize,
        cache=cache,
        modality=config.modality,
        decode_on=config.decode_on,
    )

    def at(epoch: int, first_batch: int) -> DataLoader:
        sampler = EpochBatchSampler(
            len(videos.videos),
            batch_size=max(1, batch_size // world_size),
            seed=seed,
            epoch=epoch,
            shuffle=True,
            rank=rank,
            world_size=world_size,
            first_batch=first_batch,
            drop_last=True,
        )
        num_workers = 0 if cache is not None else config.num_workers  # every worker would keep frames of its own
        return make_loader(dataset, sampler, num_workers=num_workers, pin_memory=pin_memory)

    return at


def middle_of_segments(num_frames: int, *, num_segments: int, rng: np.random.Generator) -> np.ndarray:
    """Pick the frames that tests see; nothing is random."""
    return test_segments(num_frames, num_segments=num_segments)


def random_of_segments(num_frames: int, *, num_segments: int, rng: np.random.Generator) -> np.ndarray:
    """Pick a random frame of each segment; of a video with fewer frames than segments, the ones that tests see.

    The public TSM gives its first frame over and over, which hardly matters for 8 segments. For the 64 of an I3D most
    of Something-Something would stand still.
    """
    choose = middle_of_segments if num_frames < num_segments else train_segments
    return choose(num_frames, num_segments=num_segments, rng=rng)


SAMPLERS = {"segments": random_of_segments, "middle": middle_of_segments, "dense": train_dense}
