"""torchvision's and timm's names of image networks, and what a tensor of MobileNetV2 is, which each project nests anew.

torchvision's names of ResNet and MobileNetV2 are those of our backbones, with `fc` or `classifier.1` behind them; the
published MobileNetV2 (`features.1.conv.0.weight`) is read too. timm names ResNets as torchvision does. Of its
MobileNetV2 `features.0` is `conv_stem` and `bn1`, the last convolution `conv_head` and `bn2`, and a block, by the rows
of the paper's Table 2, `blocks.ROW.INDEX` with `conv_pw`, `bn1`, `conv_dw`, `bn2`, `conv_pwl`, `bn3`; the first
block, which does not expand, has `conv_dw`, `bn1`, `conv_pw`, `bn2`. Only variants that compute what torchvision's do
have these names (resnet50, not resnet50d; mobilenetv2_100, not its wider ones).
"""

from typing import NamedTuple

from w3action.models.importing.layout import Blocks, Layout
from w3action.models.mobilenet_v2 import ROWS
from w3action.models.weights import nest_mobilenet

# Of MobileNetV2's 17 blocks: the row of the paper's Table 2, and which of the row's blocks, both from 0.
PLACES = [(row, index) for row, (_, _, repetitions, _, _) in enumerate(ROWS) for index in range(repetitions)]


class Part(NamedTuple):
    """Where a tensor of MobileNetV2 stands: 19 features with one to three convolutions, each with a batch norm."""

    feature: int  # 0 is the stem, the 18th the last 1x1 convolution, what lies between are blocks
    step: int  # which convolution of the feature, from 0
    is_norm: bool
    leaf: str  # weight, running_mean, ...

    @property
    def place(self) -> tuple[int, int] | None:
        """Its block's row in the paper's Table 2 and its number within the row, both from 0; None outside blocks."""
        return PLACES[self.feature - 1] if 0 < self.feature <= len(PLACES) else None


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


def timm_key(key: str, blocks: Blocks) -> str:
    """Name a tensor of our backbone as timm does."""
    if not key.startswith("features."):
        return key
    part = part_of(key)
    if part.place is None:
        conv, norm = ("conv_stem", "bn1") if part.feature == 0 else ("conv_head", "bn2")
        return f"{norm if part.is_norm else conv}.{part.leaf}"
    row, index = part.place
    convolutions = ("conv_dw", "conv_pw") if part.feature == 1 else ("conv_pw", "conv_dw", "conv_pwl")
    layer = f"bn{part.step + 1}" if part.is_norm else convolutions[part.step]
    return f"blocks.{row}.{index}.{layer}.{part.leaf}"


TORCHVISION = Layout(
    "torchvision's image networks, with or without classifier",
    lambda key, blocks: key,
    {"resnet": {None: "fc"}, "mobilenetv2": {None: "classifier.1"}},
    shifts="any",
    needs_classifier=False,
    tidy=nest_mobilenet,
)
TIMM = Layout(
    "timm's image networks, with or without classifier",
    timm_key,
    {"resnet": {None: "fc"}, "mobilenetv2": {None: "classifier"}},
    shifts="any",
    needs_classifier=False,
)
