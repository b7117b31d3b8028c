"""w3action: efficient video action recognition that knows what, where and when to look."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from w3action.data import Clip
    from w3action.models import create_model, list_models
    from w3action.runs.checkpoint import load_checkpoint
    from w3action.use.predict import predict

_HOME = {
    "Clip": "w3action.data",
    "create_model": "w3action.models",
    "for_inference": "w3action.models.for_inference",
    "list_models": "w3action.models",
    "load_checkpoint": "w3action.runs.checkpoint",
    "predict": "w3action.use.predict",
}

__all__ = ["Clip", "create_model", "for_inference", "list_models", "load_checkpoint", "predict"]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use: `w3 --help` need not wait for PyTorch."""
    if name not in _HOME:
        raise AttributeError(f"module 'w3action' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
