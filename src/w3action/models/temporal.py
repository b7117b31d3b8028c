"""Temporal operations by name: what a backbone does between frames, and at which residual blocks it does it.

Each maps a block's position and its channels to a layer, or to None where the block has none. To add one: a layer in
`layers/`, a line in `TEMPORAL_OPERATIONS`.
"""

from torch import nn

from w3action.layers import PastShift, TemporalAggregation, TemporalShift
from w3action.models.slots import Position, TemporalBuilder, nothing


def shift(position: Position, channels: int) -> nn.Module | None:
    """Shift before every residual branch: TSM.

    In networks with a stage of 23 blocks or more (ResNet-101) every second block shifts, as in the public TSM.
    """
    every = 2 if max(position.num_blocks_by_stage) >= 23 else 1
    return TemporalShift() if position.block % every == 0 else None


TEMPORAL_OPERATIONS: dict[str, TemporalBuilder] = {
    "none": nothing,  # frames never meet before the head: TSN
    "shift": shift,
    "past_shift": lambda position, channels: PastShift(),  # the online TSM, which can run on a stream
    "aggregation": lambda position, channels: TemporalAggregation(channels),  # TAM
    # Without its ReLU, for branches whose inputs are negative too: MobileNetV2's.
    "linear_aggregation": lambda position, channels: TemporalAggregation(channels, relu=False),
}
