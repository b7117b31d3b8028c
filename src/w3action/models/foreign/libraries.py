"""The libraries of image networks that frame backbones are made of: their names, their networks, their weights.

timm is optional and imported only when one of its networks is asked for.
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models import WeightsEnum

from w3action.models.weights import first_line

MOST_NAMES_SHOWN = 5


@dataclass(frozen=True)
class Library:
    """A library of image networks.

    Args:
        names: of its networks.
        build: (name) -> a network with random weights and a classifier.
        weights: (name) -> the ImageNet weights that the library takes by itself, or None where it has none.
    """

    names: list[str]
    build: Callable[[str], nn.Module]
    weights: Callable[[str], WeightsEnum | None]


class TimmWeights(WeightsEnum):
    """Base of timm's weights in the form of torchvision's: the one value is the network's name."""

    def get_state_dict(self, *_: object, **__: object) -> dict[str, Tensor]:
        """Download the weights, or take them from timm's cache.

        Raises:
            OSError: they cannot be fetched.
        """
        import timm

        try:
            return timm.create_model(self.value, pretrained=True).state_dict()
        except Exception as error:  # the clients of several services, each with errors of its own
            raise OSError(first_line(error)) from error


def _timm() -> Library:
    import timm

    return Library(
        [*timm.list_models(), *timm.list_pretrained()],  # the latter name a set of weights: `.ra_in1k`
        partial(timm.create_model, pretrained=False),
        lambda name: (
            cast(WeightsEnum, TimmWeights("timm", {name: name})[name]) if timm.is_model_pretrained(name) else None
        ),
    )


def _torchvision() -> Library:
    models = torchvision.models
    return Library(
        models.list_models(module=models),
        partial(models.get_model, weights=None),
        lambda name: getattr(models.get_model_weights(name), "DEFAULT", None),
    )


LIBRARIES = {"timm": _timm, "torchvision": _torchvision}


def find(library: str, name: str) -> Library:
    """Return a library that has a network of this name.

    Raises:
        ValueError: there is no such library, it is not installed, or it has no such network.
    """
    if library not in LIBRARIES:
        raise ValueError(f"unknown library {library!r} of image networks; choose one of {', '.join(LIBRARIES)}")
    try:
        found = LIBRARIES[library]()
    except ImportError as error:
        raise ValueError(
            f"{library}/{name} needs {library}, which is not installed; pip install 'w3action[{library}]', or take one "
            "of torchvision's networks"
        ) from error
    if name not in found.names:
        near = difflib.get_close_matches(name, found.names, n=MOST_NAMES_SHOWN)
        advice = f"near are {', '.join(near)}" if near else f"it has {', '.join(found.names[:MOST_NAMES_SHOWN])}, ..."
        raise ValueError(f"{library} has no network {name!r}; {advice}")
    return found


def build(library: Library, name: str) -> nn.Module:
    """Build a network on the default device."""
    try:
        return library.build(name)
    except RuntimeError:  # its code reads numbers, of which the meta device has none; torch 2.11 raises no kinder error
        device = torch.get_default_device()
        with torch.device("cpu"):
            return library.build(name).to(device)
