"""The names of the public TSM: ResNet, ResNet with non-local blocks, MobileNetV2; also its TSN, which shifts nothing.

`module.base_model.` stands before torchvision's name and `module.new_fc` is the classifier. A shifted block's first
convolution is wrapped: `layer1.0.conv1.net.weight`, `features.3.conv.0.net.weight`. MobileNetV2's blocks are flat. A
block with a non-local one behind it is wrapped too: `layer2.0.block.*` and, beside it, `layer2.0.nl.*` with `theta`,
`phi.0`, `g.0` (a pooling behind them is number 1), `W.0` (the output) and `W.1` (its batch norm).

What the names do not tell: the share of shifted channels (an eighth, unless that project was told otherwise).
"""

import re

from w3action.models.importing.layout import Blocks, Layout
from w3action.models.importing.mobilenet_v2_parts import flat_key

RESNET_BLOCK = re.compile(r"(layer\d+\.\d+)\.(.+)")
ATTENTION = "slots.attention."
NON_LOCAL = {"theta": "theta", "phi": "phi.0", "g": "g.0", "out": "W.0", "norm": "W.1"}


def tsm_key(key: str, blocks: Blocks) -> str:
    """Name a tensor of our backbone as the public TSM does."""
    if key.startswith("features."):
        feature = ".".join(key.split(".")[:2])
        return "base_model." + flat_key(key, wrapped=".net" if feature in blocks.shifted else "")
    return "base_model." + resnet_key(key, blocks)


def resnet_key(key: str, blocks: Blocks) -> str:
    """Wrap what the public TSM wraps in a ResNet."""
    found = RESNET_BLOCK.fullmatch(key)
    if found is None:  # the stem
        return key
    block, rest = found.groups()
    if rest.startswith(ATTENTION):
        layer, leaf = rest.removeprefix(ATTENTION).split(".")
        return f"{block}.nl.{NON_LOCAL[layer]}.{leaf}"
    if rest == "conv1.weight" and block in blocks.shifted:
        rest = "conv1.net.weight"
    return f"{block}.block.{rest}" if block in blocks.non_local else f"{block}.{rest}"


TSM = Layout(
    "the public TSM: ResNet with or without non-local blocks, MobileNetV2, shifted or not",
    tsm_key,
    {"resnet": {None: "new_fc"}, "mobilenetv2": {None: "new_fc"}},
    shifts="named",
    has_non_local=True,
    prefix="module.",
)
