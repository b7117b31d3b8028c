"""What a backbone is: clips -> the last feature maps and the masks of every attention in its slots."""

from jaxtyping import Float
from torch import Tensor, nn

from w3action.layers import Masks


class Backbone(nn.Module):
    """Base of the backbones; a subclass sets both attributes and defines `forward`."""

    num_features: int  # C of the last feature maps
    num_blocks_by_stage: tuple[int, ...]  # residual blocks with slots

    def forward(self, clips: Float[Tensor, "b 3 t h w"]) -> tuple[Float[Tensor, "b c t h2 w2"], list[list[Masks]]]:
        """Return the last features and, stage by stage, the masks of each attention."""
        raise NotImplementedError
