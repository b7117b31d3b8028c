"""What-Where-When video attention: two cheap masks, each reasoned over time.

    F^c = M^c * F,     M^c = sigmoid(two 1D convolutions over T of the frame-wise channel gates)    (B, C, T)
    F^s = M^s * F^c,   M^s = sigmoid(two 3x3x3 convolutions of the frame-wise spatial gates)        (B, T, H, W)

(B, C, T, H, W) in and out. The cost is that of reading the features three times and writing them once (F^c is never
written, see `kernels`): about 0.1 GFLOPs on a ResNet-50 of 8 frames, against 28 for non-local attention.

Source: "Knowing What, Where and When to Look: Efficient Video Action Modeling with Attention"
(Pérez-Rúa et al., 2020), section 3, equations 1 to 6. What its text leaves open is an argument here, and
docs/decisions/w3-readings.md says why each default is what it is.
"""

from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from w3action.kernels import apply_masks, mask_over_time
from w3action.layers.gates import ChannelGate, SpatialGate, hidden_width, open_gate_, weight_and_bias
from w3action.layers.masks import Attended, Masks

TemporalConv = Literal["depthwise", "bottleneck", "full"]


class ChannelTemporalAttention(nn.Module):
    """What and when: M^c of equations 3 and 4; without `temporal`, the frame-wise mask of equation 3 alone."""

    def __init__(
        self,
        channels: int,
        *,
        temporal: bool = True,
        reduction: int = 16,
        temporal_conv: TemporalConv = "depthwise",
        initial_mask: float = 0.9,
    ):
        super().__init__()
        self.frame = ChannelGate(channels, reduction=reduction)
        self.video = temporal_network_1d(channels, temporal_conv, reduction=reduction) if temporal else None
        if self.video is None:
            open_gate_(self.frame.expand, initial_mask, num_summed=2)
        else:
            open_gate_(self.video[-1], initial_mask)

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t"]:
        """Return M^c, each number in (0, 1)."""
        if self.video is None:
            return self.frame(x)  # equation 3
        first, _, second = self.video
        assert isinstance(first, nn.Conv1d)
        if first.groups == first.in_channels == first.out_channels:
            return self.frame(x, (first, second))  # equation 4
        return self.video(self.frame(x)).sigmoid()


class SpatioTemporalAttention(nn.Module):
    """Where and when: M^s of equations 5 and 6; without `temporal`, the frame-wise mask of equation 5 alone."""

    def __init__(self, *, temporal: bool = True, kernel_size: int = 7, norm: bool = False, initial_mask: float = 0.9):
        super().__init__()
        self.frame = SpatialGate(kernel_size=kernel_size, norm=norm)
        self.video = temporal_network_3d() if temporal else None
        if self.video is not None:
            open_gate_(self.video[-1], initial_mask)
        elif not norm:  # behind a batch norm a bias would be lost: CBAM starts at its own 0.5
            open_gate_(self.frame.conv, initial_mask)

    def forward(
        self, x: Float[Tensor, "b c t h w"], channel_mask: Float[Tensor, "b c t"] | None = None
    ) -> Float[Tensor, "b t h w"]:
        """Return M^s of F^c, the features times their channel mask; each number in (0, 1)."""
        mask = self.frame(x, channel_mask)  # (B, T, H, W), equation 5
        if self.video is None:
            return mask
        first, _, second = self.video
        return mask_over_time(mask, weight_and_bias(first), weight_and_bias(second))  # equation 6


class W3(nn.Module):
    """The whole module, its facets switchable: Tables 5 to 7 are settings of it.

    Args:
        channels: C of the features it attends to.
        channel: the what facet (M^c).
        spatial: the where facet (M^s).
        temporal: the when facet; False leaves both masks frame-wise, which is CBAM without its batch norm.
        reduction: r of the channel MLP.
        temporal_conv: how channels are reasoned over time: each alone, as the text says ("depthwise"), all
            together ("full"), or all together through C/r channels ("bottleneck").
        spatial_norm: a batch norm behind the 7x7 convolution.
        initial_mask: the value at which both masks start; 0.5 keeps PyTorch's initial weights, and so does a
            spatial mask behind a batch norm with nothing after it.

    Raises:
        ValueError: a facet is not a bool, neither `channel` nor `spatial` is on, or `initial_mask` is not in (0, 1).
    """

    def __init__(
        self,
        channels: int,
        *,
        channel: bool = True,
        spatial: bool = True,
        temporal: bool = True,
        reduction: int = 16,
        temporal_conv: TemporalConv = "depthwise",
        spatial_norm: bool = False,
        initial_mask: float = 0.9,
    ):
        super().__init__()
        for facet, value in {"channel": channel, "spatial": spatial, "temporal": temporal}.items():
            if not isinstance(value, bool):  # else "no" would count as true
                raise ValueError(f"{facet} is {value!r}; it must be true or false")
        if not (channel or spatial):
            raise ValueError("W3 with channel=False and spatial=False attends to nothing; switch one of them on")
        self.what = (
            ChannelTemporalAttention(
                channels,
                temporal=temporal,
                reduction=reduction,
                temporal_conv=temporal_conv,
                initial_mask=initial_mask,
            )
            if channel
            else None
        )
        self.where = (
            SpatioTemporalAttention(temporal=temporal, norm=spatial_norm, initial_mask=initial_mask)
            if spatial
            else None
        )

    def forward(
        self,
        x: Float[Tensor, "b c t h w"],
        *,
        shortcut: Float[Tensor, "b c t h w"] | None = None,
        relu: bool = False,
    ) -> Attended:
        """Attend to channels, then to places (equation 2).

        A residual block can give its `shortcut`, and ask for its `relu`: they then cost no passes of their own.
        """
        channel_mask = None if self.what is None else self.what(x)
        spatial_mask = None if self.where is None else self.where(x, channel_mask)
        attended = apply_masks(x, channel_mask, spatial_mask, shortcut=shortcut, relu=relu)
        return Attended(attended, Masks(channel_mask, spatial_mask))


def temporal_network_1d(channels: int, kind: TemporalConv, *, reduction: int) -> nn.Sequential:
    """Build the two 1D convolutions over T of equation 4 (kernel 3, ReLU between)."""
    hidden = {"depthwise": channels, "full": channels, "bottleneck": hidden_width(channels, reduction)}
    if kind not in hidden:
        raise ValueError(f"temporal_conv is {kind!r}; choose one of {', '.join(hidden)}")
    groups = channels if kind == "depthwise" else 1
    first = nn.Conv1d(channels, hidden[kind], 3, padding=1, groups=groups)
    second = nn.Conv1d(hidden[kind], channels, 3, padding=1, groups=groups)
    if kind == "depthwise":
        _start_alive_(first)
    return nn.Sequential(first, nn.ReLU(), second)


def temporal_network_3d() -> nn.Sequential:
    """Build the two 3x3x3 convolutions of equation 6 (one channel each, ReLU between)."""
    first = nn.Conv3d(1, 1, 3, padding=1)
    _start_alive_(first)
    return nn.Sequential(first, nn.ReLU(), nn.Conv3d(1, 1, 3, padding=1))


def _start_alive_(conv: nn.Conv1d | nn.Conv3d) -> None:
    """Start a one-channel-wide convolution near the identity, in place.

    Its input is a sigmoid's output, positive everywhere, and its output meets a ReLU with no other channel
    beside it: under PyTorch's initialisation about half of such networks would be zero for every input, with no
    gradient to recover by. Near the identity every one of them is alive.
    """
    nn.init.normal_(conv.weight, std=0.02)
    centre = tuple(size // 2 for size in conv.kernel_size)
    conv.weight.data[(slice(None), slice(None), *centre)] += 1.0
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
