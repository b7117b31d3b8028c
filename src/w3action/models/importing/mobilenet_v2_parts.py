"""A tensor of MobileNetV2 by what it is: of which feature, which convolution of it, its weight or its batch norm.

Every project nests MobileNetV2 its own way; all of them have its 19 features (a stem, 17 blocks, a last 1x1
convolution) with one to three convolutions each, every one followed by a batch norm.
"""

from typing import NamedTuple

from w3action.models.mobilenet_v2 import ROWS

LAST_FEATURE = 1 + sum(repetitions for _, _, repetitions, _, _ in ROWS)


class Part(NamedTuple):
    """Where a tensor stands."""

    feature: int  # 0 is the stem, LAST_FEATURE the last convolution, what lies between are blocks
    step: int  # which convolution of the feature, from 0
    is_norm: bool
    leaf: str  # weight, running_mean, ...

    @property
    def is_block(self) -> bool:
        """Whether it belongs to an inverted residual block."""
        return 0 < self.feature < LAST_FEATURE

    @property
    def num_steps(self) -> int:
        """How many convolutions its feature has; the first block does not expand."""
        return (2 if self.feature == 1 else 3) if self.is_block else 1


def part_of(key: str) -> Part:
    """Parse our (torchvision's) name within the backbone: `features.3.conv.1.0.weight` -> (3, 1, False, weight)."""
    _, feature, *inner, leaf = key.split(".")
    if inner[0] != "conv":  # the stem and the last convolution are one convolution and one norm
        return Part(int(feature), 0, inner == ["1"], leaf)
    num_nested = 1 if feature == "1" else 2  # all but the last convolution are nested with their norm
    step = int(inner[1])
    if len(inner) == 3:
        return Part(int(feature), step, inner[2] == "1", leaf)
    return Part(int(feature), num_nested, step > num_nested, leaf)


def row_of(feature: int) -> tuple[int, int]:
    """Return in which row of the paper's Table 2 a block stands, and as which of the row's blocks, both from 0."""
    index = feature - 1
    for row, (_, _, repetitions, _, _) in enumerate(ROWS):
        if index < repetitions:
            return row, index
        index -= repetitions
    raise AssertionError(f"feature {feature} is no block")


def flat_key(key: str, *, wrapped: str = "") -> str:
    """Name a tensor as where each block is one flat Sequential: convolution, norm, activation, convolution, ...

    `wrapped` follows the block's first convolution where something is wrapped around it.
    """
    part = part_of(key)
    if not part.is_block:
        return key
    position = 3 * part.step + part.is_norm
    wrapper = wrapped if position == 0 else ""
    return f"features.{part.feature}.conv.{position}{wrapper}.{part.leaf}"
