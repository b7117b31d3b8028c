"""The networks with what they cost, for `w3 list` and `w3 bench flops`."""

from dataclasses import dataclass

import torch

from w3action.models.create import create_model, look_up_network
from w3action.models.flops import count_cost
from w3action.models.networks import NETWORKS


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
    num_frames, size = num_frames or network.num_frames, size or network.input_size
    cost = count_cost(model, num_frames=num_frames, size=size)
    is_usual = attention is None and (num_frames, size) == (network.num_frames, network.input_size)
    return Described(
        name=name,
        attention=attention,
        num_frames=num_frames,
        size=size,
        num_classes=num_classes,
        gflops=cost.gflops,
        params=cost.params,
        imagenet=network.imagenet is not None,
        paper_gflops=network.paper_gflops if is_usual else None,
        differs=network.differs if is_usual else "",
    )


def describe_models() -> list[Described]:
    """Count every network, without attention, on the clips it is usually given."""
    return [describe_model(name) for name in NETWORKS]
