"""Layouts by name."""

from w3action.models.importing.epic55 import EPIC55
from w3action.models.importing.layout import Layout
from w3action.models.importing.mmaction2 import MMACTION2
from w3action.models.importing.slowfast import SLOWFAST
from w3action.models.importing.timm import TIMM
from w3action.models.importing.torchvision import TORCHVISION
from w3action.models.importing.tsm import TSM
from w3action.models.importing.tsm_online import TSM_ONLINE

LAYOUTS: dict[str, Layout] = {
    "torchvision": TORCHVISION,
    "timm": TIMM,
    "tsm": TSM,
    "tsm-online": TSM_ONLINE,
    "mmaction2": MMACTION2,
    "epic55": EPIC55,
    "slowfast": SLOWFAST,
}


def look_up(name: str) -> Layout:
    """Return a layout.

    Raises:
        ValueError: there is none of this name.
    """
    if name not in LAYOUTS:
        raise ValueError(f"unknown layout {name!r}; choose one of {', '.join(LAYOUTS)}")
    return LAYOUTS[name]
