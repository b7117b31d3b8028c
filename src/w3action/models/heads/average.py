"""Average over space, classify each frame, average the frames' logits."""

from jaxtyping import Float
from torch import Tensor, nn

from w3action.models.heads.head import Head, scoring_layer


class AverageHead(Head):
    """Average over space, classify each frame, average the frames' logits: TSN's and TSM's consensus.

    Args:
        in_channels: C of the features.
        num_classes: K.
        dropout: before the classifier.
        initial_std: of the classifier's weights, 0.001 as in the public TSM; None keeps PyTorch's own start, which
            a backbone without pretrained weights learns faster from.
    """

    def __init__(self, in_channels: int, num_classes: int, *, dropout: float = 0.5, initial_std: float | None = 0.001):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.fc = scoring_layer(in_channels, num_classes, initial_std=initial_std)

    def frame_logits(self, features: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b t k"]:
        """Score every frame."""
        pooled = features.mean(dim=(3, 4)).transpose(1, 2)  # (B, T, C)
        return self.fc(self.dropout(pooled))
