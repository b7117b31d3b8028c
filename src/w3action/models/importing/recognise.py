"""Which network of ours a file's weights go into: what its tensors tell, checked against what was asked for.

Tensors tell which backbone they are of, whether its blocks shift, its extras. Nothing is guessed from a file's name.
What tensors cannot tell (the number of frames, the order of the classes, in some layouts the shift) is asked for.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache

import torch
from torch import Size, Tensor

from w3action.models.backbone import Backbone
from w3action.models.create import create_model
from w3action.models.heads import AverageHead
from w3action.models.importing import LAYOUTS
from w3action.models.importing.layout import Blocks, Family, Layout
from w3action.models.mobilenet_v2 import mobilenet_v2
from w3action.models.networks import NETWORKS, TEMPORAL_OPERATIONS
from w3action.models.resnet import resnet18, resnet34, resnet50, resnet101
from w3action.models.slots import Fillers
from w3action.models.slowfast import slowfast_4x16_resnet50, slowfast_8x8_resnet50
from w3action.models.weights import WeightsError

BackboneBuilder = Callable[[Fillers], Backbone]

BUILDERS: dict[Family, tuple[BackboneBuilder, ...]] = {
    "resnet": (resnet18, resnet34, resnet50, resnet101),
    "mobilenetv2": (mobilenet_v2,),
    "slowfast": (slowfast_4x16_resnet50, slowfast_8x8_resnet50),
}
FAMILIES = {builder: family for family, builders in BUILDERS.items() for builder in builders}
ENOUGH_IN_COMMON = 0.5  # of the names; a cousin (ResNet-152) has enough, and is then refused name by name
NON_LOCAL_MARKS = (".nl.", ".non_local_block.")
WRAPPED = re.compile(r"\.(net|block)\.")


@dataclass(frozen=True)
class Told:
    """What a file tells."""

    backbone: BackboneBuilder
    family: Family
    temporal: str | None  # "shift" or "none"; None where the layout's names do not tell
    has_non_local: bool


def recognise(state: Mapping[str, Tensor], layout: Layout, *, origin: str) -> Told:
    """Tell what network a state dict is of.

    Raises:
        WeightsError: it is none that we have, or not of this layout; then the message names layouts that fit.
    """
    score, backbone = _closest(state, layout)
    if score < ENOUGH_IN_COMMON:
        fitting = [name for name, other in LAYOUTS.items() if _closest(other.tidy(state), other)[0] >= ENOUGH_IN_COMMON]
        known = ", ".join(builder.__name__ for family in layout.classifiers for builder in BUILDERS[family])
        advice = (
            f"its names are those of --from {' or '.join(fitting)}"
            if fitting
            else f"its first names are {', '.join(list(state)[:3])}"
        )
        tried = next(name for name, other in LAYOUTS.items() if other is layout)
        raise WeightsError(f"{origin}: holds none of {known} by the names of --from {tried}; {advice}")
    temporal = None
    if layout.shifts == "named":
        temporal = "shift" if any(".net." in key for key in state) else "none"
    has_non_local = any(mark in key for key in state for mark in NON_LOCAL_MARKS)
    if has_non_local and not layout.has_non_local:
        raise WeightsError(f"{origin}: holds non-local blocks, which are not read from {layout.summary}")
    return Told(backbone, FAMILIES[backbone], temporal, has_non_local)


def choose_network(told: Told, layout: Layout, *, network: str | None, temporal: str | None, origin: str) -> str:
    """Return the network that a file's weights are of.

    Args:
        told: what the file tells.
        layout: its layout.
        network: the network asked for; None finds the one with the file's backbone and temporal operation.
        temporal: the temporal operation asked for; None takes what the file tells or what the network has.
        origin: the file, for messages.

    Raises:
        ValueError: what was asked for is not what the file holds, or too little was asked for to decide.
    """
    if temporal is not None and temporal not in TEMPORAL_OPERATIONS:
        raise ValueError(f"unknown temporal {temporal!r}; choose one of {', '.join(TEMPORAL_OPERATIONS)}")
    if network is not None and network not in NETWORKS:
        raise ValueError(f"unknown model {network!r}; choose one of {', '.join(NETWORKS)}")
    fitting = [
        name
        for name, ours in NETWORKS.items()
        if (ours.backbone, ours.head) == (told.backbone, AverageHead)  # that of every layout
        and told.temporal in (None, ours.temporal)
    ]
    held = f"{origin} holds a {told.backbone.__name__}"
    if told.temporal is not None:
        held += " whose blocks shift" if told.temporal == "shift" else " whose blocks do not shift"
    if network is not None and network not in fitting:
        raise ValueError(f"{held}, which is not {network}; give --network {' or '.join(fitting)}")
    if temporal is not None:
        fitting = [name for name in fitting if NETWORKS[name].temporal == temporal]
        if network is not None and network not in fitting:
            raise ValueError(f"{network} has the temporal operation {NETWORKS[network].temporal}, not {temporal}")
        if not fitting:
            raise ValueError(f"{held}; there is no network with that backbone and temporal={temporal!r}")
    if network is None and len(fitting) != 1:
        raise ValueError(f"{held}, which could be any of {', '.join(fitting)}; choose one with --network or --temporal")
    chosen = network or fitting[0]
    if layout.shifts == "past" and not looks_back_only(chosen):
        raise ValueError(
            f"{origin} was trained to take channels from the past alone, and {chosen} does not do that; it would score "
            "something else. Give --network one that shifts from the past alone"
        )
    return chosen


def looks_back_only(network: str) -> bool:
    """Whether a network's frames are computed from earlier frames, and never from later ones."""
    backbone = create_model(network, num_classes=1).backbone.eval()
    generator = torch.Generator().manual_seed(0)
    clips = torch.randn(1, 3, 2, 64, 64, generator=generator).requires_grad_()
    maps, _ = backbone(clips)
    to_first, to_second = (torch.autograd.grad(maps[:, :, t].sum(), clips, retain_graph=True)[0] for t in (0, 1))
    from_the_future, from_the_past = to_first[:, :, 1].abs().sum(), to_second[:, :, 0].abs().sum()
    return from_the_future.item() == 0 and from_the_past.item() > 0


def _closest(state: Mapping[str, Tensor], layout: Layout) -> tuple[float, BackboneBuilder]:
    """Find the backbone that has most names in common with a file, and which share of all names that is.

    Of two with the same names (SlowFast 4x16 and 8x8) it is the one that has more shapes in common.
    """
    weights = {key: value.shape for key, value in state.items() if not key.endswith("num_batches_tracked")}
    given = {WRAPPED.sub(".", key): shape for key, shape in weights.items()}
    candidates = [builder for family in layout.classifiers for builder in BUILDERS[family]]
    expected = {builder: _shapes(builder, layout.backbone_key) for builder in candidates}
    scores = {builder: _overlap(given, expected[builder]) for builder in candidates}
    best = max(scores, key=lambda builder: (scores[builder], len(given.items() & expected[builder].items())))
    return scores[best], best


def _overlap(given: Collection[str], expected: Collection[str]) -> float:
    return len(set(given) & set(expected)) / len(set(given) | set(expected))


@cache
def _shapes(builder: BackboneBuilder, backbone_key: Callable[[str, Blocks], str]) -> Mapping[str, Size]:
    with torch.device("meta"):
        state = builder(Fillers()).state_dict()
    return {
        backbone_key(key, Blocks()): value.shape
        for key, value in state.items()
        if not key.endswith("num_batches_tracked")
    }
