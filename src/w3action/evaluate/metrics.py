"""Metrics of scores and labels: pure functions, percentages."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_confusion_matrix

from w3action.labellings import count_from_zero, outcome_log_probabilities, outcome_of, split_logits


@dataclass(frozen=True)
class Metrics:
    """How often the scores are right, in percent."""

    top1: float
    top5: float
    mean_class_accuracy: float  # over the classes that occur
    per_class: tuple[float | None, ...]  # None where a class has no video
    confusion: Int[Tensor, "k k"] | None  # (true, predicted) class; None for several labellings
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


def compute_all_metrics(
    scores: Float[Tensor, "n k"], labels: Int[Tensor, "n *labellings"], sizes: Sequence[int]
) -> tuple[Metrics, list[Metrics]]:
    """Compute the metrics of the whole, and of each labelling where there are several.

    Raises:
        ValueError: there are no videos.
    """
    return compute_joint_metrics(scores, labels, sizes) if sizes else (compute_metrics(scores, labels), [])


def compute_joint_metrics(
    scores: Float[Tensor, "n k"], labels: Int[Tensor, "n labellings"], sizes: Sequence[int], *, at_once: int = 64
) -> tuple[Metrics, list[Metrics]]:
    """Compute the metrics of outcomes, as of a verb and a noun together, and those of each labelling.

    An outcome is right if all its classes are; outcomes are ranked by the product of their classes' probabilities. The
    joint metrics have neither a confusion matrix nor classes.

    Args:
        scores: logits, the labellings' side by side (see `labellings`).
        labels: class ids that count through.
        sizes: how many classes each labelling has.
        at_once: videos whose outcomes are held in memory; EPIC-Kitchens has 44,000 of each.

    Raises:
        ValueError: there are no videos.
    """
    parts = zip(split_logits(scores, sizes), count_from_zero(labels, sizes), strict=True)
    single = [compute_metrics(part, label) for part, label in parts]
    outcomes = outcome_of(labels, sizes)
    places = torch.cat(
        [
            _place_of(outcome_log_probabilities(some.double(), sizes), outcome)
            for some, outcome in zip(scores.split(at_once), outcomes.split(at_once), strict=True)
        ]
    )
    right = (places == 0).double()
    of_outcome = [right[outcomes == outcome].mean() for outcome in outcomes.unique()]
    joint = Metrics(
        top1=100 * right.mean().item(),
        top5=100 * (places < 5).double().mean().item(),
        mean_class_accuracy=100 * torch.stack(of_outcome).mean().item(),
        per_class=(),
        confusion=None,
        num_videos=len(labels),
    )
    return joint, single


def _place_of(scores: Tensor, labels: Tensor) -> Tensor:
    """Count how many score better than the right one."""
    return (scores > scores.gather(1, labels[:, None])).sum(dim=1)
