"""A network for prediction alone: the same logits in less time; the network it was made of stays as it is.

    batch norm behind a convolution, in evaluation mode:   g (W * x - m) / s + b  =  (g W / s) * x + (b - g m / s)

| what | why |
|---|---|
| batch norms become part of the convolutions directly before them | each was a pass over the features |
| convolutions have their channels last | oneDNN and tensor cores then need no other order in between |
| weights of those before norms have autocast's type, if asked for | it would cast each of them in every call |
| `torch.compile`, if asked for | additions, ReLUs and masks join the passes of the layers before them |
| CUDA graphs, if asked for | at batch 1 a GPU waits for Python: a graph is launched at once |

Which norm stands directly behind which convolution is read off a run of the network without numbers (the meta device),
not off names: so it holds for every backbone and every attention in a slot.
"""

import copy
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.overrides import TorchFunctionMode

from w3action.models.action_model import ActionModel
from w3action.models.backbone import Backbone
from w3action.models.foreign import foreign_network
from w3action.models.memory_order import put_channels_last_
from w3action.models.networks import NETWORKS

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def for_inference(
    model: ActionModel,
    *,
    channels_last: bool = True,
    autocast: torch.dtype | None = None,
    compiled: bool = False,
    cuda_graphs: bool = False,
) -> ActionModel:
    """Return a network in evaluation mode that predicts as `model` would; its parameters take no gradients.

    Args:
        model: of any mode; it is copied.
        channels_last: order of the convolutions' weights, and so of the features.
        autocast: the type of the `torch.autocast` under which it will be called, and must be (else PyTorch finds two
            types in one convolution): the same logits as there without, and fewer weights to be cast in each call.
        compiled: by `torch.compile`; the first call of each size takes a minute, and a CPU needs a C++ compiler.
        cuda_graphs: replay the compiled network as one CUDA graph, for small batches. A result is overwritten by the
            next call: copy what you keep. It keeps memory for each size of clips.

    Raises:
        ValueError: CUDA graphs of a network that is not compiled, or not on a GPU.
    """
    if cuda_graphs and not compiled:
        raise ValueError("cuda_graphs=True is given with compiled=False; graphs are made of a compiled network")
    device = next(model.parameters()).device
    if cuda_graphs and device.type != "cuda":
        raise ValueError(
            f"cuda_graphs=True is given, but the network is on {device}; move it to a GPU, or leave it out"
        )
    network = copy.deepcopy(model).eval().requires_grad_(False)
    pairs = fold_norms_(network.backbone, _example(network))
    if autocast is not None:
        for conv in pairs.values():
            if ".slots." not in conv:  # those of attentions go to kernels, which know no autocast
                network.backbone.get_submodule(conv).to(autocast)
    if channels_last:
        put_channels_last_(network)
    if not compiled:
        return network
    options: dict[str, Any] = {"triton.cudagraphs": True} if cuda_graphs else {}
    if device.type == "cpu":
        options["freezing"] = True  # weights become constants, laid out once as oneDNN wants them
    network.compile(options=options, dynamic=False)
    return network


def fold_norms_(backbone: Backbone, clips: Tensor) -> dict[str, str]:
    """Fold every batch norm that stands directly behind a convolution into it, in place; return {norm: convolution}.

    A norm is directly behind a convolution if it alone reads what that gives, and reads nothing else.

    Args:
        backbone: in evaluation mode.
        clips: `(B, C, T, H, W)` on the meta device, of a size that the backbone takes.
    """
    pairs = norms_behind_convolutions(backbone, clips)
    for norm, conv in pairs.items():
        before, behind = backbone.get_submodule(conv), backbone.get_submodule(norm)
        assert isinstance(before, CONVOLUTIONS)
        assert isinstance(behind, NORMS)
        backbone.set_submodule(conv, fuse_conv_bn_eval(before, behind))
        backbone.set_submodule(norm, nn.Identity())
    return pairs


def norms_behind_convolutions(backbone: Backbone, clips: Tensor) -> dict[str, str]:
    """Return the convolution directly before each batch norm that has one, by name: {norm: convolution}."""
    shape_of_it = copy.deepcopy(backbone).to("meta", clips.dtype).eval()
    readers = _Readers()
    given: dict[int, str] = {}  # convolutions by the tensors that they gave
    kept: list[Tensor] = []  # so that no other tensor takes their ids
    gives: Counter[str] = Counter()
    norms: dict[str, set[str | None]] = defaultdict(set)  # what each norm reads
    reads: dict[str, list[int]] = defaultdict(list)

    def convolution(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            given[id(output)] = name
            kept.append(output)
            gives[name] += 1
            readers.count[id(output)] = 0

        return hook

    def norm(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            kept.append(inputs[0])
            norms[name].add(given.get(id(inputs[0])))
            reads[name].append(id(inputs[0]))

        return hook

    for name, module in shape_of_it.named_modules():
        if isinstance(module, CONVOLUTIONS):
            module.register_forward_hook(convolution(name))
        elif type(module) in NORMS:  # a subclass may do more than normalise
            module.register_forward_pre_hook(norm(name))
    with torch.no_grad(), readers:
        shape_of_it(clips)
    pairs = {}
    for name, before in norms.items():
        conv = next(iter(before))
        all_its_own = len(before) == 1 and conv is not None and len(reads[name]) == gives[conv]
        if conv is not None and all_its_own and all(readers.count[tensor] == 1 for tensor in reads[name]):
            pairs[name] = conv
    return pairs


class _Readers(TorchFunctionMode):
    """Counts the functions that make a tensor of a watched one."""

    def __init__(self) -> None:
        super().__init__()
        self.count: dict[int, int] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor | tuple | list):  # else it asked for a shape or the like
            for given in (*args, *(kwargs or {}).values()):
                for tensor in given if isinstance(given, tuple | list) else (given,):
                    if id(tensor) in self.count and not isinstance(result, torch.Size):
                        self.count[id(tensor)] += 1
        return result


def _example(model: ActionModel) -> Tensor:
    """Return clips on the meta device, of the size that the network is usually given."""
    name = model.arguments["name"]
    network = foreign_network(name) if ":" in name else NETWORKS[name]
    return torch.empty(
        1, model.arguments["in_channels"], network.num_frames, network.input_size, network.input_size, device="meta"
    )
