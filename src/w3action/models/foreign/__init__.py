"""Any image network of timm or torchvision as a frame backbone: `tsm:timm/regnety_032`, `tsn:torchvision/resnet50`.

A name is a temporal operation, a library and the library's name of a network. The network needs residual blocks of
convolutions, where the temporal operation and the attention stand as in our own networks (`residuals.py`); it keeps
its names and its weights, and our head takes the place of its classifier. Clips are normalised as ImageNet is.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from w3action.models.foreign.as_backbone import ForeignBackbone
from w3action.models.foreign.libraries import LIBRARIES, build, find
from w3action.models.foreign.residuals import find_residuals, has_positive_inputs
from w3action.models.foreign.tracing import UntraceableError, trace
from w3action.models.networks import Network

__all__ = ["FRAMES_MEET", "LIBRARIES", "ForeignBackbone", "UntraceableError", "foreign_network"]

FRAMES_MEET = {"tsn": "none", "tsm": "shift", "tsm_online": "past_shift", "tam": "aggregation"}


def foreign_network(name: str) -> Network:
    """Return the network that a name such as `tsm:timm/regnety_032` stands for.

    Raises:
        ValueError: the name is of another form, or there is no such library or network, or (of "tam", which reads the
            network at once) it cannot be a frame backbone.
    """
    kind, _, rest = name.partition(":")
    library_name, _, network_name = rest.partition("/")
    if kind not in FRAMES_MEET or not network_name:
        raise ValueError(
            f"unknown model {name!r}; write KIND:LIBRARY/NAME, such as tsm:timm/regnety_032, with KIND one of "
            f"{', '.join(FRAMES_MEET)} and LIBRARY one of {', '.join(LIBRARIES)}"
        )
    library = find(library_name, network_name)
    temporal = FRAMES_MEET[kind]
    if temporal == "aggregation":
        with torch.device("meta"):
            traced = trace(build(library, network_name), what=rest)
        if not has_positive_inputs(find_residuals(traced), traced):
            temporal = "linear_aggregation"  # a ReLU behind it would cut what is negative

    def without_classifier(theirs: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Leave aside what the image network has behind its last maps; anything else unexpected is reported later."""
        with torch.device("meta"):
            known = build(library, network_name).state_dict()
        return {key: value for key, value in theirs.items() if key in expected or key not in known}

    return Network(
        lambda fillers: ForeignBackbone(build(library, network_name), fillers=fillers, what=rest),
        temporal,
        library.weights(network_name),
        convert=without_classifier,
    )
