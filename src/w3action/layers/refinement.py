"""Attention-guided feature refinement (AFR): the stages' spatial masks, added to the last features.

    M^ms = [AAP(M^s of stage 1), ..., AAP(M^s of stage N)]        (B, T_l, N, H_l, W_l), equation 7
    y    = x + ReLU(1x1 convolution of M^ms to C_l channels)      (B, C_l, T_l, H_l, W_l), equation 8

This gives the masks a short path to the loss, so that every attention module is supervised directly. In a network that
pools over time (I3D) an early mask has more frames than the last features: it is averaged over them too.

Source: "Knowing What, Where and When to Look" (2020), section 3.4 and Figure 2.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


class AttentionGuidedRefinement(nn.Module):
    """Add a learnt map of the spatial masks to the last stage's features.

    Args:
        num_masks: N, the number of masks given to each call.
        channels: C_l of the last features.
        initial_gain: the 1x1 convolution starts with weights between 0 and this. The masks are positive, so a
            channel that starts below zero would stay behind the ReLU: all start above it, and the features start
            all but unchanged.
    """

    def __init__(self, num_masks: int, channels: int, *, initial_gain: float = 0.01):
        super().__init__()
        self.conv = nn.Conv2d(num_masks, channels, 1)
        nn.init.uniform_(self.conv.weight, 0.0, initial_gain)
        assert self.conv.bias is not None
        nn.init.zeros_(self.conv.bias)

    def forward(
        self, x: Float[Tensor, "b c t h w"], masks: Sequence[Float[Tensor, "b _ _ _"]]
    ) -> Float[Tensor, "b c t h w"]:
        """Refine features x with one spatial mask per stage, each of its own size."""
        assert len(masks) == self.conv.in_channels, (len(masks), self.conv.in_channels)
        b, c, t, h, w = x.shape
        stacked = torch.stack([_pool(mask, (t, h, w)) for mask in masks], dim=2)  # (B, T, N, H, W)
        refining = self.conv(stacked.flatten(0, 1)).relu().view(b, t, c, h, w)
        return x + refining.transpose(1, 2)


def _pool(mask: Float[Tensor, "b _ _ _"], size: tuple[int, int, int]) -> Float[Tensor, "b t h w"]:
    if mask.shape[1] == size[0]:
        return nn.functional.adaptive_avg_pool2d(mask, size[1:])
    return nn.functional.adaptive_avg_pool3d(mask[:, None], size)[:, 0]
