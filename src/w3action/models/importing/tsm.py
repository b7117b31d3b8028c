"""The names of the public TSM, of its online demo, and of the public EPIC-KITCHENS-55 models, which follow it.

TSM: ResNet, ResNet with non-local blocks, MobileNetV2; also its TSN, which shifts nothing. `module.base_model.` stands
before torchvision's name and `module.new_fc` is the classifier. A shifted block's first convolution is wrapped:
`layer1.0.conv1.net.weight`, `features.3.conv.0.net.weight`. MobileNetV2's blocks are flat. A block with a non-local one
behind it is wrapped too: `layer2.0.block.*` and, beside it, `layer2.0.nl.*` with `theta`, `phi.0`, `g.0` (a pooling
behind them is number 1), `W.0` (the output) and `W.1` (its batch norm). What the names do not tell: the share of
shifted channels (an eighth, unless that project was told otherwise).

The online demo: MobileNetV2 with flat blocks, `classifier`, and no sign of the shift. It replaces the first eighth of a
block's channels by the previous frame's and takes nothing from the next frame. That is another network than the TSM of
clips, whose past comes in the second eighth: the weights of the one are of no use to the other.

EPIC-KITCHENS-55: `fc_verb` (125 classes) and `fc_noun` (352) read the same features; our head is one of them, and the
other is left aside.
"""

import re

from w3action.models.importing.image_networks import part_of
from w3action.models.importing.layout import Blocks, Layout

RESNET_BLOCK = re.compile(r"(layer\d+\.\d+)\.(.+)")
ATTENTION = "slots.attention."
NON_LOCAL = {"theta": "theta", "phi": "phi.0", "g": "g.0", "out": "W.0", "norm": "W.1"}


def tsm_key(key: str, blocks: Blocks) -> str:
    """Name a tensor of our backbone as the public TSM does."""
    return "base_model." + (flat_key(key, blocks) if key.startswith("features.") else resnet_key(key, blocks))


def flat_key(key: str, blocks: Blocks) -> str:
    """Name a tensor of MobileNetV2 as where each block is one flat Sequential: convolution, norm, activation, ..."""
    part = part_of(key)
    if part.place is None:
        return key
    position = 3 * part.step + part.is_norm
    wrapper = ".net" if position == 0 and f"features.{part.feature}" in blocks.shifted else ""
    return f"features.{part.feature}.conv.{position}{wrapper}.{part.leaf}"


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
TSM_ONLINE = Layout(
    "the public TSM's online demo: MobileNetV2 that shifts from the past alone",
    lambda key, blocks: flat_key(key, Blocks()),  # nothing shows where it shifts
    {"mobilenetv2": {None: "classifier"}},
    shifts="past",
)
EPIC55 = Layout(
    "the public EPIC-KITCHENS-55 models (TSN, TSM): ResNet with a verb and a noun classifier",
    tsm_key,
    {"resnet": {"verb": "fc_verb", "noun": "fc_noun"}},
    shifts="named",
    has_non_local=True,
)
