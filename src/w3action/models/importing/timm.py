"""timm's names: its ResNets are named as torchvision's; its MobileNetV2 by rows of the paper's Table 2.

There `features.0` is `conv_stem` and `bn1`, the last convolution `conv_head` and `bn2`, and a block is
`blocks.ROW.INDEX` with `conv_pw`, `bn1`, `conv_dw`, `bn2`, `conv_pwl`, `bn3`; the first block, which does not expand,
has `conv_dw`, `bn1`, `conv_pw`, `bn2`. Only variants that compute what torchvision's do have these names (resnet50,
not resnet50d; mobilenetv2_100, not its wider ones).
"""

from w3action.models.importing.layout import Blocks, Layout
from w3action.models.importing.mobilenet_v2_parts import part_of, row_of


def backbone_key(key: str, blocks: Blocks) -> str:
    """Name a tensor of our backbone as timm does."""
    if not key.startswith("features."):
        return key
    part = part_of(key)
    if not part.is_block:
        conv, norm = ("conv_stem", "bn1") if part.feature == 0 else ("conv_head", "bn2")
        return f"{norm if part.is_norm else conv}.{part.leaf}"
    row, index = row_of(part.feature)
    convolutions = ("conv_dw", "conv_pw") if part.num_steps == 2 else ("conv_pw", "conv_dw", "conv_pwl")
    layer = f"bn{part.step + 1}" if part.is_norm else convolutions[part.step]
    return f"blocks.{row}.{index}.{layer}.{part.leaf}"


TIMM = Layout(
    "timm's image networks, with or without classifier",
    backbone_key,
    {"resnet": {None: "fc"}, "mobilenetv2": {None: "classifier"}},
    shifts="any",
    needs_classifier=False,
)
