"""A traced image network as a frame backbone: `(B, 3, T, H, W)` -> `(B, C, T, H', W')` and the masks of each block.

The graph is rewritten, not the layers. Frames are folded into the batch before it and taken out behind it. At every
residual block a `Slots` opens as in our own networks: the temporal operation where the branch begins, the attention
where it ends ("residual") or behind the block and its activation ("output"). Only filled slots are in the graph, so
that a network without any computes what the image network computes.

Parameters keep the image network's names; a block's own stand beside them: `layer1.0.conv1.weight`,
`layer1.0.slots.temporal.weight`. A random start is the library's own, but for norms that start at 0: they start at 1,
so that an attention on the residual branch has features to see.
"""

import operator
from collections import Counter
from typing import Any

from torch import fx, nn

from w3action.models.backbone import Backbone
from w3action.models.foreign.residuals import Residual, find_residuals
from w3action.models.foreign.tracing import Traced, end_of, trace
from w3action.models.slots import Fillers, Place, Position, fold, unfold

CALLS_A_PART = ("call_module", "get_attr")


class ForeignBackbone(fx.GraphModule, Backbone):
    """The backbone; `forward` is compiled from the graph.

    Args:
        network: an image network, whose layers it takes over.
        fillers: what stands in the slots.
        what: the network's name, for messages.

    Raises:
        ValueError: the network cannot be traced, or has no residual block.
    """

    def __init__(self, network: nn.Module, *, fillers: Fillers, what: str):
        open_branches_(network)
        traced = trace(network, what=what)
        residuals = find_residuals(traced)
        if not residuals:
            raise ValueError(
                f"{what} has no residual block, where a temporal operation or an attention could stand; choose a "
                "network of convolutions around shortcuts, such as resnet50 or regnet, or one of ours (tsn_vgg16)"
            )
        in_stages = Counter(block.stage for block in residuals)
        num_blocks = tuple(in_stages[stage] for stage in range(len(in_stages)))
        num_features = traced.shapes[traced.last][1]
        parts = rewrite(network, traced, residuals, num_blocks, fillers)
        super().__init__(parts, traced.graph, class_name=type(network).__name__)
        self.num_features = num_features
        self.num_blocks_by_stage = num_blocks

    def __deepcopy__(self, memo: dict[int, Any]) -> "ForeignBackbone":
        """Copy with what `GraphModule` would leave behind."""
        copied = super().__deepcopy__(memo)
        assert isinstance(copied, ForeignBackbone)
        copied.num_features, copied.num_blocks_by_stage = self.num_features, self.num_blocks_by_stage
        return copied


def open_branches_(network: nn.Module) -> None:
    """Let every norm that would start at 0 start at 1, in place."""
    for module in network.modules():
        weight = getattr(module, "weight", None) if isinstance(module, nn.BatchNorm2d | nn.GroupNorm) else None
        if weight is not None and not weight.is_meta and not weight.any():
            nn.init.ones_(weight)


def rewrite(
    network: nn.Module, traced: Traced, residuals: list[Residual], num_blocks: tuple[int, ...], fillers: Fillers
) -> dict[str, Any]:
    """Open slots in a graph, in place, and return all that its nodes call, by name."""
    graph = traced.graph
    parts = {str(n.target): operator.attrgetter(n.target)(network) for n in graph.nodes if n.op in CALLS_A_PART}
    num_frames = _take_clips(graph)
    now: dict[fx.Node, fx.Node] = {}  # what stands for a node of the original graph
    masks: list[list[fx.Node]] = [[] for _ in num_blocks]
    so_far = [0] * len(num_blocks)
    for block in residuals:
        position = Position(block.stage, so_far[block.stage], num_blocks)
        so_far[block.stage] += 1
        channels = {"in_channels": traced.shapes[block.fork][1], "out_channels": traced.shapes[block.total][1]}
        slots = fillers.at(position, **channels)
        name = _free_name(block.path, parts)
        if slots.temporal is not None:
            parts[name] = slots
            fork = now.get(block.fork, block.fork)
            with graph.inserting_before(min(block.entries)):
                shifted = graph.call_method("before", (graph.get_attr(name), fork, num_frames))
            for entry in block.entries:
                entry.replace_input_with(fork, shifted)
        if slots.attention is not None:
            parts[name] = slots
            behind = block.branch if slots.place == "residual" else block.end
            attended, mask = _attend(graph, name, behind, num_frames, slots.place)
            if slots.place == "residual":
                block.total.replace_input_with(behind, attended)
                _add_out_of_place(block.total)
            else:
                now[behind] = attended
                behind.replace_all_uses_with(attended, delete_user_cb=lambda user: user.target != "attend")
            masks[block.stage].append(mask)
    end = end_of(graph)
    with graph.inserting_before(end):
        maps = graph.call_function(unfold, (end.all_input_nodes[0], num_frames))
    end.args = ((maps, masks),)
    return parts


def _take_clips(graph: fx.Graph) -> fx.Node:
    """Let a graph take clips in the place of images, and return the node of their number of frames."""
    images = next(node for node in graph.nodes if node.op == "placeholder")
    with graph.inserting_before(images):
        clips = graph.placeholder("clips")
        num_frames = graph.call_method("size", (clips, 2))
        frames = graph.call_function(fold, (clips,))
    images.replace_all_uses_with(frames)
    graph.erase_node(images)
    return num_frames


def _attend(graph: fx.Graph, name: str, node: fx.Node, num_frames: fx.Node, place: Place) -> tuple[fx.Node, fx.Node]:
    """Attend to a node's maps behind it; return the nodes of the maps and the masks."""
    with graph.inserting_before(node.next):
        both = graph.call_method("attend", (graph.get_attr(name), node, num_frames, place))
        return graph.call_function(operator.getitem, (both, 0)), graph.call_function(operator.getitem, (both, 1))


def _add_out_of_place(total: fx.Node) -> None:
    """Leave the attended branch as it was: an attention may need it to compute gradients."""
    total.target = {operator.iadd: operator.add, "add_": "add"}.get(total.target, total.target)


def _free_name(path: str, taken: dict[str, Any]) -> str:
    """Name a block's slots; a module with several blocks in its code numbers them."""
    owner = path or "network"
    name, number = f"{owner}.slots", 2
    while name in taken:
        name, number = f"{owner}.residual{number}.slots", number + 1
    return name
