"""What is timed: networks and ways of running them, their steps of inference and training, and a plain TSM beside.

The plain TSM is written as its paper's public form usually is: before the first convolution of every residual branch a
new tensor of zeros is made, and three slices are copied into it; frames are contiguous `(B*T, C, H, W)`, batch norms
stand by themselves, a video's logits are the mean of its frames'. Written here from that description on torchvision's
ResNet; it computes what `tsm_resnet*` computes.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Literal

import torch
import torchvision
from jaxtyping import Float
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


def choose(what: str, given: Iterable[str], known: Collection[str], *, always: Iterable[str] = ()) -> list[str]:
    """Return the names that are given or always there, in the order of those known.

    Raises:
        ValueError: an unknown name.
    """
    given = list(given)
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ValueError(f"unknown {what} {unknown[0]!r}; choose from {'; '.join(known)}")
    return [name for name in known if name in {*given, *always}]


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
        autocast = torch.autocast(clips.device.type, torch.bfloat16, enabled=variant.autocast)
        # A compiler keeps what it did under inference mode and under no_grad apart, and freezes under the second alone.
        without = torch.no_grad if variant.compiled else torch.inference_mode
        with kernels.using(variant.form), without(), autocast:
            return forward(clips)

    return step


def training_step(
    module: nn.Module, loss: Callable[[], Tensor], variant: Variant, device: torch.device
) -> Callable[[], None]:
    """Return a function that computes a loss and the gradients of a module once, and drops them."""

    def step() -> None:
        with kernels.using(variant.form):
            with torch.autocast(device.type, torch.bfloat16, enabled=variant.autocast):
                value = loss()
            value.backward()
        module.zero_grad(set_to_none=True)

    return step


class PlainShift(nn.Module):
    """A shift by copies: zeros, three slices copied into them, then the convolution."""

    def __init__(self, conv: nn.Module, *, num_frames: int, fold_div: int = 8):
        super().__init__()
        self.conv, self.num_frames, self.fold_div = conv, num_frames, fold_div

    def forward(self, x: Float[Tensor, "bt c h w"]) -> Float[Tensor, "bt c2 h2 w2"]:
        """Shift, then convolve."""
        frames = x.view(-1, self.num_frames, *x.shape[1:])  # (B, T, C, H, W)
        fold = frames.shape[2] // self.fold_div
        shifted = torch.zeros_like(frames)
        shifted[:, :-1, :fold] = frames[:, 1:, :fold]
        shifted[:, 1:, fold : 2 * fold] = frames[:, :-1, fold : 2 * fold]
        shifted[:, :, 2 * fold :] = frames[:, :, 2 * fold :]
        return self.conv(shifted.view(x.shape))


class PlainTSM(nn.Module):
    """The whole network, for clips of `num_frames`."""

    def __init__(self, resnet: nn.Module, *, num_frames: int):
        super().__init__()
        self.resnet, self.num_frames = resnet, num_frames
        stages = [list(resnet.get_submodule(f"layer{stage}").children()) for stage in range(1, 5)]
        every = 2 if max(map(len, stages)) >= 23 else 1
        for stage in stages:
            for block in stage[::every]:
                block.conv1 = PlainShift(block.get_submodule("conv1"), num_frames=num_frames)

    def forward(self, clips: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b k"]:
        """Classify clips."""
        frames = clips.transpose(1, 2).flatten(0, 1).contiguous()
        return self.resnet(frames).unflatten(0, (-1, self.num_frames)).mean(dim=1)


def plain_tsm(model: ActionModel, *, num_frames: int) -> PlainTSM:
    """Build the plain formulation of a `tsm_resnet*` of ours, with its weights, in evaluation mode.

    Raises:
        ValueError: a network that is no plain TSM on a ResNet.
    """
    name = model.arguments["name"]
    if not name.startswith("tsm_resnet") or model.arguments["attention"] is not None:
        raise ValueError(f"{name} has no plain formulation; choose tsm_resnet18, _34, _50 or _101 without an attention")
    resnet = torchvision.models.get_model(name.removeprefix("tsm_"), num_classes=model.arguments["num_classes"])
    classifier = {f"fc.{key}": value for key, value in model.head.get_submodule("fc").state_dict().items()}
    resnet.load_state_dict(model.backbone.state_dict() | classifier)
    return PlainTSM(resnet, num_frames=num_frames).eval()
