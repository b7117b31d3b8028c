"""The channel mask of `mask_networks` on a GPU: a program for some channels, which reads all: W1 mixes them."""

import torch
import triton.language as tl
from torch import Tensor

from w3action.kernels.triton.tiles import divide, kernel, launch, padded

TILE_C = 64  # channels of a program
TILE_K = 16  # numbers that are multiplied and added up at a time: operands of more would not fit into registers
MOST_HIDDEN = 64  # that every program computes for itself
NUM_WARPS = 8


def forward(average: Tensor, maximum: Tensor, weights: tuple[Tensor | None, ...], y: Tensor) -> None:
    """Write the mask `(B, T, C)`; the weights are those of `w3action.kernels.mask_networks`, in its order."""
    b, t, c = average.shape
    reduce, first = weights[0], weights[4]
    assert reduce is not None
    h = reduce.shape[0]
    given = [(reduce if weight is None else weight).contiguous() for weight in weights]
    hidden = average
    if h > MOST_HIDDEN:
        hidden = torch.empty((b, t, h), dtype=torch.float32, device=average.device)
        launch(
            _reduce, (b, divide(h, TILE_K)),
            average, maximum, *given[:2], hidden, t, c, h, padded(t), TILE_K, TILE_K,
            num_warps=NUM_WARPS,
        )  # fmt: skip
    launch(
        _forward, (b, divide(c, TILE_C)),
        average, maximum, hidden, *given, y,
        t, c, h, h > MOST_HIDDEN, first is not None, padded(t), padded(h), TILE_C, TILE_K,
        num_warps=NUM_WARPS,
    )  # fmt: skip


@kernel
def _reduce(
    average, maximum, reduce, reduce_bias, hidden, T, C, H,
    TILE_T: tl.constexpr, TILE_H: tl.constexpr, TILE_K: tl.constexpr,
):  # fmt: skip
    clip, first = tl.program_id(0).to(tl.int64), tl.program_id(1) * TILE_H
    value = _hidden(average, maximum, reduce, reduce_bias, clip, first, T, C, H, TILE_T, TILE_H, TILE_K)
    t, h = tl.arange(0, TILE_T)[:, None], first + tl.arange(0, TILE_H)[None, :]
    tl.store(hidden + clip * T * H + t * H + h, value, (t < T) & (h < H))


@kernel
def _forward(
    average, maximum, hidden, reduce, reduce_bias, expand, expand_bias, first, first_bias, second, second_bias, y,
    T, C, H, GIVEN: tl.constexpr, OVER_TIME: tl.constexpr,
    TILE_T: tl.constexpr, TILE_H: tl.constexpr, TILE_C: tl.constexpr, TILE_K: tl.constexpr,
):  # fmt: skip
    clip = tl.program_id(0).to(tl.int64)
    t, h = tl.arange(0, TILE_T), tl.arange(0, TILE_H)
    c = tl.program_id(1) * TILE_C + tl.arange(0, TILE_C)
    if GIVEN:
        mask = tl.zeros([TILE_T, TILE_C], tl.float32)
        for start in range(0, H, TILE_K):
            k = start + tl.arange(0, TILE_K)
            inside = (t < T)[:, None] & (k < H)[None, :]
            value = tl.load(hidden + clip * T * H + t[:, None] * H + k[None, :], inside, other=0.0)
            weight = tl.load(expand + c[None, :] * H + k[:, None], (c < C)[None, :] & (k < H)[:, None], other=0.0)
            mask = tl.dot(value, weight.to(tl.float32), mask, input_precision="ieee")
    else:
        value = _hidden(average, maximum, reduce, reduce_bias, clip, 0, T, C, H, TILE_T, TILE_H, TILE_K)
        weight = tl.load(expand + c[None, :] * H + h[:, None], (c < C)[None, :] & (h < H)[:, None], other=0.0)
        mask = tl.dot(value, weight.to(tl.float32), input_precision="ieee")
    mask = tl.sigmoid(mask + 2.0 * tl.load(expand_bias + c, c < C, other=0.0).to(tl.float32)[None, :])
    if OVER_TIME:
        mask = tl.where((t < T)[:, None], mask, 0.0)
        mask = _rectify(_over_time(mask, first, first_bias, c, C, TILE_T))
        mask = tl.where((t < T)[:, None], mask, 0.0)
        mask = tl.sigmoid(_over_time(mask, second, second_bias, c, C, TILE_T))
    tl.store(y + clip * T * C + t[:, None] * C + c[None, :], mask, (t < T)[:, None] & (c < C)[None, :])


@kernel
def _hidden(
    average, maximum, reduce, reduce_bias, clip, first, T, C, H,
    TILE_T: tl.constexpr, TILE_H: tl.constexpr, TILE_K: tl.constexpr,
):  # fmt: skip
    """Sum what W1 makes of averages and of maxima, both rectified: hidden numbers from `first` on, of every frame."""
    t, h = tl.arange(0, TILE_T), first + tl.arange(0, TILE_H)
    from_average = tl.zeros([TILE_T, TILE_H], tl.float32)
    from_maximum = tl.zeros([TILE_T, TILE_H], tl.float32)
    for start in range(0, C, TILE_K):
        k = start + tl.arange(0, TILE_K)
        place, inside = clip * T * C + t[:, None] * C + k[None, :], (t < T)[:, None] & (k < C)[None, :]
        weight = tl.load(reduce + h[None, :] * C + k[:, None], (h < H)[None, :] & (k < C)[:, None], other=0.0)
        weight = weight.to(tl.float32)
        value = tl.load(average + place, inside, other=0.0).to(tl.float32)
        from_average = tl.dot(value, weight, from_average, input_precision="ieee")
        value = tl.load(maximum + place, inside, other=0.0).to(tl.float32)
        from_maximum = tl.dot(value, weight, from_maximum, input_precision="ieee")
    bias = tl.load(reduce_bias + h, h < H, other=0.0).to(tl.float32)[None, :]
    return _rectify(from_average + bias) + _rectify(from_maximum + bias)


@kernel
def _over_time(mask, weight, bias, c, C, TILE_T: tl.constexpr):
    """Convolve each channel with its own three numbers; rows are moved by a matrix of zeros and ones."""
    to, by = tl.arange(0, TILE_T)[:, None], tl.arange(0, TILE_T)[None, :]
    before = tl.dot((by == to - 1).to(tl.float32), mask, input_precision="ieee")
    behind = tl.dot((by == to + 1).to(tl.float32), mask, input_precision="ieee")
    left = tl.load(weight + 3 * c, c < C, other=0.0).to(tl.float32)[None, :]
    centre = tl.load(weight + 3 * c + 1, c < C, other=0.0).to(tl.float32)[None, :]
    right = tl.load(weight + 3 * c + 2, c < C, other=0.0).to(tl.float32)[None, :]
    return left * before + centre * mask + right * behind + tl.load(bias + c, c < C, other=0.0).to(tl.float32)[None, :]


@kernel
def _rectify(value):
    return tl.where(value <= 0.0, 0.0, value)  # NaN stays
