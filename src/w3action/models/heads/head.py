"""What a head is, and the usual one: feature maps -> class scores of the video, and of its frames where it can."""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn


class Head(nn.Module):
    """Base of the heads; a subclass defines `frame_logits` or `forward`, and its last layer is `fc`.

    Args:
        dropout: before the classifier.
        initial_std: of the classifier's weights, 0.001 as in the public TSM and TRN; None keeps PyTorch's own start,
            which a backbone without pretrained weights learns faster from. Other layers start as PyTorch makes them.
    """

    fc: nn.Module
    sees_clips = False  # whether `forward` also takes the clips, and boxes on them, by those names

    def __init__(self, *, dropout: float = 0.5, initial_std: float | None = 0.001):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.initial_std = initial_std

    def scoring_layer(self, in_features: int, out_features: int) -> nn.Linear:
        """Build a linear layer with weights N(0, initial_std) and no bias at first."""
        layer = nn.Linear(in_features, out_features)
        if self.initial_std is not None:
            nn.init.normal_(layer.weight, std=self.initial_std)
            nn.init.zeros_(layer.bias)
        return layer

    @property
    def classifier(self) -> nn.Module:
        """The layers that give the scores, which may learn at a rate of their own."""
        return self.fc

    def forward(self, features: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b k"]:
        """Score the video: the mean of its frames' logits, unless a head scores frames together."""
        logits = self.frame_logits(features)
        assert logits is not None, "a head defines `frame_logits` or `forward`"
        return logits.mean(dim=1)

    def frame_logits(self, features: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b t k"] | None:
        """Score every frame; None where the head cannot: it scores frames together."""
        return None


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
