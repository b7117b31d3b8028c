"""Where the residual blocks of a traced image network are: its additions of a branch and a shortcut.

    fork --+-- branch: convolutions ---------------- (+) -- activation, if any -- end
           +-- shortcut: nothing, or fewer of them --+

An addition of two maps closes a residual block if both come from one map, the fork; if one side, the branch, has more
convolutions than the other, and none of its ways goes round them; if no other map enters; and if no other residual
block lies within. Of a sum of three or more from one fork the last addition counts.

The blocks of one resolution are a stage, as in our own networks. The last four count: blocks at half the input's
resolution, as a few EfficientNets have them, have no slots, as the first block of MobileNetV2 has none.
"""

import operator
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace

import torch
from torch import fx, nn

from w3action.models.foreign.tracing import Traced, ancestors

MOST_STAGES = 4
ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")  # a name is a tensor's method
ACTIVATION_LAYERS = ("torch.nn.modules.activation", "timm.layers.activations")
ACTIVATION_FUNCTIONS = ("relu", "relu6", "silu", "gelu", "hardswish", "hardtanh", "leaky_relu", "elu", "mish")


@dataclass(frozen=True)
class Residual:
    """A residual block: the nodes at which slots open.

    Args:
        fork: the block's input.
        entries: the nodes of the branch that read it.
        branch: the branch's last node.
        total: the addition.
        end: the block's output: the addition, or the activation behind it.
        path: the module whose code adds, such as `layer1.0`.
        stage: from 0.
    """

    fork: fx.Node
    entries: tuple[fx.Node, ...]
    branch: fx.Node
    total: fx.Node
    end: fx.Node
    path: str
    stage: int = 0


def find_residuals(traced: Traced) -> list[Residual]:
    """Find the residual blocks of the last four stages, in the order in which they are computed."""
    above = ancestors(traced.graph)
    found: list[Residual] = []
    for node in traced.graph.nodes:
        if _adds_two_maps(node, traced):
            block = _as_residual(node, traced, above, {earlier.total for earlier in found})
            found += [] if block is None else [block]
    sizes = sorted({traced.shapes[block.total][2] for block in found}, reverse=True)[-MOST_STAGES:]
    placed = ((block, traced.shapes[block.total][2]) for block in found)
    return [replace(block, stage=sizes.index(size)) for block, size in placed if size in sizes]


def _adds_two_maps(node: fx.Node, traced: Traced) -> bool:
    if node.op not in ("call_function", "call_method") or node.target not in ADDITIONS or len(node.args) != 2:
        return False
    if node.kwargs or len(node.all_input_nodes) != 2:  # a scaled or a doubled one
        return False
    shape = traced.shapes.get(node, ())
    return len(shape) == 4 and all(traced.shapes.get(side) == shape for side in node.all_input_nodes)


def _as_residual(
    node: fx.Node, traced: Traced, above: Mapping[fx.Node, Set[fx.Node]], sums: Set[fx.Node]
) -> Residual | None:
    """Return the residual block that an addition closes, or None."""
    fork, sides = _fork(node, above)
    if fork is None or len(traced.shapes.get(fork, ())) != 4:
        return None
    inside = [{one for one in above[side] | {side} if fork in above[one]} for side in sides]
    if any(_fork(user, above)[0] is fork for user in node.users if _adds_two_maps(user, traced)):
        return None  # only a part of the sum
    counts = [sum(_convolutions(one, traced) for one in nodes) for nodes in inside]
    if counts[0] == counts[1] or (inside[0] | inside[1]) & sums:
        return None
    within = inside[0] | inside[1] | {fork}
    entering = {given for one in within - {fork} for given in one.all_input_nodes} - within
    if any(given.op == "placeholder" or any(one.op == "placeholder" for one in above[given]) for given in entering):
        return None  # another map
    index = counts.index(max(counts))
    if _goes_round(sides[index], fork, inside[index], traced):
        return None
    entries = tuple(user for user in fork.users if user in inside[index])
    owners = list(node.meta.get("nn_module_stack") or [""])  # the last is the module whose code adds
    return Residual(fork, entries, sides[index], node, _end(node, traced), owners[-1])


def _fork(node: fx.Node, above: Mapping[fx.Node, Set[fx.Node]]) -> tuple[fx.Node | None, list[fx.Node]]:
    """Return the last node that both sides of an addition come from, and the sides."""
    sides = node.all_input_nodes
    common = set.intersection(*({*above[side], side} for side in sides))
    return max(common, key=lambda one: len(above[one]), default=None), sides


def _goes_round(last: fx.Node, fork: fx.Node, branch: Set[fx.Node], traced: Traced) -> bool:
    """Whether a way from the fork to the branch's last node meets no convolution."""
    waiting, seen = [last], set()
    while waiting:
        node = waiting.pop()
        if node is fork:
            return True
        if node in branch and node not in seen and not _convolutions(node, traced):
            seen.add(node)
            waiting += node.all_input_nodes
    return False


def _convolutions(node: fx.Node, traced: Traced) -> int:
    if node.op != "call_module":
        return 0
    return sum(isinstance(part, nn.Conv2d) for part in traced.modules[str(node.target)].modules())


def _end(node: fx.Node, traced: Traced) -> fx.Node:
    """Follow an addition to the activation behind it."""
    (user,) = node.users if len(node.users) == 1 else (node,)
    return user if activation(user, traced) else node


def activation(node: fx.Node, traced: Traced) -> str:
    """Name the activation that a node is, in small letters; an empty name where it is none."""
    if node.op == "call_module":
        kind = type(traced.modules[str(node.target)])
        return kind.__name__.lower() if kind.__module__.startswith(ACTIVATION_LAYERS) else ""
    name = str(getattr(node.target, "__name__", node.target)).strip("_")
    return name if node.op in ("call_function", "call_method") and name in ACTIVATION_FUNCTIONS else ""


def has_positive_inputs(residuals: list[Residual], traced: Traced) -> bool:
    """Whether every block's input comes out of a ReLU, with or without a max pooling behind it."""

    def is_positive(node: fx.Node) -> bool:
        if node.op == "call_module" and isinstance(traced.modules[str(node.target)], nn.MaxPool2d):
            return is_positive(node.all_input_nodes[0])
        return activation(node, traced) in ("relu", "relu6") or _norm_ends_in_relu(node, traced)

    return all(is_positive(block.fork) for block in residuals)


def _norm_ends_in_relu(node: fx.Node, traced: Traced) -> bool:
    """Whether a node is a layer that ends in a ReLU: timm joins a norm and its activation, torchvision three."""
    if node.op != "call_module":
        return False
    inner = list(traced.modules[str(node.target)].modules())
    return len(inner) > 1 and isinstance(inner[-1], nn.ReLU | nn.ReLU6)
