"""A network for prediction alone: the same logits in less time; the network it was made of stays as it is.

    batch norm behind a convolution, in evaluation mode:   g (W * x - m) / s + b  =  (g W / s) * x + (b - g m / s)

| what | why |
|---|---|
| batch norms become part of the convolutions directly before them | each was a pass over the features |
| convolutions have their channels last | oneDNN and tensor cores then reorder nothing between layers |
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
from torch.utils._pytree import tree_leaves

from w3action.models.action_model import ActionModel
from w3action.models.backbone import Backbone, put_channels_last_
from w3action.models.create import look_up_network

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
CONVOLVE = (nn.functional.conv1d, nn.functional.conv2d, nn.functional.conv3d)
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
    usual = look_up_network(model.arguments["name"])
    shape = (1, model.arguments["in_channels"], usual.num_frames, usual.input_size, usual.input_size)
    pairs = fold_norms_(network.backbone, torch.empty(shape, device="meta"))
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
    without_numbers = copy.deepcopy(backbone).to("meta", clips.dtype).eval()
    with torch.no_grad(), _Readers(without_numbers) as seen:
        without_numbers(clips)
    pairs = {}
    for norm, reads in seen.reads.items():
        conv = seen.givers.get(reads[0])
        reads_all = len(reads) == sum(giver == conv for giver in seen.givers.values())
        alone = all(seen.givers.get(read) == conv and seen.num_readers[read] == 1 for read in reads)
        if conv is not None and reads_all and alone:
            pairs[norm] = conv
    return pairs


class _Readers(TorchFunctionMode):
    """Notes, while a network runs, what its convolutions give and what its norms and all other functions read of it.

    Layers are known by their weights or statistics, tensors by their `id`.
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        layers = list(network.named_modules())
        self.convolutions = {id(layer.weight): name for name, layer in layers if isinstance(layer, CONVOLUTIONS)}
        # A subclass may do more than normalise.
        self.norms = {id(layer.running_mean): name for name, layer in layers if type(layer) in NORMS}
        self.givers: dict[int, str] = {}  # convolutions, by the tensors that they gave
        self.kept: list[Tensor] = []  # so that no other tensor takes their ids
        self.reads: dict[str, list[int]] = defaultdict(list)  # the tensors that each norm read
        self.num_readers: Counter[int] = Counter()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        asked_for_shape = isinstance(result, torch.Size)
        if isinstance(result, Tensor | tuple | list) and not asked_for_shape:
            self.num_readers.update(id(given) for given in tree_leaves((args, kwargs)))
        layer = id(args[1]) if len(args) > 1 else None
        if func in CONVOLVE and layer in self.convolutions:
            self.givers[id(result)] = self.convolutions[layer]
            self.kept.append(result)
            self.num_readers[id(result)] = 0
        elif func is nn.functional.batch_norm and layer in self.norms:
            self.reads[self.norms[layer]].append(id(args[0]))
        return result
