"""What a backbone is: clips -> the last feature maps and the masks of every attention in its slots; how it starts."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from w3action.layers import Masks


class Backbone(nn.Module):
    """Base of the backbones; a subclass sets both attributes and defines `forward`."""

    num_features: int  # C of the last feature maps
    num_blocks_by_stage: tuple[int, ...]  # residual blocks with slots

    def forward(self, clips: Float[Tensor, "b c_in t h w"]) -> tuple[Float[Tensor, "b c t h2 w2"], list[list[Masks]]]:
        """Return the last features and, stage by stage, the masks of each attention."""
        raise NotImplementedError


def start_convolutions_(backbone: nn.Module, *, mode: Literal["fan_in", "fan_out"] = "fan_out") -> None:
    """Give a backbone's convolutions He's initialisation, in place; a layer in a slot starts its own way."""
    for name, module in backbone.named_modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d) and ".slots." not in name:
            nn.init.kaiming_normal_(module.weight, mode=mode, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
