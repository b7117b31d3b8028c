"""Pictures of an evaluation."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from w3action.evaluate.metrics import Metrics

MOST_NAMED_CLASSES = 40
MOST_NUMBERED_CLASSES = 20


def draw_confusion(metrics: Metrics, classes: Sequence[str], path: Path, *, title: str) -> None:
    """Draw the confusion matrix as a PNG: rows are true classes, in shares of their videos.

    Up to 40 classes are named, in full; more are numbered along the axes.
    """
    from matplotlib.figure import Figure  # late: training imports this file and draws nothing

    assert metrics.confusion is not None, "several labellings have a matrix each, their outcomes none"
    confusion = metrics.confusion.numpy().astype(float)
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    k = len(classes)
    named = k <= MOST_NAMED_CLASSES
    side = min(4.0 + 0.32 * k, 18.0)  # inches
    figure = Figure(figsize=(side + 1.2, side), layout="constrained", dpi=110)
    axes = figure.subplots()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axes.set_title(title, fontsize=11)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if named:
        axes.set_xticks(range(k), classes, rotation=60, ha="right", rotation_mode="anchor", fontsize=8)
        axes.set_yticks(range(k), classes, fontsize=8)
    if k <= MOST_NUMBERED_CLASSES:
        for row, column in zip(*np.nonzero(confusion), strict=True):
            value = share[row, column]
            axes.text(
                column,
                row,
                f"{100 * value:.0f}",
                ha="center",
                va="center",
                fontsize=7,
                color="white" if value > 0.55 else "#333333",
            )
    figure.colorbar(image, ax=axes, label="share of the true class's videos", shrink=0.75)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
