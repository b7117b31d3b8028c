"""Weights of other projects' action models: imported as runs of ours, and exported under their names again.

To add a layout: a file that names our tensors as it does, and a line in `LAYOUTS`.
"""

from w3action.models.importing.image_networks import TIMM, TORCHVISION
from w3action.models.importing.layout import Layout
from w3action.models.importing.mmaction2 import MMACTION2
from w3action.models.importing.slowfast import SLOWFAST
from w3action.models.importing.tsm import EPIC55, TSM, TSM_ONLINE

LAYOUTS: dict[str, Layout] = {
    "torchvision": TORCHVISION,
    "timm": TIMM,
    "tsm": TSM,
    "tsm-online": TSM_ONLINE,
    "mmaction2": MMACTION2,
    "epic55": EPIC55,
    "slowfast": SLOWFAST,
}


def look_up_layout(name: str) -> Layout:
    """Return a layout.

    Raises:
        ValueError: there is none of this name.
    """
    if name not in LAYOUTS:
        raise ValueError(f"unknown layout {name!r}; choose one of {', '.join(LAYOUTS)}")
    return LAYOUTS[name]
