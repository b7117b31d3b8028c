"""Attentions by name: which layer stands at which residual block, where in the block, and whether AFR follows.

To add one: a layer in `layers/NAME.py`, and a line in `ATTENTIONS`, with its import. Settings (`model.attention=NAME`),
lists and tests find it there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from w3action.layers import CBAM, W3, NonLocal, SqueezeExcite
from w3action.models.slots import AttentionBuilder, Place, Position


def every_block(position: Position) -> bool:
    """Attend at every residual block (the paper, section 3.3)."""
    return True


def five_blocks(position: Position) -> bool:
    """Attend at every second block of the second and third stage, five in a ResNet-50 (Non-local, section 4.1)."""
    return (position.stage, position.block) in {(1, 0), (1, 2), (2, 0), (2, 2), (2, 4)}


@dataclass(frozen=True)
class Attention:
    """How a network uses an attention layer: `layer(channels, **options)` at the blocks that `stands_at` names."""

    layer: Callable[..., nn.Module]
    summary: str
    stands_at: Callable[[Position], bool] = every_block
    place: Place = "residual"
    guides: bool = False  # its spatial masks can guide the refinement of features (AFR)
    refines: bool = False  # AFR is on unless told otherwise

    def builder(self, options: dict[str, Any]) -> AttentionBuilder:
        """Return the function that fills a backbone's attention slots."""
        return lambda position, channels: self.layer(channels, **options) if self.stands_at(position) else None

    def count_masks(self, num_blocks_by_stage: tuple[int, ...]) -> list[int]:
        """Count the attention layers of each stage of a backbone."""
        return [
            sum(self.stands_at(Position(stage, block, num_blocks_by_stage)) for block in range(count))
            for stage, count in enumerate(num_blocks_by_stage)
        ]


ATTENTIONS = {
    "w3": Attention(W3, "what, where and when, with attention-guided refinement", guides=True, refines=True),
    "cbam": Attention(CBAM, "what and where, frame by frame", guides=True),
    "se": Attention(SqueezeExcite, "what, frame by frame"),
    "non_local": Attention(NonLocal, "all places to all places", stands_at=five_blocks, place="output"),
}
