"""Multiply-adds and parameters of a network, counted by PyTorch in a forward pass (free on the meta device)."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from w3action import kernels


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
