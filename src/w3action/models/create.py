"""`create_model`: a row of the paper's tables as a sentence, backbone x temporal operation x attention x head."""

from pathlib import Path
from typing import Any, get_args

from w3action.layers import AttentionGuidedRefinement
from w3action.models.action_model import ActionModel, RefineFrom
from w3action.models.attention import ATTENTIONS
from w3action.models.backbone import Backbone, widen_inputs_
from w3action.models.foreign import foreign_network
from w3action.models.heads import RegionGraphHead
from w3action.models.networks import NETWORKS, TEMPORAL_OPERATIONS, Network
from w3action.models.regions import load_proposer
from w3action.models.slots import Fillers, Place
from w3action.models.weights import load_backbone


def list_models() -> list[str]:
    """Return the names that `create_model` takes."""
    return list(NETWORKS)


def create_model(
    name: str,
    *,
    num_classes: int,
    attention: str | None = None,
    attention_options: dict[str, Any] | None = None,
    place: Place | None = None,
    refine: bool | None = None,
    refine_from: RefineFrom = "last",
    head_options: dict[str, Any] | None = None,
    dropout: float = 0.5,
    pretrained: str | Path | None = None,
    proposer: str | Path | None = None,
    in_channels: int = 3,
) -> ActionModel:
    """Build a network; any network takes any attention.

    Args:
        name: one of `list_models()`, or an image network of a library: `tsm:timm/regnety_032` (see `models/foreign`).
        num_classes: K of the logits `(B, K)`.
        attention: one of `ATTENTIONS`, or None.
        attention_options: keyword arguments of the attention layer, e.g. `{"temporal": False}` for W3.
        place: where the attention stands, "residual" or "output"; None takes the attention's own place.
        refine: attention-guided feature refinement (section 3.4); None means where the attention asks for it.
        refine_from: AFR from the "last" mask of each stage (the paper) or from "every" one.
        head_options: keyword arguments of the network's head, e.g. `{"num_frames": 16}` for a relation head.
        dropout: before the classifier.
        pretrained: "imagenet" (torchvision's weights, downloaded), or a local file of backbone weights.
        proposer: weights of a region graph's detector, which finds the things: "coco" (torchvision's Faster R-CNN,
            downloaded), or a local file of it. A checkpoint holds them.
        in_channels: of the clips: 3 for RGB, 10 for five flows; weights of RGB then give each the mean of the three.

    Raises:
        ValueError: an unknown name, options that the attention or head does not take, refinement without masks.
        WeightsError: weights that do not fit; it lists missing, unexpected and mis-shaped keys.
    """
    network = look_up_network(name)
    check_choices(attention=attention, place=place, refine_from=refine_from)
    chosen = None if attention is None else ATTENTIONS[attention]
    options, head_options = dict(attention_options or {}), dict(head_options or {})
    if chosen is None and (options or place is not None):
        given = f"attention_options {options}" if options else f"place={place!r}"
        raise ValueError(f"{given} is given but attention is None; name one of {', '.join(ATTENTIONS)}")
    if num_classes < 1:
        raise ValueError(f"num_classes is {num_classes}; a classifier needs at least 1")

    temporal = TEMPORAL_OPERATIONS[network.temporal]
    fillers = Fillers(temporal) if chosen is None else Fillers(temporal, chosen.builder(options), place or chosen.place)
    try:
        backbone = network.backbone(fillers)
    except TypeError as error:
        raise ValueError(f"attention {attention!r} does not take the options {options}: {error}") from error
    inputs = widen_inputs_(backbone, in_channels, name=name)
    refinement = _build_refinement(backbone, attention, options, refine=refine, refine_from=refine_from)
    initial_std = None if network.imagenet is None else 0.001
    shape = {"dropout": dropout, "initial_std": initial_std, **network.head_options, **head_options}
    try:
        head = network.head(backbone.num_features, num_classes, **shape)
    except TypeError as error:
        raise ValueError(f"the head of {name} does not take the options {head_options}: {error}") from error
    arguments = {
        "name": name,
        "num_classes": num_classes,
        "attention": attention,
        "attention_options": options,
        "place": place,
        "refine": refinement is not None,
        "refine_from": refine_from,
        "head_options": head_options,
        "dropout": dropout,
        "in_channels": in_channels,
    }
    model = ActionModel(backbone, head, refine=refinement, refine_from=refine_from, arguments=arguments)
    if pretrained is not None:
        source = network.imagenet if str(pretrained) == "imagenet" else Path(pretrained)
        load_backbone(backbone, source, name=name, convert=network.convert, inputs=inputs)
    if proposer is not None:
        if not isinstance(head, RegionGraphHead) or head.proposer is None:
            raise ValueError(f"proposer={str(proposer)!r} is given, but {name} proposes no regions; leave it out")
        load_proposer(head.proposer, proposer)
    return model


def check_choices(*, attention: str | None, place: str | None, refine_from: str) -> None:
    """Refuse a name that stands for nothing, before anything is built or trained.

    Raises:
        ValueError: saying which name is unknown and which there are.
    """
    for what, given, allowed in (
        ("attention", attention, ATTENTIONS),
        ("place", place, get_args(Place)),
        ("refine_from", refine_from, get_args(RefineFrom)),
    ):
        if given is not None and given not in allowed:
            raise ValueError(f"unknown {what} {given!r}; choose one of {', '.join(allowed)}")


def look_up_network(name: str) -> Network:
    """Return the network of that name, ours or another library's.

    Raises:
        ValueError: there is none.
    """
    if ":" in name:
        return foreign_network(name)
    if name not in NETWORKS:
        raise ValueError(
            f"unknown model {name!r}; choose one of {', '.join(NETWORKS)}, or KIND:LIBRARY/NAME such as "
            "tsm:timm/regnety_032"
        )
    return NETWORKS[name]


def _build_refinement(
    backbone: Backbone, attention: str | None, options: dict[str, Any], *, refine: bool | None, refine_from: RefineFrom
) -> AttentionGuidedRefinement | None:
    """Build AFR where it is asked for, or where the attention brings it."""
    chosen = None if attention is None else ATTENTIONS[attention]
    can_guide = chosen is not None and chosen.guides and options.get("spatial", True)
    if refine and not can_guide:
        raise ValueError(f"refine=True needs an attention with spatial masks; given are {attention!r} and {options}")
    if chosen is None or not can_guide or not (chosen.refines if refine is None else refine):
        return None
    counts = chosen.count_masks(backbone.num_blocks_by_stage)
    num_masks = sum(counts) if refine_from == "every" else sum(count > 0 for count in counts)
    return AttentionGuidedRefinement(num_masks, backbone.num_features)
