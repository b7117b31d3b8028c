"""Temporal operations by name: what a backbone does between frames, and at which residual blocks it does it."""

from torch import nn

from w3action.layers import PastShift, TemporalAggregation, TemporalShift
from w3action.models.slots import Position, TemporalBuilder, nothing


def none() -> TemporalBuilder:
    """Frames never meet before the head: TSN."""
    return nothing


def shift(*, fold_div: int = 8) -> TemporalBuilder:
    """Temporal shift before every residual branch: TSM.

    In networks with a stage of 23 blocks or more (ResNet-101) every second block shifts, as in the public TSM.
    """

    def at(position: Position, channels: int) -> nn.Module | None:
        every = 2 if max(position.num_blocks_by_stage) >= 23 else 1
        return TemporalShift(fold_div=fold_div) if position.block % every == 0 else None

    return at


def past() -> TemporalBuilder:
    """Shift from the past alone before every residual branch: the online TSM, which can run on a stream."""
    return lambda position, channels: PastShift()


def aggregation(*, relu: bool = True) -> TemporalBuilder:
    """Depthwise temporal aggregation before every residual branch: TAM."""
    return lambda position, channels: TemporalAggregation(channels, relu=relu)


def linear_aggregation() -> TemporalBuilder:
    """TAM without its ReLU, for branches whose inputs are negative too: MobileNetV2's."""
    return aggregation(relu=False)


TEMPORAL_OPERATIONS = {
    "none": none,
    "shift": shift,
    "past_shift": past,
    "aggregation": aggregation,
    "linear_aggregation": linear_aggregation,
}
