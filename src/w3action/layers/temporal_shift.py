"""Temporal shift: an eighth of the channels comes from the next frame, an eighth from the previous one.

    out[t, :f] = x[t + 1, :f]    out[t, f:2f] = x[t - 1, f:2f]    out[t, 2f:] = x[t, 2f:]    f = C // 8

Zeros beyond the ends. (B, C, T, H, W) in and out; no parameters, no multiply-adds. A single frame gets zeros in
its shifted channels.

`past_shift` is its causal form, for streams: the first eighth comes from the previous frame and nothing from the next.

Source: "TSM: Temporal Shift Module for Efficient Video Understanding" (Lin et al., ICCV 2019), section 3; the
bidirectional, in-place-of-residual form ("blockres" in its public code).
"""

from jaxtyping import Float
from torch import Tensor, nn

from w3action.kernels import shift_frames


def temporal_shift(x: Float[Tensor, "b c t h w"], *, fold_div: int = 8) -> Float[Tensor, "b c t h w"]:
    """Shift the first C // fold_div channels back by a frame, the next C // fold_div forward by a frame."""
    channels = x.shape[1]
    fold = channels // fold_div
    return shift_frames(x, from_next=fold, from_previous=min(fold, channels - fold))


def past_shift(x: Float[Tensor, "b c t h w"], *, fold_div: int = 8) -> Float[Tensor, "b c t h w"]:
    """Shift the first C // fold_div channels forward by a frame; no frame sees a later one."""
    return shift_frames(x, from_next=0, from_previous=x.shape[1] // fold_div)


class TemporalShift(nn.Module):
    """`temporal_shift` as a layer, to stand before the first convolution of a residual branch."""

    def __init__(self, *, fold_div: int = 8):
        super().__init__()
        self.fold_div = fold_div

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t h w"]:
        """Shift; see `temporal_shift`."""
        return temporal_shift(x, fold_div=self.fold_div)

    def extra_repr(self) -> str:
        """Show the share of shifted channels in the network's printout."""
        return f"fold_div={self.fold_div}"


class PastShift(nn.Module):
    """`past_shift` as a layer: the online TSM."""

    def __init__(self, *, fold_div: int = 8):
        super().__init__()
        self.fold_div = fold_div

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t h w"]:
        """Shift; see `past_shift`."""
        return past_shift(x, fold_div=self.fold_div)
