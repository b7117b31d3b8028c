"""An image network as a graph of its layers, up to its last maps: what was written in Python, read as data (torch.fx).

The graph's leaves are the layers of PyTorch, torchvision (`torchvision.ops`) and timm (`timm.layers`); what a network's
own code does between them (additions above all) are its nodes. The graph ends at the last `(B, C, H, W)` maps before
the global pooling. What stands behind them is the classifier (in MobileNetV3 two layers, in ConvNeXt a norm and a
layer) and is left out. Nothing is computed: shapes are those of meta tensors.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Size, Tensor, fx, nn

from w3action.models.weights import first_line

LEAVES = ("torch.nn.", "torchvision.ops.", "timm.layers.")
PROBE_PIXELS = 224  # a multiple of every stride, so that equal resolutions are equal strides


class UntraceableError(ValueError):
    """A network whose code cannot be read as a single graph."""


@dataclass(frozen=True)
class Traced:
    """A network's graph.

    Args:
        graph: from images `(B, 3, H, W)` to the last maps `(B, C, H', W')`.
        shapes: of every node that is a tensor, for one image of 224 pixels.
        modules: the network's modules by name, which the graph's nodes call.
    """

    graph: fx.Graph
    shapes: Mapping[fx.Node, Size]
    modules: Mapping[str, nn.Module]

    @property
    def last(self) -> fx.Node:
        """The node of the last maps."""
        return end_of(self.graph).all_input_nodes[0]


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return f"{type(m).__module__}.".startswith(LEAVES) and type(m) is not nn.Sequential


def trace(network: nn.Module, *, what: str) -> Traced:
    """Read a network as a graph.

    Args:
        network: maps images `(B, 3, H, W)` to anything; it is left in training mode.
        what: its name, for messages.

    Raises:
        UntraceableError: its code depends on the values or the size of what it is given, or differs between training
            and evaluation, or it has no maps.
    """
    try:
        graph = _Tracer().trace(network.eval())
        in_training = _Tracer().trace(network.train())
    except Exception as error:  # torch.fx answers code that it cannot read with a dozen kinds of error
        raise UntraceableError(
            f"{what} cannot be read by torch.fx ({first_line(error)}); choose a network of convolutions around "
            "shortcuts, such as resnet50"
        ) from error
    shapes = _measure(network, graph, what=what)
    maps = [node for node, shape in shapes.items() if node.op != "placeholder" and len(shape) == 4 and shape[2] > 1]
    if not maps:
        raise UntraceableError(
            f"{what} has no maps (B, C, H, W); choose a network of convolutions around shortcuts, such as resnet50"
        )
    for one in (graph, in_training):
        _end_at(one, maps[-1].name)
    if str(graph) != str(in_training):
        raise UntraceableError(
            f"{what} takes another way through its layers in training than in evaluation, and one graph holds one way; "
            "choose another network"
        )
    kept = {node: shapes[node] for node in graph.nodes if node in shapes}
    return Traced(graph, kept, dict(network.named_modules()))


def _measure(network: nn.Module, graph: fx.Graph, *, what: str) -> dict[fx.Node, Size]:
    """Run a network on the meta device, in evaluation mode, and note the shape of every node that is a tensor."""
    probe = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    probe.graph_copy(graph, copies)
    probe.output(tuple(copies.values()))
    module = fx.GraphModule(network, probe)
    on_meta = {name: value.to("meta") for name, value in [*module.named_parameters(), *module.named_buffers()]}
    image = torch.empty(1, 3, PROBE_PIXELS, PROBE_PIXELS, device="meta")
    network.eval()  # its layers, which the probe shares
    try:
        with torch.no_grad():
            values = torch.func.functional_call(module, on_meta, (image,))
    except Exception as error:  # whatever its layers raise
        raise UntraceableError(
            f"{what} does not take images of {PROBE_PIXELS} pixels ({first_line(error)}); choose another network"
        ) from error
    finally:
        network.train()
    return {node: value.shape for node, value in zip(copies, values, strict=True) if isinstance(value, Tensor)}


def _end_at(graph: fx.Graph, name: str) -> None:
    """Let a graph end at one of its nodes, in place; one without such a node stays as it is."""
    last = next((node for node in graph.nodes if node.name == name), None)
    if last is None:
        return
    end_of(graph).args = (last,)
    above = ancestors(graph)[last] | {last}
    for node in reversed(list(graph.nodes)):
        if node not in above and node.op not in ("placeholder", "output"):
            graph.erase_node(node)


def end_of(graph: fx.Graph) -> fx.Node:
    """Return the node that returns."""
    return next(node for node in reversed(graph.nodes) if node.op == "output")


def ancestors(graph: fx.Graph) -> dict[fx.Node, frozenset[fx.Node]]:
    """Return for every node all nodes that it is computed from."""
    above: dict[fx.Node, frozenset[fx.Node]] = {}
    for node in graph.nodes:  # each stands behind what it reads
        above[node] = frozenset(node.all_input_nodes).union(*(above[given] for given in node.all_input_nodes))
    return above
