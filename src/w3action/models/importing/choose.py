"""Which network of ours a file's weights go into: what the tensors tell, checked against what was asked for."""

import torch

from w3action.models.create import create_model
from w3action.models.heads import AverageHead
from w3action.models.importing.layout import Layout
from w3action.models.importing.recognise import BackboneBuilder, Told
from w3action.models.networks import NETWORKS
from w3action.models.temporal import TEMPORAL_OPERATIONS


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
    fitting = _networks_of(told.backbone, told.temporal)
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


def _networks_of(backbone: BackboneBuilder, temporal: str | None) -> list[str]:
    return [
        name
        for name, network in NETWORKS.items()
        if network.backbone is backbone
        and network.head is AverageHead  # that of every layout
        and (temporal is None or network.temporal == temporal)
    ]


def looks_back_only(network: str) -> bool:
    """Whether a network's frames are computed from earlier frames, and never from later ones."""
    backbone = create_model(network, num_classes=1).backbone.eval()
    generator = torch.Generator().manual_seed(0)
    clips = torch.randn(1, 3, 2, 64, 64, generator=generator).requires_grad_()
    maps, _ = backbone(clips)
    to_first, to_second = (torch.autograd.grad(maps[:, :, t].sum(), clips, retain_graph=True)[0] for t in (0, 1))
    from_the_future, from_the_past = to_first[:, :, 1].abs().sum(), to_second[:, :, 0].abs().sum()
    return from_the_future.item() == 0 and from_the_past.item() > 0
