"""From what was pooled over space to M^c, the channel mask (W3, equations 3 and 4), on a GPU in one launch.

    g   = sigmoid(W2 relu(W1 average + b1) + W2 relu(W1 maximum + b1) + 2 b2)        (B, C, T)
    M^c = sigmoid(K2 * relu(K1 * g))        each channel's own two kernels of three frames

The arithmetic is nothing beside the features'; what it costs on a GPU is being launched: nine times if written plainly.
A wide hidden layer is a launch of its own: else every program would compute all of it. Training takes the plain form.
"""

from typing import Any

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from w3action.kernels.dispatch import Form, is_one_launch, operator

Affine = tuple[Tensor, Tensor]  # weight and bias of a layer
MOST_FRAMES = 16  # a program holds those of a clip


def channel_mask(
    average: Float[Tensor, "b c t"],
    maximum: Float[Tensor, "b c t"],
    reduce: Affine,
    expand: Affine,
    over_time: tuple[Affine, Affine] | None = None,
) -> Float[Tensor, "b c t"]:
    """Return M^c, or g alone without `over_time`.

    Args:
        average: of each plane.
        maximum: of each plane.
        reduce: W1 `(C/r, C)`, b1.
        expand: W2 `(C, C/r)`, b2.
        over_time: K1, K2 `(C, 1, 3)`, each with its bias.
    """
    time = (None,) * 4 if over_time is None else (*over_time[0], *over_time[1])
    weights = (*reduce, *expand, *time)
    one_launch = is_one_launch(average, maximum, *weights) and average.shape[2] <= MOST_FRAMES
    compute = _mask if one_launch else _plain
    return compute(average.transpose(1, 2), maximum.transpose(1, 2), *weights).transpose(1, 2)


def _plain(
    average: Tensor,
    maximum: Tensor,
    reduce: Tensor,
    reduce_bias: Tensor,
    expand: Tensor,
    expand_bias: Tensor,
    first: Tensor | None,
    first_bias: Tensor | None,
    second: Tensor | None,
    second_bias: Tensor | None,
) -> Tensor:
    """Compute it by PyTorch's own operators, all rows `(B, T, C)`: the definition."""
    # The second layer is linear, so the two paths are added before it: half its work, the same sum.
    hidden = F.linear(average, reduce, reduce_bias).relu() + F.linear(maximum, reduce, reduce_bias).relu()
    mask = (F.linear(hidden, expand) + 2 * expand_bias).sigmoid()
    if first is None or second is None:
        return mask
    groups = len(first)
    mask = F.conv1d(mask.transpose(1, 2), first, first_bias, padding=1, groups=groups).relu()
    return F.conv1d(mask, second, second_bias, padding=1, groups=groups).sigmoid().transpose(1, 2)


def _compute(form: Form, average: Tensor, maximum: Tensor, reduce: Tensor, *weights: Any) -> Tensor:
    if form != "triton":  # a program that was compiled or exported elsewhere
        return _plain(average, maximum, reduce, *weights).contiguous()
    from w3action.kernels.triton import channel_network

    mask = _shapes(average, maximum, reduce, *weights)
    channel_network.forward(average.contiguous(), maximum.contiguous(), (reduce, *weights), mask)
    return mask


def _shapes(average: Tensor, maximum: Tensor, reduce: Tensor, *weights: Tensor | None) -> Tensor:
    return average.new_empty(average.shape, dtype=reduce.dtype)


_mask = operator(
    "channel_mask(Tensor average, Tensor maximum, Tensor reduce, Tensor reduce_bias, Tensor expand, Tensor expand_bias,"
    " Tensor? first, Tensor? first_bias, Tensor? second, Tensor? second_bias) -> Tensor",
    _compute,
    shapes=_shapes,
)
