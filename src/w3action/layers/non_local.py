"""Non-local attention: every place of every frame looks at every other, embedded-Gaussian form.

    z = x + BN(W_z softmax(theta(x)^T phi(x)) g(x))

(B, C, T, H, W) in and out. As in the public TSM + NL networks, the embeddings have C/2 channels, phi and g are
max-pooled by 2 in space, and the output batch norm starts at zero, so that the layer starts as the identity.
It is expensive: on ResNet-50 at 16 frames it more than doubles the network's multiply-adds.

Source: "Non-local Neural Networks" (Wang et al., CVPR 2018), section 3 and 4.1.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from w3action.layers.masks import Attended, Masks


class NonLocal(nn.Module):
    """Embedded-Gaussian non-local layer over space and time.

    Its spatial mask is for pictures and is given in evaluation mode alone: how much attention each place receives
    from all others, relative to an even share (1.0 = as much as any place), spread over the pooled 2x2 window.
    """

    def __init__(self, channels: int, *, pool: bool = True):
        super().__init__()
        inner = max(channels // 2, 1)
        self.theta = nn.Conv3d(channels, inner, 1)
        self.phi = nn.Conv3d(channels, inner, 1)
        self.g = nn.Conv3d(channels, inner, 1)
        self.pool = pool
        self.out = nn.Conv3d(inner, channels, 1)
        self.norm = nn.BatchNorm3d(channels)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Attended:
        """Add to every place what it finds in all places."""
        b, _, t, h, w = x.shape
        queries = self.theta(x).flatten(2)  # (B, C/2, THW)
        keys, values = self.phi(x), self.g(x)
        if self.pool and min(h, w) >= 2:  # a map of one row has nothing to pool
            keys, values = (nn.functional.max_pool3d(m, (1, 2, 2)) for m in (keys, values))
        pooled_size = keys.shape[3:]
        attention = (queries.transpose(1, 2) @ keys.flatten(2)).softmax(dim=-1)  # (B, THW, THW/4)
        found = (attention @ values.flatten(2).transpose(1, 2)).transpose(1, 2)  # (B, C/2, THW)
        y = x + self.norm(self.out(found.reshape(b, -1, t, h, w)))
        received = None if self.training else _received(attention, t, (h, w), pooled_size)
        return Attended(y, Masks(spatial=received))


def _received(attention: Tensor, t: int, size: tuple[int, int], pooled: torch.Size) -> Tensor:
    share = attention.mean(dim=1) * attention.shape[-1]  # (B, THW/4), 1.0 on average
    return nn.functional.interpolate(share.view(len(share), t, *pooled), size=size, mode="nearest")
