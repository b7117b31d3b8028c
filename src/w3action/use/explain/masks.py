"""From all masks of a network to the two that a person looks at: one M^s over frames and places, one M^c.

The default M^s is the mean over the stages of each stage's last M^s, the masks that refinement (AFR) reads; where AFR
pools them down to the last stage's size, here they go up to the finest one, so that no stage loses its detail. The
default M^c is the last one of the last stage that has any.

A cell of a mask stands for the pixels around its receptive field's centre. In our backbones, whose strided layers
have odd kernels and even padding, that is pixel `stride * i`, not the middle of the i-th of n tiles: on a last stage
of stride 32 the two differ by 16 pixels. Masks are therefore resampled about those centres (measured:
tests/use/explain/test_masks.py).

Source: "Knowing What, Where and When to Look" (2020), section 3.4 and Figure 3.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from w3action.layers import Masks
from w3action.models import ATTENTIONS


class ChosenMasks(NamedTuple):
    """The masks of one clip that are shown; None where the network has no such facet."""

    spatial: Float[Tensor, "t h w"] | None
    channel: Float[Tensor, "c t"] | None
    spatial_source: str  # where in the network it comes from, in words
    channel_source: str


class RankedChannels(NamedTuple):
    """Channels of M^c by their mean over time, relative to the mean over all channels."""

    opened: tuple[int, ...]  # the most open first
    closed: tuple[int, ...]  # the most closed first
    openness: Float[Tensor, " c"]  # of every channel; 0 is the mean channel


def choose_masks(masks: list[list[Masks]], *, size: int, num_frames: int, stage: int | None, name: str) -> ChosenMasks:
    """Choose what to show of the masks of a batch of one clip.

    Args:
        masks: by stage, then by attention, as `Features.masks`.
        size: side of the clip, in pixels.
        num_frames: of the clip; masks of a network that pools over time are stretched to them.
        stage: 1 to the number of stages, for that stage's last masks; None for the defaults above.
        name: of the checkpoint, for messages.

    Raises:
        ValueError: there are no masks, or none at `stage`.
    """
    spatial = {
        i: stretch(found[-1].float().cpu(), num_frames)
        for i, s in enumerate(masks, 1)
        if (found := [m.spatial[0] for m in s if m.spatial is not None])
    }
    channel = {
        i: stretch(found[-1].float().cpu().T, num_frames).T
        for i, s in enumerate(masks, 1)
        if (found := [m.channel[0] for m in s if m.channel is not None])
    }
    stages = sorted(spatial | channel)
    if not stages:
        *others, last = ATTENTIONS
        raise ValueError(f"{name} has no attention to show; choose a run with attention {', '.join(others)} or {last}")
    if stage is not None and stage not in stages:
        allowed = ", ".join(map(str, stages))
        raise ValueError(
            f"stage is {stage} but {name} has attention at stages {allowed}: give one of them, or leave stage out"
        )
    if stage is not None:
        spatial = {i: mask for i, mask in spatial.items() if i == stage}
        channel = {i: mask for i, mask in channel.items() if i == stage}
    last_channel = max(channel, default=0)
    return ChosenMasks(
        spatial=mean_of_stages([spatial[i] for i in sorted(spatial)], size=size) if spatial else None,
        channel=channel[last_channel] if channel else None,
        spatial_source=_in_words(sorted(spatial)),
        channel_source=f"stage {last_channel}" if channel else "",
    )


def mean_of_stages(masks: list[Float[Tensor, "t _ _"]], *, size: int) -> Float[Tensor, "t h w"]:
    """Average masks of different sizes, each resampled to the finest; `size` is the clip's side in pixels."""
    finest = max(masks, key=lambda mask: mask.shape[-1])
    rows, columns = (stride_of(n, size=size) * torch.arange(n) for n in finest.shape[-2:])
    return torch.stack([resample(mask, rows=rows, columns=columns, size=size) for mask in masks]).mean(dim=0)


def resample(
    mask: Float[Tensor, "t h w"], *, rows: Tensor, columns: Tensor, size: int
) -> Float[Tensor, "t rows columns"]:
    """Interpolate a mask bilinearly at pixel coordinates (fractions allowed) of the clip it was computed from."""
    down, across = (
        _hats(at / stride_of(n, size=size), n) for at, n in zip((rows, columns), mask.shape[-2:], strict=True)
    )
    return down @ mask @ across.T


def stretch(values: Float[Tensor, "t *rest"], num_frames: int) -> Float[Tensor, "frames *rest"]:
    """Interpolate in time to the frames of the clip, where a network has pooled them to fewer."""
    if len(values) == num_frames:
        return values
    at = (torch.arange(num_frames) + 0.5) * len(values) / num_frames - 0.5
    return (_hats(at, len(values)) @ values.flatten(1)).view(num_frames, *values.shape[1:])


def stride_of(num_cells: int, *, size: int) -> int:
    """Return the pixels between two cells of a mask: a power of two, as backbones halve, rounding sizes up."""
    return 2 ** math.ceil(math.log2(size / num_cells))


def rank_channels(channel: Float[Tensor, "c t"], *, num_channels: int) -> RankedChannels:
    """Find the channels that M^c opens and closes most: half of `num_channels` each, the odd one open.

    Raises:
        ValueError: num_channels is below 1.
    """
    if num_channels < 1:
        raise ValueError(f"num_channels is {num_channels} but must be at least 1: give for example 8")
    openness = channel.mean(dim=1) - channel.mean()
    order = openness.argsort(descending=True, stable=True).tolist()
    num_closed = min(num_channels, len(order)) // 2
    num_opened = min(num_channels, len(order)) - num_closed
    return RankedChannels(tuple(order[:num_opened]), tuple(order[::-1][:num_closed]), openness)


def _hats(cells: Tensor, num_cells: int) -> Float[Tensor, "positions cells"]:
    """Return the weights of linear interpolation at fractional cell numbers; outer cells extend beyond the grid."""
    cells = cells.clamp(0, num_cells - 1)
    return (1 - (cells[:, None] - torch.arange(num_cells)).abs()).clamp(min=0)


def _in_words(stages: list[int]) -> str:
    if len(stages) < 2:
        return "".join(f"stage {stage}" for stage in stages)
    return f"mean of stages {', '.join(map(str, stages[:-1]))} and {stages[-1]}"
