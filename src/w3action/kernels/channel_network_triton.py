"""`channel_network` on a GPU: a program for some channels of a clip; it reads all channels, for W1 mixes them."""

import triton.language as tl
from torch import Tensor

from w3action.kernels.dispatch import padded
from w3action.kernels.tiles import divide, kernel, launch

TILE_C = 64  # channels of a program, and those it reads at a time


def forward(average: Tensor, maximum: Tensor, weights: tuple[Tensor | None, ...], y: Tensor) -> None:
    """Write the mask `(B, T, C)`; the weights are those of `w3action.kernels.channel_network`, in its order."""
    b, t, c = average.shape
    reduce, first = weights[0], weights[4]
    assert reduce is not None
    given = [(reduce if weight is None else weight).contiguous() for weight in weights]
    launch(
        _forward, (b, divide(c, TILE_C)),
        average, maximum, *given, y,
        t, c, reduce.shape[0], first is not None, padded(t), padded(reduce.shape[0]), TILE_C,
    )  # fmt: skip


@kernel
def _forward(
    average, maximum, reduce, reduce_bias, expand, expand_bias, first, first_bias, second, second_bias, y, T, C, H,
    OVER_TIME: tl.constexpr, TILE_T: tl.constexpr, TILE_H: tl.constexpr, TILE_C: tl.constexpr,
):  # fmt: skip
    clip = tl.program_id(0).to(tl.int64) * T * C
    t, h = tl.arange(0, TILE_T), tl.arange(0, TILE_H)
    from_average = tl.zeros([TILE_T, TILE_H], tl.float32)
    from_maximum = tl.zeros([TILE_T, TILE_H], tl.float32)
    for start in range(0, C, TILE_C):
        k = start + tl.arange(0, TILE_C)
        place, inside = clip + t[:, None] * C + k[None, :], (t < T)[:, None] & (k < C)[None, :]
        weight = tl.load(reduce + h[None, :] * C + k[:, None], (h < H)[None, :] & (k < C)[:, None], other=0.0)
        weight = weight.to(tl.float32)
        value = tl.load(average + place, inside, other=0.0).to(tl.float32)
        from_average = tl.dot(value, weight, from_average, input_precision="ieee")
        value = tl.load(maximum + place, inside, other=0.0).to(tl.float32)
        from_maximum = tl.dot(value, weight, from_maximum, input_precision="ieee")
    bias = tl.load(reduce_bias + h, h < H, other=0.0).to(tl.float32)[None, :]
    hidden = _rectify(from_average + bias) + _rectify(from_maximum + bias)

    c = tl.program_id(1) * TILE_C + tl.arange(0, TILE_C)
    weight = tl.load(expand + c[None, :] * H + h[:, None], (c < C)[None, :] & (h < H)[:, None], other=0.0)
    mask = tl.dot(hidden, weight.to(tl.float32), input_precision="ieee")
    mask = tl.sigmoid(mask + 2.0 * tl.load(expand_bias + c, c < C, other=0.0).to(tl.float32)[None, :])
    if OVER_TIME:
        mask = tl.where((t < T)[:, None], mask, 0.0)
        mask = _rectify(_over_time(mask, first, first_bias, c, C, TILE_T))
        mask = tl.where((t < T)[:, None], mask, 0.0)
        mask = tl.sigmoid(_over_time(mask, second, second_bias, c, C, TILE_T))
    tl.store(y + clip + t[:, None] * C + c[None, :], mask, (t < T)[:, None] & (c < C)[None, :])


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
