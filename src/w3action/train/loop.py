"""The one training loop. Methods are tasks that it calls; it knows neither W3 nor MFR.

Every random number is a function of (seed, epoch, index) for data and of (seed, step, process) for dropout, and the
learning rate one of the step. So the loop can stop anywhere and go on as if nothing had happened.
"""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch.utils.data import DataLoader

from w3action.clip_format import NUM_CHANNELS
from w3action.config import DataConfig, RunConfig
from w3action.data import ClipBatch
from w3action.labellings import first_classes
from w3action.runs.checkpoint import save_weights
from w3action.runs.folder import BEST_WEIGHTS_FILE, STATE_FILE
from w3action.train.log import RunLog
from w3action.train.optimizer import rate_factor, set_learning_rate
from w3action.train.state import Progress, save_state
from w3action.train.tasks import PlainTask

MOST_BAD_VIDEOS = 0.05  # of the training set
CHECK_EVERY_STEPS = 10  # looking at a loss waits for the device


class TrainingError(ValueError):
    """A run that cannot go on; the message says why and what to try."""


def fit(
    task: PlainTask,
    optimizer: torch.optim.Optimizer,
    config: RunConfig,
    *,
    accelerator: Accelerator,
    loader: Callable[[int, int], DataLoader],
    num_videos: int,
    batch_size: int,
    validate: Callable[[], dict[str, float]] | None,
    progress: Progress,
    out: Path,
    log: RunLog,
) -> Progress:
    """Train from where `progress` stands to the end; write the state, and `best.safetensors` with a val set.

    Args:
        task: losses of a batch; its `model` is what is saved.
        optimizer: over the task's parameters, with groups of `parameter_groups`.
        config: how long, how fast and how often.
        accelerator: devices, precision, processes.
        loader: (epoch, first batch) -> the batches of this process from there on.
        num_videos: in the training set, over all processes.
        batch_size: clips of a step over all processes; it may be less than the config's.
        validate: returns the validation metrics, `top1` among them; None where there is nothing to validate on.
        progress: where to go on from; a new `Progress()` starts at the beginning.
        out: the run's folder.
        log: where lines and bars go.

    Raises:
        TrainingError: the loss is NaN or infinite, or more than 5 % of the videos cannot be read.
        OSError: a checkpoint could not be written; the last one is whole.
    """
    model, optim = task.model, config.optim
    full_rate = optim.lr * (batch_size / optim.lr_batch_size if optim.scale_lr else 1.0)
    wrapped, optimizer = accelerator.prepare(task, optimizer)
    if progress.scaler and accelerator.scaler is not None:
        accelerator.scaler.load_state_dict(progress.scaler)

    def save() -> None:
        if accelerator.is_main_process:
            if accelerator.scaler is not None:  # of fp16
                progress.scaler = accelerator.scaler.state_dict()
            save_state(out / STATE_FILE, model=model, optimizer=optimizer.optimizer, progress=progress)
        accelerator.wait_for_everyone()

    for epoch in range(progress.epoch, config.epochs):
        wrapped.train()
        batches = loader(epoch, progress.batch)
        num_batches = progress.batch + len(batches)
        started, clips_since_start = time.perf_counter(), 0
        sums = _Sums(progress.epoch_sums, accelerator)
        done = min(num_videos, progress.batch * batch_size)
        with log.bar(f"epoch {epoch + 1}/{config.epochs}", num_videos, done=done) as advance:
            for batch in batches:
                passed = (epoch + progress.batch / num_batches) / config.epochs  # share of the run
                factor = rate_factor(passed, schedule=optim.schedule, milestones=optim.milestones, warmup=optim.warmup)
                set_learning_rate(optimizer, full_rate * factor)
                torch.manual_seed(_step_seed(config.seed, progress.step, accelerator.process_index))
                _note_bad(batch, progress, log)
                num_clips = len(batch.labels)
                if num_clips > 0:
                    _step(wrapped, optimizer, batch, num_clips, config, accelerator, sums)
                elif accelerator.num_processes > 1:  # the others wait for this one's gradients: it gives zeros
                    _step(wrapped, optimizer, _any_clip(config.data, task.sizes), 0, config, accelerator, sums)
                progress.batch += 1
                progress.step += 1
                every = config.checkpoint_every_steps
                is_due = every is not None and progress.step % every == 0 and progress.batch < num_batches
                if is_due or progress.step % CHECK_EVERY_STEPS == 0:  # never save what no run can go on from
                    sums.check(progress.step)
                    _check_bad(progress, num_videos, accelerator)
                clips_since_start += num_clips * accelerator.num_processes
                advance(num_clips * accelerator.num_processes, note=sums.note)
                if is_due:
                    progress.epoch_sums = sums.total()
                    save()
        seconds = time.perf_counter() - started
        sums.check(progress.step)
        _check_bad(progress, num_videos, accelerator)
        row = {"epoch": epoch + 1.0, **sums.means()}
        if clips_since_start:
            row["clips_per_second"] = clips_since_start / seconds
        if validate is not None and ((epoch + 1) % config.eval_every == 0 or epoch + 1 == config.epochs):
            progress.epoch_sums = sums.total()
            save()  # should validation fail, the epoch is not lost
            wrapped.eval()
            row |= {f"val_{key}": value for key, value in validate().items()}
        progress.history.append(row)
        progress.epoch, progress.batch, progress.epoch_sums = epoch + 1, 0, {}
        is_best = row.get("val_top1", -1.0) > progress.best_top1
        if is_best:
            progress.best_top1 = row["val_top1"]
            if accelerator.is_main_process:
                save_weights(out / BEST_WEIGHTS_FILE, model)
        log.epoch(row, progress.history)
        save()
    return progress


def _step(
    task: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: ClipBatch,
    num_clips: int,
    config: RunConfig,
    accelerator: Accelerator,
    sums: "_Sums",
) -> None:
    batch = batch.to(accelerator.device)
    with accelerator.autocast():
        output = task(batch.clips[:, 0], batch.labels)  # training clips are single views
    loss = torch.stack(list(output.losses.values())).sum()
    optimizer.zero_grad(set_to_none=True)
    accelerator.backward(loss * min(num_clips, 1))
    norm = accelerator.clip_grad_norm_(task.parameters(), config.optim.clip_norm)  # as it was before clipping
    optimizer.step()
    values = {**output.losses, "loss": loss}
    if norm is not None:  # DeepSpeed, which clips by itself, may not tell
        values["gradient_norm"] = torch.where(norm.isfinite(), norm, config.optim.clip_norm)  # fp16 skips this step
    sums.add(num_clips, values, output.correct[:num_clips].sum())


def _any_clip(config: DataConfig, sizes: Sequence[int]) -> ClipBatch:
    """Make a batch of one clip, of zeros, of the size that is trained on."""
    clip = torch.zeros(1, 1, NUM_CHANNELS[config.modality], config.num_frames, config.size, config.size)
    return ClipBatch(clip, labels=first_classes(sizes), indices=torch.zeros(1, dtype=torch.long), bad=())


class _Sums:
    """Running sums of an epoch, kept on the device until somebody looks."""

    def __init__(self, start: dict[str, float], accelerator: Accelerator):
        self.accelerator = accelerator
        start = start if accelerator.is_main_process else {}  # saved as the total over processes
        self.sums = {key: torch.tensor(value, dtype=torch.float64) for key, value in start.items()}
        self.note = ""

    def add(self, num_clips: int, values: dict[str, torch.Tensor], correct: torch.Tensor) -> None:
        new = {"clips": torch.tensor(float(num_clips)), "correct": correct}
        new |= {key: value.detach() * num_clips for key, value in values.items()}
        for key, value in new.items():
            precision = torch.float32 if value.device.type == "mps" else torch.float64  # mps has no float64
            self.sums[key] = self.sums.get(key, torch.zeros(())).to(value.device, precision) + value.to(precision)

    def check(self, step: int) -> None:
        means = _means({key: value.item() for key, value in self.sums.items()})
        if not means:
            return
        self.note = f"loss {means['loss']:.3f}"
        if not math.isfinite(means["loss"]):
            raise TrainingError(
                f"the loss is {means['loss']} at step {step}; start anew in another --out with a lower learning rate "
                "(--set optim.lr=... or optim.clip_norm=...), or look for broken labels"
            )

    def total(self) -> dict[str, float]:
        """Add up over all processes; every process must call it."""
        if not self.sums:
            return {}
        keys = sorted(self.sums)
        local = torch.stack([self.sums[key].cpu().double() for key in keys]).to(self.accelerator.device)
        return dict(zip(keys, self.accelerator.reduce(local, "sum").tolist(), strict=True))

    def means(self) -> dict[str, float]:
        """Average over all processes' clips."""
        return _means(self.total())


def _means(total: dict[str, float]) -> dict[str, float]:
    clips = total.get("clips", 0)
    if clips == 0:
        return {}
    means = {key: value / clips for key, value in total.items() if key not in {"clips", "correct"}}
    return {**means, "train_top1": 100 * total["correct"] / clips}


def _note_bad(batch: ClipBatch, progress: Progress, log: RunLog) -> None:
    for bad in batch.bad:
        if str(bad.index) not in progress.bad_videos:  # JSON's keys are text
            progress.bad_videos[str(bad.index)] = [bad.path, bad.reason]
            log.warn(f"skipped {bad.reason}")


def _check_bad(progress: Progress, num_videos: int, accelerator: Accelerator) -> None:
    """Stop in all processes, or in none."""
    if accelerator.num_processes > 1:
        for theirs in gather_object([progress.bad_videos]):
            progress.bad_videos |= theirs
    if len(progress.bad_videos) > MOST_BAD_VIDEOS * num_videos:
        first, reason = next(iter(progress.bad_videos.values()))
        raise TrainingError(
            f"{len(progress.bad_videos)} of {num_videos} training videos cannot be read, more than "
            f"{MOST_BAD_VIDEOS:.0%}; the first is {first} ({reason}); mend or remove them"
        )


def _step_seed(seed: int, step: int, process: int) -> int:
    return (seed * 1_000_003 + step) * 4096 + process
