"""What a layout is: how another project names the tensors of networks that we have too.

A layout is written down once, as a function from our name of a tensor to its name. Importing looks the names up in a
file, exporting writes them, so that the two cannot drift apart, and what a file holds beyond them is an error.

Some projects wrap a layer to change what it does, and the wrapper shows in the names: TSM's shifted convolution is
`conv1.net.weight`. Such a file tells which of its blocks shift; others (torchvision's) do not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from w3action.layers import NonLocal
from w3action.models.action_model import ActionModel
from w3action.models.slots import Slots

Family = Literal["resnet", "mobilenetv2", "slowfast"]
Shifts = Literal["named", "any", "past"]


@dataclass(frozen=True)
class Blocks:
    """What the slots of a network hold, by the name of the block: `layer1.0`, `features.3`."""

    shifted: frozenset[str] = frozenset()
    non_local: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Layout:
    """How a project names its tensors.

    Args:
        summary: whose files these are.
        backbone_key: (our name within the backbone, the network's blocks) -> the file's name.
        classifiers: the file's name of the classifier by family of backbones, then by head; a file with a single
            classifier has the head None. A family that is not there has no names in this layout.
        shifts: "named" where the names tell which blocks shift, "any" where nothing does, "past" where every block
            takes channels from the past alone.
        needs_classifier: whether every file of this layout has a classifier.
        has_non_local: it names non-local blocks.
        prefix: in front of every name in a file; reading takes it off.
        tidy: brings names of an older version of the layout to the present ones.
    """

    summary: str
    backbone_key: Callable[[str, Blocks], str]
    classifiers: Mapping[Family, Mapping[str | None, str]]
    shifts: Shifts
    needs_classifier: bool = True
    has_non_local: bool = False
    prefix: str = ""
    tidy: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]] = dict


def blocks_of(model: ActionModel) -> Blocks:
    """Read off which blocks of a network do something in time."""
    slots = {
        name.removesuffix(".slots"): module
        for name, module in model.backbone.named_modules()
        if isinstance(module, Slots)
    }
    return Blocks(
        shifted=frozenset(name for name, slot in slots.items() if slot.temporal is not None),
        non_local=frozenset(name for name, slot in slots.items() if isinstance(slot.attention, NonLocal)),
    )


def classifier_name(layout: Layout, family: Family, head: str | None, *, what: str) -> str:
    """Return the layout's name of a classifier.

    Raises:
        ValueError: the layout has no such family or no such head.
    """
    heads = layout.classifiers.get(family)
    if heads is None:
        raise ValueError(f"{what} has no names for {family}; it has for {', '.join(layout.classifiers)}")
    if head not in heads:
        if None in heads:
            raise ValueError(f"head is {head!r}, but {what} has a single classifier; leave --head out")
        raise ValueError(
            f"head is {head!r}, and {what} has one each of {', '.join(map(str, heads))}; choose with --head"
        )
    return heads[head]


def tensor_names(model: ActionModel, layout: Layout, *, classifier: str | None, with_attention: bool) -> dict[str, str]:
    """Map our name of every tensor that a file of this layout holds to its name there.

    Args:
        model: our network.
        layout: the other project's names.
        classifier: its name of the classifier; None where the file has none.
        with_attention: the file holds the network's (non-local) attention too.
    """
    blocks = blocks_of(model)
    if not with_attention:
        blocks = Blocks(blocks.shifted)
    names = {}
    for ours in model.state_dict():
        room, _, rest = ours.partition(".")
        if room == "head" and classifier is not None:
            names[ours] = f"{classifier}.{rest.removeprefix('fc.')}"
        elif room == "backbone" and (".slots." not in rest or (with_attention and ".slots.attention." in rest)):
            names[ours] = layout.backbone_key(rest, blocks)
    assert len(set(names.values())) == len(names), "two of our tensors have one name in the layout"
    return names
