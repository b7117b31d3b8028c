"""W3's small networks: from what was pooled to the masks (equations 3 to 6), on a GPU in one or two launches each.

    g   = sigmoid(W2 relu(W1 average + b1) + W2 relu(W1 maximum + b1) + 2 b2)        (B, C, T)
    M^c = sigmoid(K2 * relu(K1 * g))        each channel's own two kernels of three frames

    g   = sigmoid(K * [average, maximum] + b)        a 7x7 kernel over two maps, frame by frame        (B, T, H, W)
    M^s = sigmoid(K2 * relu(K1 * g))                 3x3x3 kernels of one channel

The arithmetic is nothing beside the features'; what it costs on a GPU is being launched: eight or nine times if
written plainly. A wide hidden layer of M^c is a launch of its own: else every program would compute all of it. K1 * g
of M^s is computed again for each of K2's 27 numbers where maps are small, which is less than launching a kernel takes.
Training takes the plain form.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from w3action.kernels.dispatch import Form, convolves_frames_as_channels, is_one_launch, operator

Affine = tuple[Tensor, Tensor]  # weight and bias of a layer
MOST_FRAMES = 16  # of M^c: a program holds those of a clip
MOST_PLACES = 1 << 19  # of M^s: of all maps together; beyond it equation 6 is two launches
MIN_PLACES = 400  # of a map whose frames become channels; below it building the kernels costs what they save
MAX_FRAMES = 32  # that become channels; the work grows with T squared


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
    compute = _channel_mask if one_launch else _channel_plain
    return compute(average.transpose(1, 2), maximum.transpose(1, 2), *weights).transpose(1, 2)


def _channel_plain(
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


def _compute_channel(form: Form, average: Tensor, maximum: Tensor, reduce: Tensor, *weights: Any) -> Tensor:
    if form != "triton":  # a program that was compiled or exported elsewhere
        return _channel_plain(average, maximum, reduce, *weights).contiguous()
    from w3action.kernels.triton import channel_network

    mask = _channel_shapes(average, maximum, reduce, *weights)
    channel_network.forward(average.contiguous(), maximum.contiguous(), (reduce, *weights), mask)
    return mask


def _channel_shapes(average: Tensor, maximum: Tensor, reduce: Tensor, *weights: Tensor | None) -> Tensor:
    return average.new_empty(average.shape, dtype=reduce.dtype)


_channel_mask = operator(
    "channel_mask(Tensor average, Tensor maximum, Tensor reduce, Tensor reduce_bias, Tensor expand, Tensor expand_bias,"
    " Tensor? first, Tensor? first_bias, Tensor? second, Tensor? second_bias) -> Tensor",
    _compute_channel,
    shapes=_channel_shapes,
)


def place_mask(
    average: Float[Tensor, "b t h w"],
    maximum: Float[Tensor, "b t h w"],
    weight: Float[Tensor, "1 2 k k"],
    bias: Float[Tensor, "1"] | None,
) -> Float[Tensor, "b t h w"]:
    """Return g, each number in (0, 1), in the weight's type."""
    if is_one_launch(average, maximum, weight, bias):
        return _place_mask(average, maximum, weight, bias)
    return _place_plain(average, maximum, weight, bias)


def mask_over_time(
    mask: Float[Tensor, "b t h w"],
    first: tuple[Float[Tensor, "1 1 3 3 3"], Float[Tensor, "1"]],
    second: tuple[Float[Tensor, "1 1 3 3 3"], Float[Tensor, "1"]],
) -> Float[Tensor, "b t h w"]:
    """Return M^s of g."""
    if is_one_launch(mask, *first, *second):
        return _over_time(mask, *first, *second)
    return _over_time_plain(mask, *first, *second)


def _place_plain(average: Tensor, maximum: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    maps = torch.stack((average, maximum), dim=2).flatten(0, 1).to(weight.dtype)  # (B T, 2, H, W)
    return F.conv2d(maps, weight, bias, padding=weight.shape[-1] // 2).view(average.shape).sigmoid()


def _over_time_plain(mask: Tensor, first: Tensor, first_bias: Tensor, second: Tensor, second_bias: Tensor) -> Tensor:
    return convolve_frames(convolve_frames(mask, first, first_bias).relu(), second, second_bias).sigmoid()


def convolve_frames(
    x: Float[Tensor, "b t h w"], weight: Float[Tensor, "1 1 k kh kw"], bias: Float[Tensor, "1"]
) -> Float[Tensor, "b t h w"]:
    """Convolve a map over time and space with one 3D kernel whose sides are odd; zeros lie beyond the ends.

        y[t, p] = b + sum over i, q of w[i, q] x[t + i - 1, p + q]

    A 3D convolution of one channel has no fast form on a CPU. Frames taken as channels, it is a 2D convolution from T
    to T channels whose kernels are w's slices on three diagonals and zero elsewhere: five times as fast for 8 maps of
    56x56.
    """
    t, (k, kh, kw) = x.shape[1], weight.shape[2:]
    if not convolves_frames_as_channels(x, max_frames=MAX_FRAMES, min_places=MIN_PLACES):
        return F.conv3d(x[:, None], weight, bias, padding=(k // 2, kh // 2, kw // 2))[:, 0]
    frames, ahead = torch.arange(t, device=x.device), torch.arange(k, device=x.device) - k // 2
    reads = frames[None, None, :] - frames[None, :, None] == ahead[:, None, None]  # (k, T to, T from)
    kernels = torch.einsum("kts,khw->tshw", reads.to(weight.dtype), weight[0, 0])
    return F.conv2d(x, kernels, bias.expand(t), padding=(kh // 2, kw // 2))


def _compute_place(form: Form, average: Tensor, maximum: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if form != "triton":  # a program that was compiled or exported elsewhere
        return _place_plain(average, maximum, weight, bias)
    from w3action.kernels.triton import place_network

    mask = _place_shapes(average, maximum, weight, bias)
    place_network.gate(average.contiguous(), maximum.contiguous(), weight, bias, mask)
    return mask


def _place_shapes(average: Tensor, maximum: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return average.new_empty(average.shape, dtype=weight.dtype)


def _compute_over_time(
    form: Form, mask: Tensor, first: Tensor, first_bias: Tensor, second: Tensor, second_bias: Tensor
) -> Tensor:
    if form != "triton":
        return _over_time_plain(mask, first, first_bias, second, second_bias)
    from w3action.kernels.triton import place_network

    mask, found = mask.contiguous(), _over_time_shapes(mask, first, first_bias, second, second_bias)
    weights = (first.contiguous(), first_bias, second.contiguous(), second_bias)
    if mask.numel() <= MOST_PLACES:
        place_network.convolve_twice(mask, *weights, found)
        return found
    between = torch.empty_like(found)
    place_network.convolve(mask, *weights[:2], between, sigmoid=False)
    place_network.convolve(between, *weights[2:], found, sigmoid=True)
    return found


def _over_time_shapes(mask: Tensor, first: Tensor, first_bias: Tensor, second: Tensor, second_bias: Tensor) -> Tensor:
    return mask.new_empty(mask.shape, dtype=first.dtype)


_place_mask = operator(
    "place_mask(Tensor average, Tensor maximum, Tensor weight, Tensor? bias) -> Tensor",
    _compute_place,
    shapes=_place_shapes,
)
_over_time = operator(
    "mask_over_time(Tensor mask, Tensor first, Tensor first_bias, Tensor second, Tensor second_bias) -> Tensor",
    _compute_over_time,
    shapes=_over_time_shapes,
)
