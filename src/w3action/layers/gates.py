"""The frame-wise gates that CBAM and W3 share: which channels (equation 3) and which places (equation 5).

Both return masks, and both look at one frame at a time: a gate at frame t never sees frame t + 1. That is all of CBAM;
W3 reasons over time behind them.

Source: "Knowing What, Where and When to Look" (2020), sections 3.1 and 3.2; after CBAM (Woo et al., ECCV 2018).
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from w3action.kernels import channel_mask, gated_channel_pool, place_mask, pool_planes

MIN_HIDDEN = 4  # a narrow block (24 channels, reduction 16) would otherwise reason through one hidden number


def hidden_width(channels: int, reduction: int) -> int:
    """Return C/r, the width of a bottleneck, but at least `MIN_HIDDEN`.

    Raises:
        ValueError: reduction is less than 1.
    """
    if reduction < 1:
        raise ValueError(f"reduction is {reduction}; it must be at least 1 (16 in the paper)")
    return max(channels // reduction, MIN_HIDDEN)


def open_gate_(layer: nn.Module, mask: float, *, num_summed: int = 1) -> None:
    """Start the gate that `layer` feeds at the constant `mask`, in place.

    With 0.5 the layer keeps PyTorch's own initialisation: the literal reading of the paper, where every block
    of an ImageNet network starts with its residual branch at about a quarter (0.5 for M^c times 0.5 for M^s).
    Any other value sets the weights to zero and the bias to the logit of `mask`, so that features pass
    unharmed until the gate has learnt something. `num_summed` is how often the layer's output is added to
    itself before the sigmoid (the average- and max-pooled paths share one MLP).
    """
    if not 0.0 < mask < 1.0:
        raise ValueError(f"initial_mask is {mask}; it must lie between 0 and 1 (0.5 keeps PyTorch's initial weights)")
    if mask == 0.5:
        return
    assert isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)
    assert layer.bias is not None
    nn.init.zeros_(layer.weight)
    nn.init.constant_(layer.bias, math.log(mask / (1 - mask)) / num_summed)


class ChannelGate(nn.Module):
    """What: pool each frame over space, pass both descriptors through one MLP, add, take the sigmoid (equation 3)."""

    def __init__(self, channels: int, *, reduction: int = 16):
        super().__init__()
        hidden = hidden_width(channels, reduction)
        self.reduce = nn.Linear(channels, hidden)
        self.expand = nn.Linear(hidden, channels)

    def forward(
        self, x: Float[Tensor, "b c t h w"], over_time: tuple[nn.Module, nn.Module] | None = None
    ) -> Float[Tensor, "b c t"]:
        """Map features to one number per channel and frame, in (0, 1).

        With `over_time`, two depthwise `nn.Conv1d`, the result is equation 4; they are taken here so that a GPU can run
        the whole as one kernel.
        """
        time = None if over_time is None else (weight_and_bias(over_time[0]), weight_and_bias(over_time[1]))
        return channel_mask(*pool_planes(x), weight_and_bias(self.reduce), weight_and_bias(self.expand), time)


class SpatialGate(nn.Module):
    """Where: pool each frame over channels, convolve the two maps with a 7x7 kernel, take the sigmoid (equation 5).

    `norm` puts a batch norm behind the convolution, as CBAM's public code does.
    """

    def __init__(self, *, kernel_size: int = 7, norm: bool = False):
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=not norm)
        self.norm = nn.BatchNorm2d(1, momentum=0.01) if norm else nn.Identity()

    def forward(
        self, x: Float[Tensor, "b c t h w"], channel_mask: Float[Tensor, "b c t"] | None = None
    ) -> Float[Tensor, "b t h w"]:
        """Map features, times their channel mask if there is one, to one number per frame and place, in (0, 1)."""
        pooled = gated_channel_pool(x, channel_mask)
        if isinstance(self.norm, nn.Identity):
            return place_mask(*pooled, self.conv.weight, self.conv.bias)
        # Called as modules, so that whoever folds norms into convolutions sees the one behind the other.
        maps = torch.stack(pooled, dim=2).flatten(0, 1).to(self.conv.weight.dtype)  # (B T, 2, H, W)
        return self.norm(self.conv(maps)).view(pooled[0].shape).sigmoid()


def weight_and_bias(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """Return the weight and the bias of a layer that has both."""
    assert isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv3d)
    assert layer.bias is not None
    return layer.weight, layer.bias
