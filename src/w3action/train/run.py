"""Put a run together: config + videos -> network, task, loop -> a folder that holds the finished network.

The folder: `run.json` (what it was made from), `model.json` and `model.safetensors` (the network after the last
epoch), `best.safetensors` (after its best validation), `metrics.csv`, `tensorboard/`, `state.safetensors` (to go
on from), `bad_videos.csv` (if any), `held_out.csv` (validation videos that the run chose itself), and `teacher/`, a
run of its own, if stage one of MFR was trained here.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from w3action.clip_format import NUM_CHANNELS, ClipFormat
from w3action.config import RunConfig
from w3action.data import FrameCache, Manifest, find_flip_pairs, keep_fraction, write_manifest
from w3action.evaluate import PROTOCOLS, evaluate_videos
from w3action.evaluate.metrics import compute_all_metrics
from w3action.labellings import cross_entropy, first_classes
from w3action.models import ActionModel, create_model
from w3action.models.backbone import put_channels_last_
from w3action.models.create import check_choices, look_up_network
from w3action.runs.checkpoint import load_checkpoint, save_description, save_weights
from w3action.runs.folder import (
    BEST_WEIGHTS_FILE,
    HELD_OUT_FILE,
    STATE_FILE,
    TEACHER_FOLDER,
    WEIGHTS_FILE,
    claim,
    is_finished,
    write_bad_videos,
)
from w3action.train.checks import warnings
from w3action.train.clips import read_videos, resize_for, training_loader
from w3action.train.log import RunLog
from w3action.train.loop import MOST_BAD_VIDEOS, Schedule, TrainingError, fit
from w3action.train.optimizer import build_optimizer, parameter_groups, rate_factor
from w3action.train.state import Progress, load_state
from w3action.train.tasks import MatureFeatureTask, PlainTask


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
    torch.manual_seed(config.seed)  # the same seed gives student and teacher the same start (section 3.4)
    model = build_model(config, num_classes=len(training.classes)).to(accelerator.device)
    task = build_task(config, model, sizes=tuple(training.labellings.values())).to(accelerator.device)
    put_channels_last_(task)  # the teacher of MFR is in it
    groups = parameter_groups(
        model,
        classifier=model.head.classifier,
        weight_decay=config.optim.weight_decay,
        rates=config.optim.group_rates,
    )
    optimizer = build_optimizer(config.optim.name, groups, momentum=config.optim.momentum)
    clip_format = ClipFormat(config.data.num_frames, config.data.size, resize_for(config.data))
    state_path = out / STATE_FILE
    going_on = resume and state_path.is_file()
    progress = load_state(state_path, model=model, optimizer=optimizer) if going_on else Progress()
    if accelerator.is_main_process:
        save_description(out, model, classes=training.classes, clip_format=clip_format, labellings=training.labellings)

    flips = find_flip_pairs(training.classes)
    log.say(
        f"{len(training.videos)} videos to train on, {len(validation.videos)} to validate on, "
        f"{len(training.classes)} classes, on {accelerator.device}"
    )
    for warning in warnings(config, classes=training.classes, flips=flips, num_videos=len(training.videos)):
        log.warn(warning)
    if going_on:
        log.say(f"goes on after epoch {progress.epoch}, batch {progress.batch}")

    accelerator.init_trackers("tensorboard")
    world_size = accelerator.num_processes
    batch_size = max(1, min(config.batch_size, len(training.videos)) // world_size) * world_size
    progress = fit(
        task,
        optimizer,
        accelerator=accelerator,
        loader=training_loader(
            config.data,
            training,
            flips,
            batch_size=batch_size,
            seed=config.seed,
            rank=accelerator.process_index,
            world_size=world_size,
            pin_memory=accelerator.device.type == "cuda",
            cache=cache,
        ),
        num_videos=len(training.videos),
        evaluate=validator(model, validation, clip_format, config, accelerator, cache, log)
        if validation.videos
        else None,
        schedule=build_schedule(config, batch_size, sizes=tuple(training.labellings.values())),
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
    arguments = {field.name: getattr(config.model, field.name) for field in dataclasses.fields(config.model)}
    arguments["in_channels"] = NUM_CHANNELS[config.data.modality]
    return create_model(arguments.pop("name"), num_classes=num_classes, **arguments)


def build_task(config: RunConfig, model: ActionModel, *, sizes: Sequence[int] = ()) -> PlainTask:
    """Build the training method of a run; `sizes` are those of its labellings, where there are several.

    Raises:
        WeightsError: there is no teacher where `mfr_teacher` points.
        ValueError: the teacher's architecture is not the student's.
    """
    shared = {
        "sizes": sizes,
        "label_smoothing": config.label_smoothing,
        "freeze_batch_norm": config.optim.freeze_batch_norm,
    }
    if not config.mfr:
        return PlainTask(model, **shared)
    assert config.mfr_teacher is not None
    weights = {"last": WEIGHTS_FILE, "best": BEST_WEIGHTS_FILE}[config.mfr_teacher_weights]
    teacher = load_checkpoint(config.mfr_teacher, weights=weights).model
    for part in (
        "in_channels",
        "name",
        "attention",
        "attention_options",
        "place",
        "refine",
        "refine_from",
        "head_options",
    ):
        theirs, ours = teacher.arguments[part], model.arguments[part]
        if theirs != ours:
            raise ValueError(
                f"the teacher {config.mfr_teacher} has {part} {theirs}, the student {ours}; mature features come from "
                "a network of identical architecture"
            )
    return MatureFeatureTask(model, teacher, weight=config.mfr_weight, reduction=config.mfr_reduction, **shared)


def build_schedule(config: RunConfig, batch_size: int, *, sizes: Sequence[int] = ()) -> Schedule:
    """Take a config apart for the loop."""
    optim = config.optim

    def factor(passed: float) -> float:
        return rate_factor(passed, schedule=optim.schedule, milestones=optim.milestones, warmup=optim.warmup)

    return Schedule(
        epochs=config.epochs,
        batch_size=batch_size,
        seed=config.seed,
        learning_rate=optim.lr * (batch_size / optim.lr_batch_size if optim.scale_lr else 1.0),
        rate_factor=factor,
        clip_norm=optim.clip_norm,
        empty_clip=torch.zeros(
            1, NUM_CHANNELS[config.data.modality], config.data.num_frames, config.data.size, config.data.size
        ),
        empty_labels=first_classes(sizes),
        eval_every=config.eval_every,
        checkpoint_every_steps=config.checkpoint_every_steps,
    )


def validator(
    model: ActionModel,
    videos: Manifest,
    clip_format: ClipFormat,
    config: RunConfig,
    accelerator: Accelerator,
    cache: FrameCache | None,
    log: RunLog,
) -> Callable[[], dict[str, float]]:
    """Return the function that validates by the `center` protocol; the processes share the videos.

    Videos that cannot be read are named once, and left out.
    """
    named: set[str] = set()
    sizes = tuple(videos.labellings.values())

    def validate() -> dict[str, float]:
        with accelerator.autocast():
            part = evaluate_videos(
                model,
                videos.videos,
                classes=videos.classes,
                sizes=sizes,
                protocol=PROTOCOLS["center"],
                num_frames=clip_format.num_frames,
                size=clip_format.size,
                resize=clip_format.resize,
                modality=config.data.modality,
                device=accelerator.device,
                batch_size=max(1, config.batch_size // accelerator.num_processes),
                num_workers=0 if cache is not None else config.data.num_workers,
                skip_bad=True,
                cache=cache,
                rank=accelerator.process_index,
                world_size=accelerator.num_processes,
            )
        gathered = gather_object([(part.scores, part.labels, part.bad)])
        num_bad = sum(len(bad) for _, _, bad in gathered)
        scores = torch.cat([scores for scores, _, _ in gathered])
        labels = torch.cat([labels for _, labels, _ in gathered])
        for video in (video for _, _, bad in gathered for video in bad if video.path not in named):
            named.add(video.path)
            log.warn(f"validation leaves out {video.reason}")
        if num_bad > MOST_BAD_VIDEOS * len(videos):
            raise TrainingError(
                f"{num_bad} of {len(videos)} validation videos cannot be read, more than {MOST_BAD_VIDEOS:.0%}; mend "
                "them and go on with --resume"
            )
        metrics, parts = compute_all_metrics(scores, labels, sizes)
        of_parts = {f"{name}_top1": part.top1 for name, part in zip(videos.labellings, parts, strict=True)}
        return {
            "top1": metrics.top1,
            "top5": metrics.top5,
            "loss": cross_entropy(scores, labels, sizes).item(),
            **of_parts,
        }

    return validate
