"""Metrics of scores and labels: pure functions, percentages."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_confusion_matrix


@dataclass(frozen=True)
class Metrics:
    """How often the scores are right, in percent."""

    top1: float
    top5: float
    mean_class_accuracy: float  # over the classes that occur
    per_class: tuple[float | None, ...]  # None where a class has no video
    confusion: Int[Tensor, "k k"]  # rows: the true class, columns: the predicted one
    num_videos: int


def compute_metrics(scores: Float[Tensor, "n k"], labels: Int[Tensor, "n"]) -> Metrics:
    """Compute all metrics; top-5 of fewer than five classes is top-K, which is 100 %.

    Raises:
        ValueError: there are no videos.
    """
    n, k = scores.shape
    if n == 0:
        raise ValueError("there are no videos to measure: none could be read")
    confusion = multiclass_confusion_matrix(scores.argmax(dim=1), labels, num_classes=k, validate_args=False)
    per_class = confusion.diagonal() / confusion.sum(dim=1).clamp(min=1)
    occurs = confusion.sum(dim=1) > 0
    return Metrics(
        top1=100 * _top(scores, labels, 1),
        top5=100 * _top(scores, labels, min(5, k)),
        mean_class_accuracy=100 * per_class[occurs].mean().item(),
        per_class=tuple(
            100 * value if there else None for value, there in zip(per_class.tolist(), occurs.tolist(), strict=True)
        ),
        confusion=confusion,
        num_videos=n,
    )


def _top(scores: Tensor, labels: Tensor, k: int) -> float:
    if k >= scores.shape[1]:
        return 1.0
    return multiclass_accuracy(
        scores, labels, num_classes=scores.shape[1], average="micro", top_k=k, validate_args=False
    ).item()


def most_confused(confusion: Int[Tensor, "k k"], *, count: int) -> list[tuple[int, int, int]]:
    """Return the `count` largest off-diagonal entries as (true class, predicted class, videos), largest first."""
    off = confusion.clone()
    off.fill_diagonal_(0)
    values, places = off.flatten().topk(min(count, off.numel()))
    k = confusion.shape[1]
    return [(p // k, p % k, v) for v, p in zip(values.tolist(), places.tolist(), strict=True) if v > 0]


def cross_entropy(scores: Float[Tensor, "n k"], labels: Int[Tensor, "n"]) -> float:
    """Return the mean cross-entropy of logits."""
    return torch.nn.functional.cross_entropy(scores, labels).item()
