"""What a head is: feature maps -> class scores of the video, and of its frames where it scores them one by one."""

from jaxtyping import Float
from torch import Tensor, nn


def scoring_layer(in_features: int, out_features: int, *, initial_std: float | None) -> nn.Linear:
    """Build a linear layer with weights N(0, initial_std) and no bias at first; None keeps PyTorch's own start."""
    layer = nn.Linear(in_features, out_features)
    if initial_std is not None:
        nn.init.normal_(layer.weight, std=initial_std)
        nn.init.zeros_(layer.bias)
    return layer


class Head(nn.Module):
    """Base of the heads; a subclass defines `frame_logits` or `forward`, and its last layer is `fc`."""

    fc: nn.Module
    sees_clips = False  # whether `forward` also takes the clips, and boxes on them, by those names

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
