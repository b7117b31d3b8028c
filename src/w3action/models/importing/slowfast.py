"""PySlowFast's names of SlowFast on a ResNet-50: 4x16 and 8x8 (and 16x8, which is 8x8 on clips of 64 frames).

A stage has both pathways: `s2.pathway0_res0.branch2.a.weight` is the first convolution of the slow pathway's first
block, `a_bn` its batch norm, then `b` and `c`; `branch1` and `branch1_bn` are the shortcut's. The stems are
`s1.pathway0_stem.conv` and `.bn`; behind the stage N stands the lateral convolution `sN_fuse.conv_f2s` and its `bn`;
the classifier is `head.projection`, of the slow channels before the fast ones. A `.pyth` file holds all of them in
`model_state`, beside the optimiser's state and the config as text; which of the two it is, the depth of its lateral
convolutions tells (5 frames in 4x16, 7 in 8x8).

What the names do not tell: these networks were trained on frames with a mean of 0.45 and a deviation of 0.225 in each
channel; ours sees ImageNet's. So scores are near to the published ones but not equal until the network is trained on.
Files in Caffe2's format (.pkl) are pickles of another kind and are not read.
"""

import re

from w3action.models.importing.layout import Blocks, Layout

PATHWAYS = {"slow": 0, "fast": 1}
STEM = {"conv1": "conv", "bn1": "bn"}
INNER = {"conv1": "a", "conv2": "b", "conv3": "c", "bn1": "a_bn", "bn2": "b_bn", "bn3": "c_bn"}
SHORTCUT = {"0": "branch1", "1": "branch1_bn"}
LATERAL = {"0": "conv_f2s", "1": "bn"}
STAGE = re.compile(r"layer(\d)\.(\d+)\.(.+)")


def backbone_key(key: str, blocks: Blocks) -> str:
    """Name a tensor of our backbone as PySlowFast does."""
    room, _, rest = key.partition(".")
    path, _, leaf = rest.rpartition(".")
    if room == "laterals":
        index, layer = path.split(".")
        return f"s{int(index) + 1}_fuse.{LATERAL[layer]}.{leaf}"
    pathway = f"pathway{PATHWAYS[room]}"
    if path in STEM:
        return f"s1.{pathway}_stem.{STEM[path]}.{leaf}"
    found = STAGE.fullmatch(path)
    assert found is not None, key
    stage, block, layer = found.groups()
    module = SHORTCUT[layer.removeprefix("downsample.")] if "." in layer else f"branch2.{INNER[layer]}"
    return f"s{int(stage) + 1}.{pathway}_res{block}.{module}.{leaf}"


SLOWFAST = Layout(
    "PySlowFast's SlowFast on a ResNet-50",
    backbone_key,
    {"slowfast": {None: "head.projection"}},
    shifts="any",
)
