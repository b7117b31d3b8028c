"""Training methods: a task maps (clips, labels) to named losses, and the one loop adds them up.

`PlainTask` is stage one of the paper's training, `MatureFeatureTask` stage two (section 3.4, equation 9).
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from w3action.labellings import are_right, cross_entropy
from w3action.models import ActionModel
from w3action.models.for_inference import NORMS


class TaskOutput(NamedTuple):
    """What a task gives for a batch."""

    losses: dict[str, Tensor]  # scalars; their sum is minimised
    correct: Bool[Tensor, "b"]  # whether the best class is right, in every labelling


class PlainTask(nn.Module):
    """Cross-entropy of the video's logits.

    Args:
        model: the network to train.
        sizes: how many of the logits belong to each labelling, as to verbs and to nouns (see `labellings`); their
            cross-entropies are added. Empty: there is one labelling.
        label_smoothing: as in `nn.functional.cross_entropy`.
        freeze_batch_norm: keep the statistics and weights of every batch norm but the first ("partial BN").
    """

    def __init__(
        self,
        model: ActionModel,
        *,
        sizes: Sequence[int] = (),
        label_smoothing: float = 0.0,
        freeze_batch_norm: bool = False,
    ):
        super().__init__()
        self.model = model
        self.sizes = tuple(sizes)
        self.label_smoothing = label_smoothing
        norms = [m for name, m in model.named_modules() if isinstance(m, NORMS) and ".slots." not in name]
        self.frozen_norms = norms[1:] if freeze_batch_norm else []  # a layer in a slot has no statistics yet to keep
        for norm in self.frozen_norms:
            norm.requires_grad_(False)

    def train(self, mode: bool = True) -> "PlainTask":
        """Switch the mode; frozen batch norms stay in evaluation mode."""
        super().train(mode)
        for norm in self.frozen_norms:
            norm.eval()
        return self

    def forward(self, clips: Float[Tensor, "b c t h w"], labels: Int[Tensor, "b *labellings"]) -> TaskOutput:
        """Compute the losses of a batch."""
        return self.classify(self.model(clips), labels)

    def classify(self, logits: Float[Tensor, "b k"], labels: Int[Tensor, "b *labellings"]) -> TaskOutput:
        """Return the cross-entropy, added over labellings, in float32 whatever the autocast type."""
        loss = cross_entropy(logits, labels, self.sizes, label_smoothing=self.label_smoothing)
        return TaskOutput({"cross_entropy": loss}, are_right(logits, labels, self.sizes))


class MatureFeatureTask(PlainTask):
    """Mature feature-guided regularization (MFR): cross-entropy plus the distance to a frozen teacher's features.

    The teacher costs one forward pass without anything kept for a backward one: about a quarter to a third of a plain
    step's time, and its weights' memory.

    Args:
        model: the student Q, of the teacher's architecture.
        teacher: the trained P; its parameters are frozen and it stays in evaluation mode.
        weight: of the regularization; the paper adds equation 9 as it is.
        reduction: over a clip's frames, "mean" or "sum"; over the batch it is always the mean.
        compile_teacher: by `torch.compile`, at its first batch: a minute or more.
    """

    def __init__(
        self,
        model: ActionModel,
        teacher: ActionModel,
        *,
        weight: float = 0.1,
        reduction: Literal["mean", "sum"] = "mean",
        compile_teacher: bool = False,
        sizes: Sequence[int] = (),
        label_smoothing: float = 0.0,
        freeze_batch_norm: bool = False,
    ):
        super().__init__(model, sizes=sizes, label_smoothing=label_smoothing, freeze_batch_norm=freeze_batch_norm)
        self.teacher = teacher.eval().requires_grad_(False)
        self.weight = weight
        self.reduction: Literal["mean", "sum"] = reduction
        features = self.teacher.forward_features
        self.mature_features = torch.compile(features) if compile_teacher else features

    def train(self, mode: bool = True) -> "PlainTask":
        """Switch the student's mode; the teacher stays in evaluation mode."""
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(self, clips: Float[Tensor, "b c t h w"], labels: Int[Tensor, "b *labellings"]) -> TaskOutput:
        """Compute the losses of a batch."""
        with torch.inference_mode():  # the loss may read its tensors, but autograd could not keep them
            mature = self.mature_features(clips).maps
        maps = self.model.forward_features(clips).maps
        output = self.classify(self.model.forward_head(maps, clips=clips), labels)
        output.losses["mature_features"] = self.weight * feature_distance(maps, mature, reduction=self.reduction)
        return output


def feature_distance(
    student: Float[Tensor, "b c t h w"],
    teacher: Float[Tensor, "b c t h w"],
    *,
    reduction: Literal["mean", "sum"] = "mean",
) -> Float[Tensor, ""]:
    """Return equation 9: the L2 norm of each frame's difference of feature maps, reduced over the frames."""
    difference = (student.float() - teacher.float()).transpose(1, 2).flatten(2)  # (B, T, CHW)
    per_frame = torch.linalg.vector_norm(difference, dim=2)  # (B, T)
    per_clip = per_frame.mean(dim=1) if reduction == "mean" else per_frame.sum(dim=1)
    return per_clip.mean()
