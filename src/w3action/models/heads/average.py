"""Average over space, classify each frame, average the frames' logits."""

from typing import Any

from jaxtyping import Float
from torch import Tensor

from w3action.models.heads.head import Head


class AverageHead(Head):
    """Average over space, classify each frame, average the frames' logits: TSN's and TSM's consensus.

    Args:
        in_channels: C of the features.
        num_classes: K.
        classifier: dropout and start, as in `Head`.
    """

    def __init__(self, in_channels: int, num_classes: int, **classifier: Any):
        super().__init__(**classifier)
        self.fc = self.scoring_layer(in_channels, num_classes)

    def frame_logits(self, features: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b t k"]:
        """Score every frame."""
        pooled = features.mean(dim=(3, 4)).transpose(1, 2)  # (B, T, C)
        return self.fc(self.dropout(pooled))
