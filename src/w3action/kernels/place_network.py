"""From what was pooled over channels to M^s, the spatial mask (W3, equations 5 and 6), on a GPU in two launches.

    g   = sigmoid(K * [average, maximum] + b)        a 7x7 kernel over two maps, frame by frame        (B, T, H, W)
    M^s = sigmoid(K2 * relu(K1 * g))                 3x3x3 kernels of one channel

Written plainly these are eight launches, and convolutions of one channel that no library is fast at. K1 * g is computed
again for each of K2's 27 numbers where maps are small, which is less than launching a kernel takes. Training takes the
plain form.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from w3action.kernels import dispatch
from w3action.kernels.frame_convolution import convolve_frames
from w3action.kernels.operators import operator

MOST_PLACES = 1 << 19  # of all maps together; beyond it equation 6 is two launches


def place_mask(
    average: Float[Tensor, "b t h w"],
    maximum: Float[Tensor, "b t h w"],
    weight: Float[Tensor, "1 2 k k"],
    bias: Float[Tensor, "1"] | None,
) -> Float[Tensor, "b t h w"]:
    """Return g, each number in (0, 1), in the weight's type."""
    if dispatch.takes_one_launch(average, maximum, weight, bias):
        return _mask(average, maximum, weight, bias)
    return _mask_plain(average, maximum, weight, bias)


def mask_over_time(
    mask: Float[Tensor, "b t h w"],
    first: tuple[Float[Tensor, "1 1 3 3 3"], Float[Tensor, "1"]],
    second: tuple[Float[Tensor, "1 1 3 3 3"], Float[Tensor, "1"]],
) -> Float[Tensor, "b t h w"]:
    """Return M^s of g."""
    if dispatch.takes_one_launch(mask, *first, *second):
        return _over_time(mask, *first, *second)
    return _over_time_plain(mask, *first, *second)


def _mask_plain(average: Tensor, maximum: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    maps = torch.stack((average, maximum), dim=2).flatten(0, 1).to(weight.dtype)  # (B T, 2, H, W)
    return F.conv2d(maps, weight, bias, padding=weight.shape[-1] // 2).view(average.shape).sigmoid()


def _over_time_plain(mask: Tensor, first: Tensor, first_bias: Tensor, second: Tensor, second_bias: Tensor) -> Tensor:
    return convolve_frames(convolve_frames(mask, first, first_bias).relu(), second, second_bias).sigmoid()


def _compute_mask(average: Tensor, maximum: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    from w3action.kernels import place_network_triton

    mask = _mask_shapes(average, maximum, weight, bias)
    place_network_triton.gate(average.contiguous(), maximum.contiguous(), weight, bias, mask)
    return mask


def _mask_shapes(average: Tensor, maximum: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return average.new_empty(average.shape, dtype=weight.dtype)


def _compute_over_time(mask: Tensor, first: Tensor, first_bias: Tensor, second: Tensor, second_bias: Tensor) -> Tensor:
    from w3action.kernels import place_network_triton

    mask, found = mask.contiguous(), _over_time_shapes(mask, first, first_bias, second, second_bias)
    weights = (first.contiguous(), first_bias, second.contiguous(), second_bias)
    if mask.numel() <= MOST_PLACES:
        place_network_triton.convolve_twice(mask, *weights, found)
        return found
    between = torch.empty_like(found)
    place_network_triton.convolve(mask, *weights[:2], between, sigmoid=False)
    place_network_triton.convolve(between, *weights[2:], found, sigmoid=True)
    return found


def _over_time_shapes(mask: Tensor, first: Tensor, first_bias: Tensor, second: Tensor, second_bias: Tensor) -> Tensor:
    return mask.new_empty(mask.shape, dtype=first.dtype)


_mask = operator(
    "place_mask(Tensor average, Tensor maximum, Tensor weight, Tensor? bias) -> Tensor",
    _compute_mask,
    shapes=_mask_shapes,
)
_over_time = operator(
    "mask_over_time(Tensor mask, Tensor first, Tensor first_bias, Tensor second, Tensor second_bias) -> Tensor",
    _compute_over_time,
    shapes=_over_time_shapes,
)
