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

MOST_NAMES_SHOWN = 5


@dataclass(frozen=True)
class Library:
    """A library of image networks.

    Args:
        names: returns the names of its networks.
        build: (name) -> a network with random weights and a classifier.
        weights: (name) -> the ImageNet weights that the library takes by itself, or None where it has none.
    """

    names: Callable[[], list[str]]
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
            raise OSError(next(iter(str(error).splitlines()), type(error).__name__)) from error


def _timm_names() -> list[str]:
    import timm

    return [*timm.list_models(), *timm.list_pretrained()]  # the latter name a set of weights: `.ra_in1k`


def _build_timm(name: str) -> nn.Module:
    import timm

    return timm.create_model(name, pretrained=False)


def _timm_weights(name: str) -> WeightsEnum | None:
    import timm

    if not timm.is_model_pretrained(name):
        return None
    return cast(WeightsEnum, TimmWeights("timm", {name: name})[name])


def _torchvision_weights(name: str) -> WeightsEnum | None:
    weights = torchvision.models.get_model_weights(name)
    return weights["DEFAULT"] if len(weights) > 0 else None


LIBRARIES = {
    "timm": Library(_timm_names, _build_timm, _timm_weights),
    "torchvision": Library(
        partial(torchvision.models.list_models, module=torchvision.models),
        partial(torchvision.models.get_model, weights=None),
        _torchvision_weights,
    ),
}


def find(library: str, name: str) -> Library:
    """Return a library that has a network of this name.

    Raises:
        ValueError: there is no such library, it is not installed, or it has no such network.
    """
    if library not in LIBRARIES:
        raise ValueError(f"unknown library {library!r} of image networks; choose one of {', '.join(LIBRARIES)}")
    found = LIBRARIES[library]
    try:
        names = found.names()
    except ImportError as error:
        raise ValueError(
            f"{library}/{name} needs {library}, which is not installed; pip install 'w3action[{library}]', or take one "
            "of torchvision's networks"
        ) from error
    if name not in names:
        near = difflib.get_close_matches(name, names, n=MOST_NAMES_SHOWN)
        advice = f"near are {', '.join(near)}" if near else f"it has {', '.join(names[:MOST_NAMES_SHOWN])}, ..."
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
