"""Networks to time: a way of running one, and its steps of inference and training on random clips."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from w3action import kernels
from w3action.models import ActionModel, create_model
from w3action.models.backbone import put_channels_last_
from w3action.models.for_inference import for_inference

NUM_CLASSES = 174  # as on Something-Something

Mode = Literal["inference", "training"]


@dataclass(frozen=True)
class Variant:
    """A network with an attention, and how it is run."""

    attention: str | None
    form: kernels.Kernels = "auto"
    compiled: bool = False
    prepared: bool = False  # by `for_inference`
    autocast: bool = False  # bfloat16


def build(network: str, attention: str | None, *, channels_last: bool = False) -> ActionModel:
    """Build a network on the CPU; its weights depend on its name and attention alone."""
    torch.manual_seed(0)
    model = create_model(network, num_classes=NUM_CLASSES, attention=attention)
    if channels_last:
        put_channels_last_(model)
    return model


def inference_step(model: nn.Module, variant: Variant, clips: Tensor) -> Callable[[], Tensor]:
    """Return a function that predicts once."""
    model.eval()
    if variant.prepared:
        assert isinstance(model, ActionModel)
        autocast = torch.bfloat16 if variant.autocast else None
        forward = for_inference(model, autocast=autocast, compiled=variant.compiled)
    else:
        forward = torch.compile(model, dynamic=False) if variant.compiled else model

    def step() -> Tensor:
        # A compiler keeps what it did under inference mode and under no_grad apart, and freezes under the second alone.
        without = torch.no_grad if variant.compiled else torch.inference_mode
        with kernels.using(variant.form), without(), _cast(clips, variant.autocast):
            return forward(clips)

    return step


def training_step(model: nn.Module, variant: Variant, clips: Tensor, labels: Tensor) -> Callable[[], None]:
    """Return a function that computes all gradients once, and drops them."""
    model.train()
    forward = torch.compile(model, dynamic=False) if variant.compiled else model

    def step() -> None:
        with kernels.using(variant.form):
            with _cast(clips, variant.autocast):
                loss = nn.functional.cross_entropy(forward(clips).float(), labels)
            loss.backward()
        model.zero_grad(set_to_none=True)

    return step


def _cast(clips: Tensor, enabled: bool) -> torch.autocast | nullcontext[None]:
    return torch.autocast(clips.device.type, torch.bfloat16) if enabled else nullcontext()
