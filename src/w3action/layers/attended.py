"""What an attention gives back: the attended features and the masks that made them.

Masks are returned, not stored on the module, so that a layer stays a pure function of its input: it can be
compiled, exported and streamed, and two forward passes never see each other's masks.
"""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor


class Masks(NamedTuple):
    """The masks of one attention layer; None where the layer has no such facet."""

    channel: Float[Tensor, "b c t"] | None = None  # M^c: what (and when)
    spatial: Float[Tensor, "b t h w"] | None = None  # M^s: where (and when)


class Attended(NamedTuple):
    """The output of every attention layer."""

    features: Float[Tensor, "b c t h w"]
    masks: Masks
