"""Weights of other projects' action models: imported as runs of ours, and exported under their names again.

To add a layout: a file that names our tensors as it does, and a line in `LAYOUTS`.
"""

from w3action.models.importing.classes import class_order, read_classes
from w3action.models.importing.exporter import export_state_dict
from w3action.models.importing.layout import Layout
from w3action.models.importing.layouts import LAYOUTS

__all__ = [
    "LAYOUTS",
    "Layout",
    "class_order",
    "export_state_dict",
    "read_classes",
]
