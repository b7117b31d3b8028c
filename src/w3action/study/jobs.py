"""Run what a study needs: one training and one measurement for each variant and seed, several at once, none twice.

A run stands in `out/runs/VARIANT/seed_S`, a folder of `w3 train` with a `result.json` beside the weights. A killed
study goes on where it was: finished runs are read, a half-trained one resumes from its state.
"""

import contextlib
import dataclasses
import json
import multiprocessing
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool

from w3action.config import ConfigError, RunConfig, override
from w3action.data import FrameCache, read_manifest
from w3action.files import write_bytes
from w3action.models import NETWORKS
from w3action.runs.folder import claim, read_metrics
from w3action.runs.measure import measure
from w3action.study.tables import VARIANTS, rate_factor_of
from w3action.train import train

RESULT_FILE = "result.json"
LOG_FILE = "log.txt"


class StudyError(ValueError):
    """A study that cannot be run, or some of whose runs failed."""


@dataclass(frozen=True)
class Videos:
    """The videos of a study: to train on, to choose by, and to report on."""

    data: Path
    val: Path | None
    test: Path
    test_split: str | None
    choosing: Path
    choosing_split: str | None

    @property
    def has_test(self) -> bool:
        """Whether the videos reported on are others than those chosen by."""
        return (self.test, self.test_split) != (self.choosing, self.choosing_split)

    def tested_on(self, job: "Job") -> str:
        """Say what a job is measured on."""
        path, split = (self.choosing, self.choosing_split) if job.is_trial else (self.test, self.test_split)
        return f"{path.name}, {split}" if split else path.name


@dataclass(frozen=True)
class Job:
    """A run to be done."""

    variant: str
    seed: int
    config: RunConfig
    folder: Path
    teacher: Path | None  # the run that must be finished before
    is_trial: bool  # measured on the validation videos, not on those that tables report


@dataclass(frozen=True)
class Result:
    """What came of a run; accuracies in percent.

    Attributes:
        train_top1: of the last epoch's training clips.
        train_clips_per_second: of the median epoch.
        eval_clips_per_second: while measuring, loading included.
        seconds: of training and measuring, in the process that finished it.
        tested_on: the list of videos and its split.
        correct: whether each video of the test set was right, in the manifest's order.
    """

    variant: str
    seed: int
    top1: float
    top5: float
    mean_class_accuracy: float
    train_top1: float
    gflops: float
    params: int
    train_clips_per_second: float
    eval_clips_per_second: float
    seconds: float
    tested_on: str
    correct: Bool[np.ndarray, " n"]


def find_videos(data: Path, val: Path | None, test: Path | None, *, label_column: str = "label") -> Videos:
    """Find what a study trains on, chooses by and reports on.

    Reported are `test`, else the manifest's test split, else the validation videos; chosen is by the validation videos
    alone. Where there is no test set, both are the same, and a report says so.

    Raises:
        ManifestError: a list cannot be read.
        StudyError: there are no validation videos.
    """
    everything = read_manifest(data, label_column=label_column)
    if val is not None:
        choosing: tuple[Path, str | None] = (val, None)
    elif everything.has_split("val"):
        choosing = (data, "val")
    else:
        raise StudyError(f"{data} has no val split; give the validation videos with --val")
    if test is not None:
        reported: tuple[Path, str | None] = (test, None)
    else:
        reported = (data, "test") if everything.has_split("test") else choosing
    return Videos(data, val, *reported, *choosing)


def plan(
    variants: Sequence[str],
    *,
    seeds: Sequence[int],
    recipe: RunConfig,
    network: str,
    rates: dict[str, float],
    out: Path,
) -> list[Job]:
    """List the jobs of variants and seeds, seed by seed, teachers before their students.

    Args:
        variants: names in `VARIANTS`, teachers first.
        seeds: of the runs.
        recipe: what all of them have in common.
        network: any network of the backbone to be used, e.g. "tsm_small".
        rates: factor on the learning rate by family; 1 where a family is not in it.
        out: the study's folder.

    Raises:
        ConfigError: a setting that does not fit.
        StudyError: an unknown network.
    """
    if network not in NETWORKS:
        raise StudyError(f"unknown network {network!r}; choose one of {', '.join(NETWORKS)}")
    backbone = network.partition("_")[2]
    jobs = []
    for seed in seeds:
        for name in variants:
            variant = VARIANTS[name]
            changes = [setting.format(backbone=backbone) for setting in variant.settings]
            config = override(recipe, [*changes, f"seed={seed}"])
            teacher = None if variant.teacher is None else _folder(out, variant.teacher, seed)
            config = dataclasses.replace(
                config,
                data=dataclasses.replace(config.data, train_fraction=config.data.train_fraction * variant.fraction),
                optim=dataclasses.replace(config.optim, lr=config.optim.lr * rate_factor_of(variant, rates)),
                epochs=round(config.epochs * variant.epochs_factor),
                eval_every=round(config.eval_every * variant.epochs_factor),
                mfr_teacher=None if teacher is None else str(teacher),
            )
            jobs.append(Job(name, seed, config, _folder(out, name, seed), teacher, is_trial="*" in variant.family))
    return jobs


def exists(variant: str, network: str) -> bool:
    """Tell whether there is a network for a variant: a backbone may not have every temporal operation."""
    name = VARIANTS[variant].settings[0].partition("=")[2]
    return name.format(backbone=network.partition("_")[2]) in NETWORKS


def _folder(out: Path, variant: str, seed: int) -> Path:
    return out / "runs" / variant / f"seed_{seed}"


def read_result(folder: Path) -> Result | None:
    """Read what came of a run, or None if it is not finished."""
    path = folder / RESULT_FILE
    if not path.is_file():
        return None
    content: dict[str, Any] = json.loads(path.read_text())
    content["correct"] = np.array([letter == "1" for letter in content["correct"]])
    return Result(**content)


def _finished(job: Job, videos: Videos) -> Result | None:
    """Read what came of a job, if it is done; the same folder with other settings or videos is an error."""
    result = read_result(job.folder)
    if result is None:
        return None
    claim(job.folder, job.config, data=videos.data, val=videos.val, resume=True)
    tested_on = videos.tested_on(job)
    if result.tested_on != tested_on:
        raise StudyError(f"{job.folder} was tested on {result.tested_on}, not {tested_on}; give another --out")
    return result


def run_jobs(
    jobs: Iterable[Job], videos: Videos, *, num_parallel: int, say: Callable[[str], None]
) -> dict[tuple[str, int], Result]:
    """Do every job that is not done yet and return the results by (variant, seed).

    Args:
        jobs: teachers before their students.
        videos: of the study.
        num_parallel: runs at once; each gets its share of the CPU's threads, and one GPU where there are any.
        say: gets a line for each finished run.

    Raises:
        StudyError: runs failed, and the message names the first; the others are done. Or a finished run was tested on
            other videos than these.
        ConfigError: a finished run was made with other settings or on other videos.
    """
    jobs = list(jobs)
    results = {(job.variant, job.seed): found for job in jobs if (found := _finished(job, videos)) is not None}
    waiting = [job for job in jobs if (job.variant, job.seed) not in results]
    if not waiting:
        return results
    num_done, num_all, started = 0, len(waiting), time.perf_counter()
    failures: dict[Path, str] = {}
    context = multiprocessing.get_context("spawn")
    slots = context.Queue()
    for slot in range(num_parallel):
        slots.put(slot)
    threads = max(1, (os.cpu_count() or 1) // num_parallel)
    with ProcessPoolExecutor(num_parallel, context, _start_worker, (slots, threads, os.getpid())) as pool:
        running: dict[Future, Job] = {}
        while waiting or running:
            for job in [job for job in waiting if job.teacher in failures]:
                waiting.remove(job)
                failures[job.folder] = f"{job.variant}, seed {job.seed}: its teacher failed"
            for job in waiting[:]:
                is_ready = job.teacher is None or read_result(job.teacher) is not None
                if is_ready and len(running) < num_parallel:
                    waiting.remove(job)
                    running[pool.submit(_do, job, videos)] = job
            if not running:
                raise StudyError(f"{waiting[0].folder}: its teacher {waiting[0].teacher} is neither done nor to be run")
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job = running.pop(future)
                num_done += 1
                try:
                    result = results[job.variant, job.seed] = future.result()
                    outcome = f"{result.top1:.1f} %, {result.seconds:.0f} s"
                except BrokenProcessPool as error:
                    raise StudyError(
                        f"{job.folder}: a run was ended from outside, perhaps for want of memory; try fewer --jobs"
                    ) from error
                except (ValueError, OSError) as error:
                    outcome = failures[job.folder] = f"failed: {error}"
                left = (time.perf_counter() - started) / num_done * (num_all - num_done) / 60
                say(f"{num_done}/{num_all}  {job.variant}, seed {job.seed}: {outcome}; about {left:.0f} min left")
    if failures:
        folder, reason = next(iter(failures.items()))
        raise StudyError(f"{len(failures)} of {num_all} runs failed, first {folder}: {reason}")
    return results


_cache: FrameCache | None = None  # of this worker, for all of its runs


def _start_worker(slots: Queue, threads: int, parent: int) -> None:
    slot = slots.get()
    if torch.cuda.device_count() > 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(slot % torch.cuda.device_count())
    torch.set_num_threads(threads)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """Leave no run behind when the study is killed."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _do(job: Job, videos: Videos) -> Result:
    global _cache
    gib = job.config.data.cache_gib
    if _cache is None and gib > 0:
        _cache = FrameCache(int(gib * 2**30))
    started = time.perf_counter()
    job.folder.mkdir(parents=True, exist_ok=True)
    with (job.folder / LOG_FILE).open("a", buffering=1) as log, contextlib.redirect_stdout(log):
        train(job.config, data=videos.data, val=videos.val, out=job.folder, resume=True, cache=_cache)
        measured = measure(
            job.folder,
            data=videos.choosing if job.is_trial else videos.test,
            split=videos.choosing_split if job.is_trial else videos.test_split,
            num_workers=0 if _cache is not None else job.config.data.num_workers,
            cache=_cache,
        )
    epochs = read_metrics(job.folder)
    result = Result(
        variant=job.variant,
        seed=job.seed,
        top1=measured.metrics.top1,
        top5=measured.metrics.top5,
        mean_class_accuracy=measured.metrics.mean_class_accuracy,
        train_top1=epochs[-1]["train_top1"],
        gflops=measured.cost.gflops,
        params=measured.cost.params,
        train_clips_per_second=statistics.median(epoch["clips_per_second"] for epoch in epochs),
        eval_clips_per_second=measured.clips_per_second,
        seconds=time.perf_counter() - started,
        tested_on=videos.tested_on(job),
        correct=measured.correct,
    )
    write_bytes(job.folder / RESULT_FILE, (json.dumps(_as_json(result), indent=2) + "\n").encode())
    return result


def _as_json(result: Result) -> dict[str, Any]:
    return {**dataclasses.asdict(result), "correct": "".join("01"[int(right)] for right in result.correct)}


def check_parallel(num_parallel: int | None) -> int:
    """Return how many runs go at once: as given, else one for each GPU, else one for each CPU core.

    Raises:
        ConfigError: less than one.
    """
    if num_parallel is None:
        return torch.cuda.device_count() or os.cpu_count() or 1
    if num_parallel < 1:
        raise ConfigError(f"--jobs is {num_parallel}; give at least 1")
    return num_parallel
