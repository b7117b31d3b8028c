"""Put a run together: config + videos -> network, task, loop -> a folder that holds the finished network.

`runs/folder.py` names the files of that folder.
"""

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from w3action.clip_format import NUM_CHANNELS, ClipFormat
from w3action.config import RunConfig
from w3action.data import FlipMap, FrameCache, Manifest, find_flip_pairs, keep_fraction, write_manifest
from w3action.evaluate import PROTOCOLS, evaluate_videos
from w3action.evaluate.metrics import compute_all_metrics
from w3action.labellings import cross_entropy
from w3action.models import ActionModel, create_model
from w3action.models.backbone import put_channels_last_
from w3action.models.create import check_choices, look_up_network
from w3action.runs.checkpoint import load_checkpoint, save_description, save_weights
from w3action.runs.folder import (
    HELD_OUT_FILE,
    STATE_FILE,
    TEACHER_FOLDER,
    WEIGHTS_FILE,
    WEIGHTS_FILES,
    claim,
    is_finished,
    write_bad_videos,
)
from w3action.train.clips import clip_format_of, read_videos, training_loader
from w3action.train.log import RunLog
from w3action.train.loop import MOST_BAD_VIDEOS, TrainingError, fit
from w3action.train.optimizer import build_optimizer, parameter_groups
from w3action.train.state import Progress, load_state
from w3action.train.tasks import MatureFeatureTask, PlainTask

# What a student and its teacher must have in common: MFR compares their features.
MUST_AGREE = (
    "in_channels",
    "name",
    "attention",
    "attention_options",
    "place",
    "refine",
    "refine_from",
    "head_options",
)


def train(
    config: RunConfig,
    *,
    data: Path,
    val: Path | None,
    out: Path,
    resume: bool = False,
    cache: FrameCache | None = None,
) -> None:
    """Train a network, in two stages where `config.mfr` asks for it and no teacher is given.

    Args:
        config: the run.
        data: the training videos, a folder or a manifest.
        val: the validation videos; None takes the manifest's own split, or holds out a fifth of the videos.
        out: the run's folder.
        resume: go on from the folder's last state, if there is one; every setting must be the same.
        cache: decoded frames to share with other runs.

    Raises:
        ConfigError: the folder holds another run.
        ValueError: there is no network, attention or place of a name in `config.model`.
        ManifestError, WeightsError, TrainingError, UnreadableVideosError, OSError: see where they are defined.
    """
    look_up_network(config.model.name)
    check_choices(attention=config.model.attention, place=config.model.place, refine_from=config.model.refine_from)
    accelerator = Accelerator(mixed_precision=config.mixed_precision, log_with="tensorboard", project_dir=str(out))
    if accelerator.is_main_process:
        claim(out, config, data=data, val=val, resume=resume)
    accelerator.wait_for_everyone()
    if config.mfr and config.mfr_teacher is None:
        stage_one = dataclasses.replace(config, mfr=False)
        train(stage_one, data=data, val=val, out=out / TEACHER_FOLDER, resume=resume, cache=cache)
        config = dataclasses.replace(config, mfr_teacher=str(out / TEACHER_FOLDER))
    log = RunLog(out, accelerator, title=out.name, num_epochs=config.epochs)
    if resume and is_finished(out):
        log.say("is finished")
        return

    training, validation = read_videos(data, val, label_column=config.data.label_column, seed=config.seed)
    training = keep_fraction(training, fraction=config.data.train_fraction, seed=config.seed)
    if accelerator.is_main_process and val is None and not validation.has_split("val"):
        write_manifest(validation, out / HELD_OUT_FILE)
    if cache is None and config.data.cache_gib > 0:
        cache = FrameCache(int(config.data.cache_gib * 2**30))
    clip_format = clip_format_of(config.data)
    flips = find_flip_pairs(training.classes)

    torch.manual_seed(config.seed)  # the same seed gives student and teacher the same start (section 3.4)
    model = build_model(config, num_classes=len(training.classes)).to(accelerator.device)
    task = build_task(config, model, sizes=tuple(training.labellings.values())).to(accelerator.device)
    put_channels_last_(task)  # the teacher of MFR is in it
    optim = config.optim
    groups = parameter_groups(
        model, classifier=model.head.classifier, weight_decay=optim.weight_decay, rates=optim.group_rates
    )
    optimizer = build_optimizer(optim.name, groups, momentum=optim.momentum)
    going_on = resume and (out / STATE_FILE).is_file()
    progress = load_state(out / STATE_FILE, model=model, optimizer=optimizer) if going_on else Progress()
    if accelerator.is_main_process:
        save_description(out, model, classes=training.classes, clip_format=clip_format, labellings=training.labellings)

    log.say(
        f"{len(training.videos)} videos to train on, {len(validation.videos)} to validate on, "
        f"{len(training.classes)} classes, on {accelerator.device}"
    )
    for warning in warnings_about(config, classes=training.classes, flips=flips, num_videos=len(training.videos)):
        log.warn(warning)
    if going_on:
        log.say(f"goes on after epoch {progress.epoch}, batch {progress.batch}")

    accelerator.init_trackers("tensorboard")
    world_size = accelerator.num_processes
    batch_size = max(1, min(config.batch_size, len(training.videos)) // world_size) * world_size
    loader = training_loader(
        config.data,
        training,
        flips,
        batch_size=batch_size,
        seed=config.seed,
        rank=accelerator.process_index,
        world_size=world_size,
        pin_memory=accelerator.device.type == "cuda",
        cache=cache,
    )
    validate_now = partial(
        validate, model, validation, config, clip_format, accelerator=accelerator, cache=cache, log=log
    )
    progress = fit(
        task,
        optimizer,
        config,
        accelerator=accelerator,
        loader=loader,
        num_videos=len(training.videos),
        batch_size=batch_size,
        validate=validate_now if validation.videos else None,
        progress=progress,
        out=out,
        log=log,
    )
    if accelerator.is_main_process:
        write_bad_videos(out, progress.bad_videos.values())
        save_weights(out / WEIGHTS_FILE, model)  # last of all: it marks the run as finished
    accelerator.end_training()


def build_model(config: RunConfig, *, num_classes: int) -> ActionModel:
    """Build the network of a run."""
    in_channels = NUM_CHANNELS[config.data.modality]
    arguments: dict[str, Any] = dataclasses.asdict(config.model)
    return create_model(**arguments, num_classes=num_classes, in_channels=in_channels)


def build_task(config: RunConfig, model: ActionModel, *, sizes: Sequence[int] = ()) -> PlainTask:
    """Build the training method of a run; `sizes` are those of its labellings, where there are several.

    Raises:
        WeightsError: there is no teacher where `mfr_teacher` points.
        ValueError: the teacher's architecture is not the student's.
    """
    options = {
        "sizes": sizes,
        "label_smoothing": config.label_smoothing,
        "freeze_batch_norm": config.optim.freeze_batch_norm,
    }
    if not config.mfr:
        return PlainTask(model, **options)
    assert config.mfr_teacher is not None, "`train` has put in the one that it trained"
    teacher = load_checkpoint(config.mfr_teacher, weights=WEIGHTS_FILES[config.mfr_teacher_weights]).model
    for part in MUST_AGREE:
        theirs, ours = teacher.arguments[part], model.arguments[part]
        if theirs != ours:
            raise ValueError(
                f"the teacher {config.mfr_teacher} has {part} {theirs}, the student {ours}; mature features come from "
                "a network of identical architecture"
            )
    return MatureFeatureTask(model, teacher, weight=config.mfr_weight, reduction=config.mfr_reduction, **options)


def validate(
    model: ActionModel,
    videos: Manifest,
    config: RunConfig,
    clip_format: ClipFormat,
    *,
    accelerator: Accelerator,
    cache: FrameCache | None,
    log: RunLog,
) -> dict[str, float]:
    """Validate by the `center` protocol; the processes share the videos, and each returns the metrics of all.

    Videos that cannot be read are named once, and left out.

    Raises:
        TrainingError: more than 5 % of the videos cannot be read.
    """
    sizes = tuple(videos.labellings.values())
    with accelerator.autocast():
        part = evaluate_videos(
            model,
            videos.videos,
            classes=videos.classes,
            sizes=sizes,
            protocol=PROTOCOLS["center"],
            clip_format=clip_format,
            device=accelerator.device,
            batch_size=max(1, config.batch_size // accelerator.num_processes),
            num_workers=0 if cache is not None else config.data.num_workers,
            skip_bad=True,
            cache=cache,
            rank=accelerator.process_index,
            world_size=accelerator.num_processes,
        )
    gathered = gather_object([part])
    bad = [video for theirs in gathered for video in theirs.bad]
    for video in bad:
        log.warn(f"validation leaves out {video.reason}")
    if len(bad) > MOST_BAD_VIDEOS * len(videos):
        raise TrainingError(
            f"{len(bad)} of {len(videos)} validation videos cannot be read, more than {MOST_BAD_VIDEOS:.0%}; mend "
            "them and go on with --resume"
        )
    scores = torch.cat([theirs.scores for theirs in gathered])
    labels = torch.cat([theirs.labels for theirs in gathered])
    metrics, parts = compute_all_metrics(scores, labels, sizes)
    loss = cross_entropy(scores, labels, sizes).item()
    of_parts = {f"{name}_top1": part.top1 for name, part in zip(videos.labellings, parts, strict=True)}
    return {"top1": metrics.top1, "top5": metrics.top5, "loss": loss, **of_parts}


def warnings_about(config: RunConfig, *, classes: Sequence[str], flips: FlipMap, num_videos: int) -> list[str]:
    """Return what a practitioner should know about this run, most dangerous first."""
    found = []
    optim = config.optim
    if not optim.scale_lr and config.batch_size != optim.lr_batch_size:
        fitting = optim.lr * config.batch_size / optim.lr_batch_size
        found.append(
            f"the learning rate {optim.lr:g} belongs to a batch of {optim.lr_batch_size}, not {config.batch_size}; "
            f"{fitting:g} would fit (optim.scale_lr=true does this)"
        )
    sided = [*(classes[place] for pair in flips.pairs for place in pair), *flips.unpaired]
    if config.data.flip == "plain" and sided:
        found.append(
            f"flips keep their labels although {len(sided)} classes speak of a side (such as {sorted(sided)[0]!r}); "
            "data.flip=auto swaps them"
        )
    if config.data.flip == "auto" and flips.unpaired:
        found.append(
            f"flips are off: {flips.unpaired[0]!r} speaks of a side but its mirror image is no class "
            "(data.flip=plain flips all the same)"
        )
    if optim.freeze_batch_norm:
        found.append(
            "all batch norms but the first are frozen; the paper's figures need them trained "
            "(optim.freeze_batch_norm=false)"
        )
    if config.batch_size > num_videos:
        found.append(
            f"a batch of {config.batch_size} is more than the {num_videos} videos there are; it is cut to them"
        )
    return found
