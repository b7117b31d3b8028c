"""mmaction2's names of TSN and TSM on ResNet and MobileNetV2.

Every convolution is a module of `conv` and `bn`: `backbone.layer1.0.conv1.conv.weight`, `...conv1.bn.weight`,
`...downsample.conv.weight`. In a ResNet the shift is wrapped around the convolution alone
(`conv1.conv.net.weight`), in a MobileNetV2 around the module (`layer2.1.conv.0.net.conv.weight`). MobileNetV2 has a
`layer` for each row of the paper's Table 2, from 1, with `conv1` before and `conv2` behind them. The classifier is
`cls_head.fc_cls`.

Its non-local blocks are not read: their names do not tell which of three ways to weigh was trained.
"""

import re

from w3action.models.importing.image_networks import part_of
from w3action.models.importing.layout import Blocks, Layout

RESNET_LAYER = re.compile(
    r"(?:(?P<block>layer\d+\.\d+)\.)?(?:(?P<kind>conv|bn)(?P<number>\d)|downsample\.(?P<down>[01]))"
)


def backbone_key(key: str, blocks: Blocks) -> str:
    """Name a tensor of our backbone as mmaction2 does."""
    return "backbone." + (mobilenet_key(key, blocks) if key.startswith("features.") else resnet_key(key, blocks))


def resnet_key(key: str, blocks: Blocks) -> str:
    """Pair each convolution of a ResNet with its batch norm."""
    layer, _, leaf = key.rpartition(".")
    found = RESNET_LAYER.fullmatch(layer)
    assert found is not None, key
    block, kind, number, down = found.group("block", "kind", "number", "down")
    is_norm = kind == "bn" or down == "1"
    module = f"conv{number}" if kind else "downsample"
    shifted = module == "conv1" and not is_norm and block in blocks.shifted
    path = [block] if block else []
    return ".".join([*path, module, "bn" if is_norm else "conv", *(["net"] if shifted else []), leaf])


def mobilenet_key(key: str, blocks: Blocks) -> str:
    """Count MobileNetV2's blocks by rows and pair each convolution with its batch norm."""
    part = part_of(key)
    kind = "bn" if part.is_norm else "conv"
    if part.place is None:
        return f"conv{1 if part.feature == 0 else 2}.{kind}.{part.leaf}"
    row, index = part.place
    shifted = part.step == 0 and f"features.{part.feature}" in blocks.shifted
    return f"layer{row + 1}.{index}.conv.{part.step}{'.net' if shifted else ''}.{kind}.{part.leaf}"


MMACTION2 = Layout(
    "mmaction2's TSN and TSM on ResNet and MobileNetV2",
    backbone_key,
    {"resnet": {None: "cls_head.fc_cls"}, "mobilenetv2": {None: "cls_head.fc_cls"}},
    shifts="named",
)
