"""Parameter groups and the learning rate as a function of time.

The groups are those of the public TSM training, which the paper followed: biases at twice the rate, the
classifier at five times (its bias at ten), no weight decay on biases and batch norms. The rate at a step is a
pure function of the share of the run that has passed, so there is no scheduler state to save or to lose.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import nn

from w3action.models.for_inference import NORMS


def parameter_groups(
    model: nn.Module, *, classifier: nn.Module, weight_decay: float, rates: bool = True
) -> list[dict[str, Any]]:
    """Sort every trainable parameter into one of five groups; without `rates` all have the same learning rate.

    Returns:
        Groups with `params`, `weight_decay`, `name` and `lr_scale`, the factor on the learning rate; empty groups
        are left out.
    """
    kinds = {  # factor on the learning rate, weight decay
        "weights": (1.0, weight_decay),
        "biases": (2.0, 0.0),
        "norms": (1.0, 0.0),
        "classifier weight": (5.0, weight_decay),
        "classifier bias": (10.0, 0.0),
    }
    params: dict[str, list[nn.Parameter]] = {kind: [] for kind in kinds}
    classifier_modules = set(classifier.modules())
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad:
                continue
            is_bias = name.startswith("bias")  # an LSTM has several
            if module in classifier_modules:
                kind = "classifier bias" if is_bias else "classifier weight"
            elif isinstance(module, (*NORMS, nn.LayerNorm)):
                kind = "norms"
            else:
                kind = "biases" if is_bias else "weights"
            params[kind].append(parameter)
    return [
        {"name": kind, "params": params[kind], "lr_scale": scale if rates else 1.0, "weight_decay": decay}
        for kind, (scale, decay) in kinds.items()
        if params[kind]
    ]


def build_optimizer(
    name: Literal["sgd", "adamw"], groups: list[dict[str, Any]], *, momentum: float
) -> torch.optim.Optimizer:
    """Build the optimiser, fused; the learning rate is set at every step by `set_learning_rate`."""
    if name == "sgd":
        return torch.optim.SGD(groups, lr=0.0, momentum=momentum, fused=True)
    return torch.optim.AdamW(groups, lr=0.0, betas=(momentum, 0.999), fused=True)


def rate_factor(
    passed: float, *, schedule: Literal["step", "cosine"], milestones: Sequence[float], warmup: float
) -> float:
    """Return the factor on the learning rate when the share `passed`, in [0, 1), of the run is over."""
    if passed < warmup:
        return (passed + 1e-3) / (warmup + 1e-3)
    if schedule == "step":
        return 0.1 ** sum(passed >= milestone for milestone in milestones)
    return 0.5 * (1 + math.cos(math.pi * (passed - warmup) / (1 - warmup)))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set each group to `rate` times its own scale."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["lr_scale"]
