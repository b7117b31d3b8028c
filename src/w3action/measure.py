"""Measure a finished run: checkpoint + videos + protocol -> numbers, scores, a picture, all needed to repeat it."""

import importlib.metadata
import json
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool

from w3action.data import FrameCache, read_manifest
from w3action.data.clip import modality_of
from w3action.data.identity import identity
from w3action.evaluate import Metrics, evaluate_videos
from w3action.evaluate.metrics import compute_all_metrics
from w3action.evaluate.protocols import look_up
from w3action.evaluate.report import draw_confusion
from w3action.evaluate.score_file import VideoScores, to_bytes
from w3action.labellings import are_right
from w3action.models import Cost, count_cost, load_checkpoint
from w3action.models.checkpoint import WEIGHTS_FILE, write_atomically
from w3action.train.folder import RUN_FILE


@dataclass(frozen=True)
class Measurement:
    """A run's figures by one protocol."""

    metrics: Metrics  # of several labellings: of outcomes
    parts: dict[str, Metrics]  # of each labelling, where there are several
    classes: tuple[str, ...]
    cost: Cost  # of one view
    num_views: int
    clips_per_second: float  # views scored a second, decoding included
    num_skipped: int
    correct: Bool[np.ndarray, " n"]  # whether each video's first guess is right, in the manifest's order
    report: Path  # JSON
    scores: Path | None  # of every video, to be fused with another run's; None of several labellings
    pictures: tuple[Path, ...]  # confusion matrices, one for each labelling


def measure(
    run: Path,
    *,
    data: Path,
    protocol: str = "center",
    split: str | None = None,
    out: Path | None = None,
    weights: str = WEIGHTS_FILE,
    skip_bad: bool = False,
    batch_size: int = 16,
    num_workers: int = 2,
    device: str | None = None,
    cache: FrameCache | None = None,
    on_start: Callable[[int], None] = lambda count: None,
    on_videos: Callable[[int], None] = lambda count: None,
) -> Measurement:
    """Evaluate a run on videos; write `eval_<protocol>.json`, its `scores_...safetensors` and `confusion_...png`.

    Args:
        run: the folder of a finished run.
        data: a folder or a manifest; its labels are matched to the network's classes by name.
        protocol: one of `PROTOCOLS`.
        split: the rows of the manifest to use; None takes all.
        out: where the files go; None is the run's folder.
        weights: the weights file of the run.
        skip_bad: leave out videos that cannot be read, and say how many; otherwise they are an error.
        batch_size: views at once.
        num_workers: processes that decode.
        device: where to compute; None takes a GPU if there is one.
        cache: decoded frames to use again.
        on_start: called with the number of videos.
        on_videos: called with the number of videos of each batch.

    Raises:
        ValueError: an unknown protocol, no checkpoint, unreadable videos or manifest; see the errors' own classes.
    """
    chosen = look_up(protocol)
    checkpoint = load_checkpoint(run, device=device, weights=weights)
    placed = next(checkpoint.model.parameters()).device
    settings = _settings_of(run)
    manifest = read_manifest(data, split=split, classes=checkpoint.classes, label_column=_label_column(settings))
    clip = checkpoint.clip_format
    on_start(len(manifest.videos))
    started = time.perf_counter()
    scores = evaluate_videos(
        checkpoint.model,
        manifest.videos,
        classes=checkpoint.classes,
        sizes=checkpoint.sizes,
        protocol=chosen,
        num_frames=clip.num_frames,
        size=clip.size,
        resize=clip.resize,
        modality=modality_of(checkpoint.model.arguments["in_channels"]),
        device=placed,
        batch_size=batch_size,
        num_workers=num_workers,
        skip_bad=skip_bad,
        cache=cache,
        on_videos=on_videos,
    )
    seconds = time.perf_counter() - started
    sizes = checkpoint.sizes
    metrics, single = compute_all_metrics(scores.scores, scores.labels, sizes)
    parts = dict(zip(checkpoint.labellings, single, strict=True))
    order = scores.indices.argsort()
    correct = are_right(scores.scores, scores.labels, sizes)[order]
    num_views = chosen.num_clips * chosen.transform(size=clip.size, resize=clip.resize).num_views
    view_size = chosen.view_size(size=clip.size, resize=clip.resize)
    in_channels = checkpoint.model.arguments["in_channels"]
    cost = count_cost(checkpoint.model, num_frames=clip.num_frames, size=view_size, in_channels=in_channels)

    out = out or checkpoint.path.parent
    pictures = [out / f"confusion_{protocol}_{name}.png" for name in parts] or [out / f"confusion_{protocol}.png"]
    measurement = Measurement(
        metrics,
        parts,
        checkpoint.classes,
        cost,
        num_views,
        clips_per_second=metrics.num_videos * num_views / seconds,
        num_skipped=len(scores.bad),
        correct=correct.numpy(),
        report=out / f"eval_{protocol}.json",
        scores=None if parts else out / f"scores_{protocol}.safetensors",
        pictures=tuple(pictures),
    )
    about = {
        "run": str(run),
        "recipe": settings["config"]["recipe"] if settings else None,
        "data": str(data),
        "split": split,
        "weights": checkpoint.path.name,
        "weights_sha256": checkpoint.sha256,
        "version": importlib.metadata.version("w3action"),
        "commit": _commit(),
        "torch": torch.__version__,
        "device": str(placed),
        "settings": settings,
    }
    if measurement.scores is not None:
        scored = VideoScores(
            scores.scores[order],
            scores.labels[order],
            tuple(identity(manifest.videos[i], source=manifest.source) for i in scores.indices[order].tolist()),
            checkpoint.classes,
            chosen.fusion,
            {
                "run": str(run),
                "recipe": about["recipe"],
                "protocol": protocol,
                "split": split,
                "weights_sha256": checkpoint.sha256,
                "gflops": cost.gflops * num_views,
                "params": cost.params,
            },
        )
        write_atomically(measurement.scores, to_bytes(scored))
    content = json.dumps(_as_json(measurement, protocol, about), indent=2) + "\n"
    write_atomically(measurement.report, content.encode())
    drawn = parts or {run.name: metrics}
    for (name, part), path in zip(drawn.items(), pictures, strict=True):
        title = f"{name}: {part.top1:.1f} % top-1, {protocol}"
        draw_confusion(part, _own_classes(measurement, name), path, title=title)
    return measurement


def _own_classes(measured: Measurement, labelling: str) -> list[str]:
    """Return the classes of one labelling, or all where there is but one."""
    if not measured.parts:
        return list(measured.classes)
    prefix = f"{labelling}: "
    return [name.removeprefix(prefix) for name in measured.classes if name.startswith(prefix)]


def _as_json(measured: Measurement, protocol: str, about: dict[str, Any]) -> dict[str, Any]:
    metrics = measured.metrics
    tasks = {
        name: {
            "top1": part.top1,
            "top5": part.top5,
            "mean_class_accuracy": part.mean_class_accuracy,
            **_classes_as_json(part, _own_classes(measured, name)),
        }
        for name, part in measured.parts.items()
    }
    return {
        "protocol": protocol,
        "num_videos": metrics.num_videos,
        "num_skipped": measured.num_skipped,
        "top1": metrics.top1,
        "top5": metrics.top5,
        "mean_class_accuracy": metrics.mean_class_accuracy,
        "gflops_per_view": measured.cost.gflops,
        "num_views": measured.num_views,
        "gflops": measured.cost.gflops * measured.num_views,
        "params": measured.cost.params,
        "clips_per_second": measured.clips_per_second,
        **_classes_as_json(metrics, () if measured.parts else measured.classes),
        **({"tasks": tasks} if tasks else {}),
        "scores": None if measured.scores is None else measured.scores.name,
        **about,
    }


def _classes_as_json(metrics: Metrics, classes: Sequence[str]) -> dict[str, Any]:
    if metrics.confusion is None:
        return {}
    per_class = dict(zip(classes, metrics.per_class, strict=True))
    return {"per_class": per_class, "confusion": metrics.confusion.tolist()}


def _settings_of(run: Path) -> dict[str, Any] | None:
    path = (run if run.is_dir() else run.parent) / RUN_FILE
    return json.loads(path.read_text()) if path.is_file() else None


def _label_column(settings: dict[str, Any] | None) -> str:
    return settings["config"]["data"]["label_column"] if settings else "label"


def _commit() -> str | None:
    """Return the commit of the source that runs, or None if it is no checkout."""
    try:
        found = subprocess.run(
            # An installed package may lie in somebody else's repository, which does not track it.
            f"git ls-files --error-unmatch {Path(__file__).name} && git describe --always --dirty --abbrev=40",
            shell=True,
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.splitlines()[-1]
