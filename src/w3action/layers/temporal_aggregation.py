"""Temporal aggregation (TAM): each channel of a frame is a learnt sum of itself, the frame before and the frame after.

    y[c, t] = ReLU(a[c] x[c, t - 1] + b[c] x[c, t] + d[c] x[c, t + 1])

Zeros beyond the ends. (B, C, T, H, W) in and out; three weights a channel, one multiplication and one addition each.
A temporal shift is the same sum with weights that are 0 or 1 and not learnt.

Source: "More Is Less: Learning Efficient Video Representations by Big-Little Network and Depthwise Temporal
Aggregation" (Fan et al., NeurIPS 2019), section 3, with three frames.

What differs: the public code starts all three weights at random (He's, of a size that falls with C), which scrambles
features learnt from images; here they start as the identity, (0, 1, 0), exact on what a ReLU left. And the ReLU can be
left out.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class TemporalAggregation(nn.Module):
    """Temporal aggregation as a layer, to stand before the first convolution of a residual branch.

    Args:
        channels: C of the features.
        relu: the ReLU behind the sum. False where the features are negative too (between MobileNetV2's blocks): there
            it would cut half of them away.
    """

    def __init__(self, channels: int, *, relu: bool = True):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[0.0], [1.0], [0.0]]).repeat(1, channels))  # (3, C): t - 1, t, t + 1
        self.relu = relu

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t h w"]:
        """Sum each frame with its neighbours, channel by channel."""
        # Networks keep frames outermost in memory, so the pieces are joined in that order: no second copy.
        frames = x.transpose(1, 2)  # (B, T, C, H, W)
        before, here, after = self.weight.to(x.dtype)[:, :, None, None]  # (C, 1, 1) each
        zeros = torch.zeros_like(frames[:, :1])
        y = (
            before * torch.cat([zeros, frames[:, :-1]], dim=1)
            + here * frames
            + after * torch.cat([frames[:, 1:], zeros], dim=1)
        )
        return (y.relu() if self.relu else y).transpose(1, 2)

    def extra_repr(self) -> str:
        """Show the layer's size in the network's printout."""
        return f"{self.weight.shape[1]}, relu={self.relu}"
