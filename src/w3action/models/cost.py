"""What networks cost: multiply-adds and parameters, counted by PyTorch in a forward pass (free on the meta device).

`describe_models` lists all networks with their costs, for `w3 list`; `describe_model` one, for `w3 bench flops`.
"""

from dataclasses import asdict, dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from w3action import kernels
from w3action.models.create import create_model, look_up_network
from w3action.models.networks import NETWORKS


@dataclass(frozen=True)
class Cost:
    """What one clip costs."""

    gflops: float  # 1e9 multiply-adds of convolutions and matrix products, as the field writes "GFLOPs"
    params: int


def count_cost(model: nn.Module, *, num_frames: int, size: int, in_channels: int = 3) -> Cost:
    """Count what one `(1, in_channels, num_frames, size, size)` clip costs.

    The model may live on the meta device (`with torch.device("meta"): create_model(...)`), where building and
    counting a ResNet-101 takes well under a second; any other model is counted where it stands.
    """
    device = next(model.parameters()).device
    clip = torch.empty(1, in_channels, num_frames, size, size, device=device)
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        # PyTorch's own operators are counted; those that W3 is made of on a GPU are not.
        with FlopCounterMode(display=False) as counter, kernels.using("plain"), torch.no_grad():
            model(clip)
    finally:
        for module in training:  # one by one: a frozen batch norm stays frozen
            module.training = True
    return Cost(counter.get_total_flops() / 2 / 1e9, sum(p.numel() for p in model.parameters()))


@dataclass(frozen=True)
class Described:
    """A network and the cost of one clip."""

    name: str
    attention: str | None
    num_frames: int
    size: int  # pixels
    num_classes: int
    gflops: float  # multiply-adds / 1e9
    params: int
    imagenet: bool
    paper_gflops: float | None = None  # of the same clip, where the paper prints it
    differs: str = ""  # why, where the two are more than 5 % apart


def describe_model(
    name: str,
    *,
    attention: str | None = None,
    num_frames: int | None = None,
    size: int | None = None,
    num_classes: int = 174,
) -> Described:
    """Count one network, without computing anything.

    Raises:
        ValueError: an unknown name, or a clip without frames or pixels.
    """
    if (num_frames is not None and num_frames < 1) or (size is not None and size < 1):
        raise ValueError(f"a clip of {num_frames} frames of {size} pixels is empty; give at least 1 of each")
    with torch.device("meta"):
        model = create_model(name, num_classes=num_classes, attention=attention)
    network = look_up_network(name)
    clip = {"num_frames": num_frames or network.num_frames, "size": size or network.input_size}
    is_usual = attention is None and clip == {"num_frames": network.num_frames, "size": network.input_size}
    return Described(
        name=name,
        attention=attention,
        num_classes=num_classes,
        imagenet=network.imagenet is not None,
        paper_gflops=network.paper_gflops if is_usual else None,
        differs=network.differs if is_usual else "",
        **clip,
        **asdict(count_cost(model, **clip)),
    )


def describe_models() -> list[Described]:
    """Count every network, without attention, on the clips it is usually given."""
    return [describe_model(name) for name in NETWORKS]
