"""The names of the public TSM's online demo: MobileNetV2 with flat blocks, `classifier`, and no sign of the shift.

Its network replaces the first eighth of a block's channels by the previous frame's and takes nothing from the next
frame. That is another network than the TSM of clips, whose past comes in the second eighth: the weights of the one
are of no use to the other.
"""

from w3action.models.importing.layout import Blocks, Layout
from w3action.models.importing.mobilenet_v2_parts import flat_key


def backbone_key(key: str, blocks: Blocks) -> str:
    """Name a tensor of our backbone as the online demo does."""
    return flat_key(key)


TSM_ONLINE = Layout(
    "the public TSM's online demo: MobileNetV2 that shifts from the past alone",
    backbone_key,
    {"mobilenetv2": {None: "classifier"}},
    shifts="past",
)
