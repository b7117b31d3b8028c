"""Export a network of ours under another project's names: the way back of an import, tensor for tensor."""

from torch import Tensor

from w3action.models.action_model import ActionModel
from w3action.models.heads import AverageHead
from w3action.models.importing import look_up_layout
from w3action.models.importing.layout import classifier_name, tensor_names
from w3action.models.importing.recognise import FAMILIES, looks_back_only
from w3action.models.networks import NETWORKS


def export_state_dict(model: ActionModel, layout: str) -> dict[str, Tensor]:
    """Return a network's weights as another project names them; they share memory with the network.

    The public TSM reads them from a file with `torch.save({"state_dict": ...})`, and so does mmaction2.

    Args:
        model: a plain network (without attention of its own), or one with non-local blocks where the layout has them.
        layout: one of `LAYOUTS`.

    Raises:
        ValueError: the layout has no names for this network.
    """
    chosen = look_up_layout(layout)
    arguments = model.arguments
    name, attention = arguments["name"], arguments["attention"]
    network = NETWORKS.get(name)  # none of another library's
    family = None if network is None else FAMILIES.get(network.backbone)
    if network is None or family is None or network.head is not AverageHead:
        raise ValueError(f"{name} has no counterpart in {layout}; only plain ResNets and MobileNetV2 have")
    if None not in chosen.classifiers.get(family, {None: ""}):
        raise ValueError(f"{layout} has two classifiers and {name} one; export it as tsm")
    classifier = classifier_name(chosen, family, None, what=layout)
    has_non_local = attention == "non_local" and chosen.has_non_local and family == "resnet"
    as_published = not arguments["attention_options"] and arguments["place"] in (None, "output")
    if model.refine is not None or (attention is not None and not (has_non_local and as_published)):
        raise ValueError(
            f"{layout} has no names for the attention {attention!r} of this {name}; export a plain network"
        )
    if chosen.shifts != "past" and network.temporal not in ("shift", "none"):
        raise ValueError(f"{layout} has no names for the temporal operation {network.temporal!r} of {name}")
    if chosen.shifts == "past" and not looks_back_only(name):
        raise ValueError(f"{layout} shifts from the past alone, and {name} does not; its weights would be misread")
    names = tensor_names(model, chosen, classifier=classifier, with_attention=has_non_local)
    state = model.state_dict()
    if set(names) != set(state):
        raise ValueError(f"{layout} has no names for {', '.join(sorted(set(state) - set(names))[:3])} of {name}")
    return {chosen.prefix + theirs: state[ours] for ours, theirs in names.items()}
