"""A long-term feature bank: the clip's own feature beside what it finds in the features of the whole video.

    S = mean over T, H, W of x                                   the clip, (B, C)
    average, max:   F = mean or maximum over the bank            (B, C_bank)
    non_local:      S0 = D(W_s S), L = D(W_l bank)               512 numbers each, D is dropout
                    Sn = Sn-1 + D(W ReLU(LN(softmax(theta(Sn-1) phi(L)^T / sqrt(512)) g(L))))       F = S_last
    logits = W_k D([S, F]) + b_k

(B, C, T, H, W) and a bank (B, N, C_bank) -> (B, K), for any T and any N.

A caller builds the bank with a network that is trained before and then fixed: for every clip of a video, say one a
second, `pool_clip(model.forward_features(clip).maps)` under `torch.no_grad()`, stacked to (M, C) and stored; then for
the clip at `index` `bank_window(stored, index, radius=...)`, stacked over the batch. All windows of one radius have
equally many entries. Without a bank the clip's own pooled frames are the bank: the paper's short-term operator, a model
of the clip alone.

What differs from the paper: one feature a clip stands for its boxes of actors and objects (the paper's EPIC nouns read
detected objects, which need a detector); a window that reaches beyond the video repeats the video's end.

Source: "Long-Term Feature Banks for Detailed Video Understanding" (Wu et al., CVPR 2019), section 3 and Figure 4;
"Action Banks" in the W3 paper's Table 4.
"""

import math
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from w3action.models.heads.head import Head

Operator = Literal["average", "max", "non_local"]


class FeatureBankHead(Head):
    """Score a clip by itself and by its video.

    Args:
        in_channels: C of the features.
        num_classes: K.
        operator: how the clip reads the bank, "average", "max" or "non_local".
        bank_channels: C_bank; None means C.
        width: of the non-local layers.
        num_layers: non-local layers on top of each other.
        bank_dropout: within the non-local operator.
        classifier: dropout and start, as in `Head`.

    Raises:
        ValueError: an unknown operator or a size below 1; in a call, a bank of other channels or without entries, or
            none where the clip's frames cannot stand for it.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        operator: Operator = "non_local",
        bank_channels: int | None = None,
        width: int = 512,
        num_layers: int = 2,
        bank_dropout: float = 0.2,
        **classifier: Any,
    ):
        super().__init__(**classifier)
        if operator not in get_args(Operator):
            raise ValueError(f"operator is {operator!r}; choose one of {', '.join(get_args(Operator))}")
        self.in_channels = in_channels
        self.bank_channels = in_channels if bank_channels is None else bank_channels
        if min(self.bank_channels, width, num_layers) < 1:
            raise ValueError(
                f"bank_channels is {bank_channels}, width {width} and num_layers {num_layers}; each must be at least 1"
            )
        self.operator: Operator = operator
        if operator == "non_local":
            self.reader = NonLocalReader(
                in_channels, self.bank_channels, width=width, num_layers=num_layers, dropout=bank_dropout
            )
        read_channels = width if operator == "non_local" else self.bank_channels
        self.fc = self.scoring_layer(in_channels + read_channels, num_classes)

    def forward(
        self, features: Float[Tensor, "b c t h w"], bank: Float[Tensor, "b n d"] | None = None
    ) -> Float[Tensor, "b k"]:
        """Score the clip, given the bank of its video."""
        clip = pool_clip(features)  # (B, C)
        if bank is None:
            if self.bank_channels != self.in_channels:
                raise ValueError(
                    f"no bank is given, and the clip's frames cannot stand for one: they have {self.in_channels} "
                    f"channels and this head reads {self.bank_channels}; give a bank or leave bank_channels out"
                )
            bank = features.mean(dim=(3, 4)).transpose(1, 2)  # (B, T, C)
        elif bank.shape[2] != self.bank_channels or bank.shape[1] < 1:
            raise ValueError(
                f"the bank has {bank.shape[1]} entries of {bank.shape[2]} channels; this head reads at least 1 of "
                f"{self.bank_channels} (bank_channels)"
            )
        return self.fc(self.dropout(torch.cat([clip, self.read(clip, bank)], dim=1)))

    def read(self, clip: Float[Tensor, "b c"], bank: Float[Tensor, "b n d"]) -> Float[Tensor, "b f"]:
        """Apply the bank operator."""
        if self.operator == "average":
            return bank.mean(dim=1)
        if self.operator == "max":
            return bank.amax(dim=1)
        return self.reader(clip, bank)


class NonLocalReader(nn.Module):
    """Reduce clip and bank to one width, then let the clip look through the bank, layer by layer."""

    def __init__(self, clip_channels: int, bank_channels: int, *, width: int, num_layers: int, dropout: float):
        super().__init__()
        self.reduce_clip = nn.Linear(clip_channels, width)
        self.reduce_bank = nn.Linear(bank_channels, width)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(BankAttention(width, dropout=dropout) for _ in range(num_layers))

    def forward(self, clip: Float[Tensor, "b c"], bank: Float[Tensor, "b n d"]) -> Float[Tensor, "b width"]:
        """Return what the clip becomes, skip connections included."""
        x = self.dropout(self.reduce_clip(clip))  # (B, width)
        entries = self.dropout(self.reduce_bank(bank))  # (B, N, width)
        for layer in self.layers:
            x = x + layer(x, entries)
        return x


class BankAttention(nn.Module):
    """The paper's non-local layer: scaled, with layer norm and ReLU before its last projection, dropout behind it."""

    def __init__(self, width: int, *, dropout: float):
        super().__init__()
        self.theta = nn.Linear(width, width)
        self.phi = nn.Linear(width, width)
        self.g = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "b c"], entries: Float[Tensor, "b n c"]) -> Float[Tensor, "b c"]:
        """Return what x finds in the entries."""
        query = self.theta(x)[:, None]  # (B, 1, C)
        weights = (query @ self.phi(entries).transpose(1, 2) / math.sqrt(x.shape[1])).softmax(dim=-1)  # (B, 1, N)
        found = (weights @ self.g(entries))[:, 0]  # (B, C)
        return self.dropout(self.out(self.norm(found).relu()))


def pool_clip(maps: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c"]:
    """Return a clip's entry in a bank: the average of its maps."""
    return maps.mean(dim=(2, 3, 4))


def bank_window(stored: Float[Tensor, "m c"], index: int, *, radius: int) -> Float[Tensor, "n c"]:
    """Return the entries of the 2 radius + 1 clips around the one at `index`; beyond the video its ends repeat.

    Raises:
        ValueError: the video has no clip of that `index`, or the radius is negative.
    """
    if not 0 <= index < len(stored) or radius < 0:
        raise ValueError(
            f"index is {index} and radius {radius}; this video has clips 0 to {len(stored) - 1}, and a radius is at "
            "least 0"
        )
    around = torch.arange(index - radius, index + radius + 1, device=stored.device)
    return stored[around.clamp(0, len(stored) - 1)]
