"""Several labellings of one video, as by its verb and its noun: their classes and their logits lie side by side.

A network of 125 verbs and 352 nouns has 477 logits; class ids count through, so that noun 0 is class 125. An outcome is
one class of each labelling, and its probability the product of theirs. With a single labelling, outcomes are classes.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

BETWEEN = ", "  # of the names of an outcome's classes


def split_logits(logits: Float[Tensor, "*b k"], sizes: Sequence[int]) -> list[Float[Tensor, "*b _"]]:
    """Return each labelling's logits; without sizes, all of them as one labelling."""
    return list(logits.split(list(sizes), dim=-1)) if sizes else [logits]


def count_from_zero(labels: Int[Tensor, "b *labellings"], sizes: Sequence[int]) -> list[Int[Tensor, "b"]]:
    """Return each labelling's class ids, which then count from zero.

    Raises:
        ValueError: a video does not have exactly one label for each labelling.
    """
    if labels.shape[1:] != ((len(sizes),) if sizes else ()):
        raise ValueError(f"labels of shape {tuple(labels.shape)} are given for {len(sizes) or 1} labellings")
    if not sizes:
        return [labels]
    offsets = [sum(sizes[:place]) for place in range(len(sizes))]
    return [label - offset for label, offset in zip(labels.unbind(dim=-1), offsets, strict=True)]


def cross_entropy(
    logits: Float[Tensor, "b k"],
    labels: Int[Tensor, "b *labellings"],
    sizes: Sequence[int],
    *,
    label_smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """Return the mean cross-entropy, added over labellings, in float32 whatever the type of the logits."""
    parts = zip(split_logits(logits.float(), sizes), count_from_zero(labels, sizes), strict=True)
    losses = [nn.functional.cross_entropy(part, label, label_smoothing=label_smoothing) for part, label in parts]
    return torch.stack(losses).sum()


def are_right(
    logits: Float[Tensor, "b k"], labels: Int[Tensor, "b *labellings"], sizes: Sequence[int]
) -> Bool[Tensor, "b"]:
    """Tell for which videos the best class of every labelling is the right one."""
    parts = zip(split_logits(logits, sizes), count_from_zero(labels, sizes), strict=True)
    return torch.stack([part.argmax(dim=-1) == label for part, label in parts]).all(dim=0)


def first_classes(sizes: Sequence[int]) -> Int[Tensor, "1 *labellings"]:
    """Return labels of one clip: the first class of every labelling."""
    firsts = [sum(sizes[:place]) for place in range(len(sizes))]
    return torch.tensor([firsts] if sizes else [0])


def outcome_log_probabilities(logits: Float[Tensor, "*b k"], sizes: Sequence[int]) -> Float[Tensor, "*b outcomes"]:
    """Return the logarithm of every outcome's probability; the last labelling's class counts fastest."""
    first, *others = (part.log_softmax(dim=-1) for part in split_logits(logits, sizes))
    joint = first
    for part in others:
        joint = (joint[..., :, None] + part[..., None, :]).flatten(-2)
    return joint


def outcome_of(labels: Int[Tensor, "*b labellings"], sizes: Sequence[int]) -> Int[Tensor, "*b"]:
    """Return the outcome's place among all, from class ids that count through."""
    place = torch.zeros_like(labels[..., 0])
    for label, size in zip(count_from_zero(labels, sizes), sizes, strict=True):
        place = place * size + label
    return place


def outcome_name(place: int, classes: Sequence[str], sizes: Sequence[int]) -> str:
    """Return an outcome's name, made of its classes' names."""
    if not sizes:
        return classes[place]
    names, end = [], len(classes)
    for size in reversed(sizes):
        place, within = divmod(place, size)
        names.append(classes[end - size + within])
        end -= size
    return BETWEEN.join(reversed(names))
