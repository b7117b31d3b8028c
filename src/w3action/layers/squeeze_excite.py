"""Squeeze-and-excitation: one number per channel and frame, from the frame's average. What, without where or when.

(B, C, T, H, W) in and out; no frame's output depends on another frame.

Source: "Squeeze-and-Excitation Networks" (Hu et al., CVPR 2018), applied frame by frame.
"""

from jaxtyping import Float
from torch import Tensor, nn

from w3action.layers.gates import hidden_width
from w3action.layers.masks import Attended, Masks


class SqueezeExcite(nn.Module):
    """Scale each channel of each frame by a learnt function of the frame's channel averages."""

    def __init__(self, channels: int, *, reduction: int = 16):
        super().__init__()
        hidden = hidden_width(channels, reduction)
        self.reduce = nn.Linear(channels, hidden)
        self.expand = nn.Linear(hidden, channels)

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Attended:
        """Scale the channels of every frame."""
        squeezed = x.mean(dim=(3, 4)).transpose(1, 2)  # (B, T, C)
        mask = self.expand(self.reduce(squeezed).relu()).sigmoid().transpose(1, 2)  # (B, C, T)
        return Attended(x * mask[:, :, :, None, None], Masks(channel=mask))
