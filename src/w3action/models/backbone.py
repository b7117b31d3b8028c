"""What a backbone is: clips -> the last feature maps and the masks of every attention in its slots.

Below it stands what is done to any backbone, in place: how its convolutions start, how its numbers lie in memory, and
how many channels its clips have. Five flows, say, have ten instead of RGB's three: then every convolution that sees the
clip itself gets new weights, normal, of the deviation that lets maps start as large as those of RGB ("Temporal Segment
Networks", Wang et al., ECCV 2016, section 3.2).
"""

from collections.abc import Iterable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from w3action.layers import Masks

RGB_CHANNELS = 3


class Backbone(nn.Module):
    """Base of the backbones; a subclass sets both attributes and defines `forward`."""

    num_features: int  # C of the last feature maps
    num_blocks_by_stage: tuple[int, ...]  # residual blocks with slots

    def forward(self, clips: Float[Tensor, "b c_in t h w"]) -> tuple[Float[Tensor, "b c t h2 w2"], list[list[Masks]]]:
        """Return the last features and, stage by stage, the masks of each attention."""
        raise NotImplementedError


def run_blocks(blocks: Iterable[nn.Module], x: Tensor, *context: object) -> tuple[Tensor, list[Masks]]:
    """Run the blocks of a stage one after the other; return their last maps and the masks of their attentions.

    Each block is called as `block(x, *context)` and gives its maps and its masks, or None where it has no attention.
    """
    masks: list[Masks] = []
    for block in blocks:
        x, block_masks = block(x, *context)
        if block_masks is not None:
            masks.append(block_masks)
    return x, masks


def start_convolutions_(backbone: nn.Module, *, mode: Literal["fan_in", "fan_out"] = "fan_out") -> None:
    """Give a backbone's convolutions He's initialisation, in place; a layer in a slot starts its own way."""
    for name, module in backbone.named_modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d) and ".slots." not in name:
            nn.init.kaiming_normal_(module.weight, mode=mode, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def put_channels_last_(network: nn.Module) -> None:
    """Lay out the weights of convolutions with channels last, in place; features follow their convolution's weights.

    oneDNN and tensor cores then reorder nothing between layers. A training step on two CPU cores takes 0.72 to 1.06 of
    its time with channels first in 2D (TSM on the small network and on MobileNetV2), and in 3D with bf16 0.70 to 0.94;
    in 3D with fp32 0.93 to 1.25 (docs/decisions/kernels.md).
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.to(memory_format=torch.channels_last)
        elif isinstance(module, nn.Conv3d):
            module.to(memory_format=torch.channels_last_3d)


def widen_inputs_(backbone: nn.Module, in_channels: int, *, name: str) -> list[str]:
    """Make a backbone of RGB one of `in_channels`, in place, with new weights; three leave it as it is.

    Args:
        backbone: a network whose first convolutions, one or several, are those of three input channels.
        in_channels: of the clips.
        name: the model's name, for messages.

    Returns:
        The names of the weights that see the clip.

    Raises:
        ValueError: in_channels is below 1; no convolution of the network sees RGB.
    """
    if in_channels < 1:
        raise ValueError(f"in_channels is {in_channels}; it must be at least 1 (3 for RGB, 10 for flow)")
    if in_channels == RGB_CHANNELS:
        return []
    names = []
    for path, module in backbone.named_modules():
        if not isinstance(module, nn.Conv2d | nn.Conv3d) or "slots" in path.split("."):
            continue
        is_squeezed = max(module.kernel_size) == 1  # of a squeeze to three channels, which 1x1 opens again
        if module.in_channels == RGB_CHANNELS and module.groups == 1 and not is_squeezed:
            old = module.weight.detach()
            new = torch.randn(old.shape[0], in_channels, *old.shape[2:], dtype=old.dtype, device=old.device)
            module.weight = nn.Parameter(new * old.std() * (RGB_CHANNELS / in_channels) ** 0.5)
            module.in_channels = in_channels
            names.append(f"{path}.weight")
    if not names:
        raise ValueError(
            f"{name} takes no in_channels={in_channels}: no convolution in it sees RGB; choose a network that begins "
            "with one, such as tsm_resnet50"
        )
    return names
