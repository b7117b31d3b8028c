"""A measurement and its files: a report, every video's scores, a picture of the confusions."""

import importlib.metadata
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool

from w3action.evaluate import Metrics
from w3action.evaluate.confusion import draw_confusion
from w3action.evaluate.score_file import VideoScores, to_bytes
from w3action.files import write_bytes
from w3action.models import Cost
from w3action.recipes import changed_settings
from w3action.runs.checkpoint import Checkpoint


@dataclass(frozen=True)
class Measurement:
    """A run's figures by one protocol."""

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


def origin_of(checkpoint: Checkpoint, settings: dict[str, Any] | None) -> dict[str, Any]:
    """Say what was measured: the weights, the recipe that they come from, and what was changed in it.

    Args:
        checkpoint: of the run.
        settings: the content of its `run.json`; None of an imported run.
    """
    config = settings["config"] if settings else None
    return {
        "recipe": config["recipe"] if config else None,
        "changed": changed_settings(config) if config else [],
        "weights": checkpoint.path.name,
        "weights_sha256": checkpoint.sha256,
    }


def write_measurement(measured: Measurement, scored: VideoScores | None, *, about: dict[str, Any], title: str) -> None:
    """Write the report with all that is needed to repeat it, the scores and the pictures.

    Args:
        measured: the figures, and where the files go.
        scored: every video's scores, where there is a file for them.
        about: what else the report says.
        title: of the pictures.

    Raises:
        OSError: a file cannot be written.
    """
    if measured.scores is not None:
        assert scored is not None
        write_bytes(measured.scores, to_bytes(scored))
    where = {"version": importlib.metadata.version("w3action"), "commit": _commit(), "torch": torch.__version__}
    content = json.dumps({**_as_json(measured), **about, **where}, indent=2) + "\n"
    write_bytes(measured.report, content.encode())
    drawn = [(name, part, measured.classes_of(name)) for name, part in measured.parts.items()]
    drawn = drawn or [(title, measured.metrics, list(measured.classes))]
    for (name, metrics, classes), path in zip(drawn, measured.pictures, strict=True):
        draw_confusion(metrics, classes, path, title=f"{name}: {metrics.top1:.1f} % top-1, {about['protocol']}")


def _as_json(measured: Measurement) -> dict[str, Any]:
    metrics = measured.metrics
    tasks = {name: _metrics_as_json(part, measured.classes_of(name)) for name, part in measured.parts.items()}
    return {
        "num_videos": metrics.num_videos,
        "num_skipped": measured.num_skipped,
        **_metrics_as_json(metrics, measured.classes),
        **({"tasks": tasks} if tasks else {}),
        "gflops_per_view": measured.cost.gflops,
        "num_views": measured.num_views,
        "gflops": measured.cost.gflops * measured.num_views,
        "params": measured.cost.params,
        "clips_per_second": measured.clips_per_second,
        "scores": None if measured.scores is None else measured.scores.name,
    }


def _metrics_as_json(metrics: Metrics, classes: Sequence[str]) -> dict[str, Any]:
    figures = {"top1": metrics.top1, "top5": metrics.top5, "mean_class_accuracy": metrics.mean_class_accuracy}
    if metrics.confusion is None:
        return figures
    per_class = dict(zip(classes, metrics.per_class, strict=True))
    return {**figures, "per_class": per_class, "confusion": metrics.confusion.tolist()}


def _commit() -> str | None:
    """Return the commit of the source that runs, or None outside a checkout."""
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
