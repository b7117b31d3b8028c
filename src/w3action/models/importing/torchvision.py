"""torchvision's names of ResNet and MobileNetV2: those of our backbones, and `fc` or `classifier.1` behind them.

The published MobileNetV2 of the original's PyTorch port (`features.1.conv.0.weight`) is read too.
"""

from collections.abc import Mapping

from torch import Tensor

from w3action.models.importing.layout import Blocks, Layout
from w3action.models.weights import torchvision_key


def backbone_key(key: str, blocks: Blocks) -> str:
    """Our backbones are named after torchvision's."""
    return key


def nest_blocks(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Bring the flat names of the published MobileNetV2 to torchvision's nested ones."""
    return {torchvision_key(key, state): value for key, value in state.items()}


TORCHVISION = Layout(
    "torchvision's image networks, with or without classifier",
    backbone_key,
    {"resnet": {None: "fc"}, "mobilenetv2": {None: "classifier.1"}},
    shifts="any",
    needs_classifier=False,
    tidy=nest_blocks,
)
