"""Measure a finished run: checkpoint + videos + protocol -> a `Measurement`, written beside the run.

Three kinds of files are written: a report (JSON) with all that is needed to repeat it, every video's scores, to be
fused with another run's, and pictures of the confusions.
"""

import importlib.metadata
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool

from w3action.data import FrameCache, read_manifest
from w3action.data.video import identity
from w3action.evaluate import Metrics, evaluate_videos
from w3action.evaluate.confusion import draw_confusion
from w3action.evaluate.metrics import compute_all_metrics
from w3action.evaluate.protocols import look_up_protocol
from w3action.files import write_bytes, write_json
from w3action.labellings import are_right
from w3action.models import Cost, count_cost
from w3action.models.for_inference import for_inference
from w3action.recipes import changed_settings
from w3action.runs.checkpoint import load_checkpoint
from w3action.runs.figures import metrics_as_json
from w3action.runs.folder import CONFUSION_FILE, REPORT_FILE, SCORES_FILE, WEIGHTS_FILE, read_run_file
from w3action.runs.score_file import VideoScores, to_bytes


@dataclass(frozen=True)
class Measurement:
    """A run's figures by one protocol, and the files that hold them."""

    metrics: Metrics  # with several labellings: of their outcomes
    parts: dict[str, Metrics]  # of each labelling, where there are several
    classes: tuple[str, ...]
    cost: Cost  # of one view
    num_views: int
    clips_per_second: float  # views scored a second, decoding included
    num_skipped: int
    correct: Bool[np.ndarray, " n"]  # whether each video's first guess is right, in the manifest's order
    report: Path  # JSON
    scores: Path | None  # of every video, to be fused with another run's; None for several labellings
    pictures: tuple[Path, ...]  # confusion matrices, one for each labelling

    def classes_of(self, labelling: str) -> list[str]:
        """Return the classes of one labelling, by their own names."""
        prefix = f"{labelling}: "
        return [name.removeprefix(prefix) for name in self.classes if name.startswith(prefix)]


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
        OSError: a file cannot be written.
    """
    chosen = look_up_protocol(protocol)
    checkpoint = load_checkpoint(run, device=device, weights=weights)
    clip, sizes = checkpoint.clip_format, checkpoint.sizes
    settings = read_run_file(checkpoint.path.parent)  # None of an imported run
    label_column = settings["config"]["data"]["label_column"] if settings else "label"
    manifest = read_manifest(data, split=split, classes=checkpoint.classes, label_column=label_column)
    on_start(len(manifest.videos))

    placed = next(checkpoint.model.parameters()).device
    model = for_inference(checkpoint.model, autocast=torch.bfloat16) if bf16 else checkpoint.fast
    started = time.perf_counter()
    with torch.autocast(placed.type, torch.bfloat16, enabled=bf16):
        found = evaluate_videos(
            model,
            manifest.videos,
            classes=checkpoint.classes,
            sizes=sizes,
            protocol=chosen,
            clip_format=clip,
            device=placed,
            batch_size=batch_size,
            num_workers=num_workers,
            skip_bad=skip_bad,
            cache=cache,
            on_videos=on_videos,
        )
    seconds = time.perf_counter() - started

    metrics, single = compute_all_metrics(found.scores, found.labels, sizes)
    parts = dict(zip(checkpoint.labellings, single, strict=True))
    num_views, view_size = chosen.num_views(clip), chosen.view_size(clip)
    out = out or checkpoint.path.parent
    pictured = [f"{protocol}_{name}" for name in parts] or [protocol]
    measured = Measurement(
        metrics,
        parts,
        checkpoint.classes,
        cost=count_cost(checkpoint.model, num_frames=clip.num_frames, size=view_size, in_channels=clip.num_channels),
        num_views=num_views,
        clips_per_second=metrics.num_videos * num_views / seconds,
        num_skipped=len(found.bad),
        correct=are_right(found.scores, found.labels, sizes).numpy(),
        report=out / REPORT_FILE.format(protocol),
        scores=None if parts else out / SCORES_FILE.format(protocol),
        pictures=tuple(out / CONFUSION_FILE.format(name) for name in pictured),
    )

    about = {
        "run": str(run),
        "data": str(data),
        "split": split,
        "protocol": protocol,
        "recipe": settings["config"]["recipe"] if settings else None,
        "changed": changed_settings(settings["config"]) if settings else [],
        "weights": checkpoint.path.name,
        "weights_sha256": checkpoint.sha256,
    }
    if measured.scores is not None:
        videos = tuple(identity(manifest.videos[i], source=manifest.source) for i in found.indices.tolist())
        costs = {"gflops": measured.cost.gflops * num_views, "params": measured.cost.params}
        scored = VideoScores(found.scores, found.labels, videos, checkpoint.classes, chosen.fusion, {**about, **costs})
        write_bytes(measured.scores, to_bytes(scored))
    about |= {
        "device": str(placed),
        "precision": "bfloat16" if bf16 else "float32",
        "settings": settings,
        "version": importlib.metadata.version("w3action"),
        "commit": _commit(),
        "torch": torch.__version__,
    }
    write_json(measured.report, {**_as_json(measured), **about})
    _draw(measured, title=run.name, protocol=protocol)
    return measured


def _as_json(measured: Measurement) -> dict[str, Any]:
    tasks = {name: metrics_as_json(part, measured.classes_of(name)) for name, part in measured.parts.items()}
    return {
        "num_videos": measured.metrics.num_videos,
        "num_skipped": measured.num_skipped,
        **metrics_as_json(measured.metrics, measured.classes),
        **({"tasks": tasks} if tasks else {}),
        "gflops_per_view": measured.cost.gflops,
        "num_views": measured.num_views,
        "gflops": measured.cost.gflops * measured.num_views,
        "params": measured.cost.params,
        "clips_per_second": measured.clips_per_second,
        "scores": None if measured.scores is None else measured.scores.name,
    }


def _draw(measured: Measurement, *, title: str, protocol: str) -> None:
    drawn = [(name, part, measured.classes_of(name)) for name, part in measured.parts.items()]
    drawn = drawn or [(title, measured.metrics, list(measured.classes))]
    for (name, metrics, classes), path in zip(drawn, measured.pictures, strict=True):
        draw_confusion(metrics, classes, path, title=f"{name}: {metrics.top1:.1f} % top-1, {protocol}")


def _commit() -> str | None:
    """Return the commit of the source that runs, or None outside a checkout."""
    # An installed package may lie in somebody else's repository, which does not track it.
    command = f"git ls-files --error-unmatch {Path(__file__).name} && git describe --always --dirty --abbrev=40"
    here = Path(__file__).parent
    try:
        found = subprocess.run(command, shell=True, cwd=here, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.splitlines()[-1]
