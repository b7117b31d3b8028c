"""Measure a finished run: checkpoint + videos + protocol -> a `Measurement`, written beside the run."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from w3action.clip_format import modality_of
from w3action.data import FrameCache, read_manifest
from w3action.data.video import identity
from w3action.evaluate import evaluate_videos
from w3action.evaluate.metrics import compute_all_metrics
from w3action.evaluate.protocols import look_up
from w3action.evaluate.score_file import VideoScores
from w3action.labellings import are_right
from w3action.models import count_cost
from w3action.models.for_inference import for_inference
from w3action.runs.checkpoint import load_checkpoint
from w3action.runs.folder import RUN_FILE, WEIGHTS_FILE
from w3action.runs.measurement import Measurement, origin_of, write_measurement


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
    bf16: bool = False,
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
        bf16: compute in bfloat16 where PyTorch's autocast does.
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
    clip, in_channels = checkpoint.clip_format, checkpoint.model.arguments["in_channels"]
    on_start(len(manifest.videos))
    model = for_inference(checkpoint.model, autocast=torch.bfloat16 if bf16 else None)
    started = time.perf_counter()
    with torch.autocast(placed.type, torch.bfloat16, enabled=bf16):
        scores = evaluate_videos(
            model,
            manifest.videos,
            classes=checkpoint.classes,
            sizes=checkpoint.sizes,
            protocol=chosen,
            num_frames=clip.num_frames,
            size=clip.size,
            resize=clip.resize,
            modality=modality_of(in_channels),
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
    about: dict[str, Any] = {"run": str(run), "data": str(data), "split": split, "protocol": protocol}
    about |= origin_of(checkpoint, settings)
    scored = None
    if not parts:
        scored = VideoScores(
            scores.scores[order],
            scores.labels[order],
            tuple(identity(manifest.videos[i], source=manifest.source) for i in scores.indices[order].tolist()),
            checkpoint.classes,
            chosen.fusion,
            {**about, "gflops": cost.gflops * num_views, "params": cost.params},
        )
    about |= {"device": str(placed), "precision": "bfloat16" if bf16 else "float32", "settings": settings}
    write_measurement(measurement, scored, about=about, title=run.name)
    return measurement


def _settings_of(run: Path) -> dict[str, Any] | None:
    path = (run if run.is_dir() else run.parent) / RUN_FILE
    return json.loads(path.read_text()) if path.is_file() else None


def _label_column(settings: dict[str, Any] | None) -> str:
    return settings["config"]["data"]["label_column"] if settings else "label"
