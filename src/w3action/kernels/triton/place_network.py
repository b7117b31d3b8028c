"""The spatial mask of `mask_networks` on a GPU: a program for a strip of places; neighbours come from the cache."""

import triton.language as tl
from torch import Tensor

from w3action.kernels.triton.tiles import divide, kernel, launch, padded, sums_as

TILE_P = 128  # places of a program, one for each of its threads


def gate(average: Tensor, maximum: Tensor, weight: Tensor, bias: Tensor | None, y: Tensor) -> None:
    """Write sigmoid(K * [average, maximum] + b) of maps `(B, T, H, W)`; K may lie in memory with its maps last."""
    b, t, h, w = average.shape
    launch(
        _convolve, (b * t, divide(h * w, TILE_P)),
        average, maximum, weight, weight if bias is None else bias, y, weight.stride(1), weight.stride(3),
        t, h, w, 1, *weight.shape[2:], padded(weight.shape[2] * weight.shape[3]),
        True, bias is not None, True, TILE_P, sums_as(average)[0],
    )  # fmt: skip


def convolve(mask: Tensor, weight: Tensor, bias: Tensor, y: Tensor, *, sigmoid: bool) -> None:
    """Write K * mask + b behind a sigmoid, or else a ReLU, for a kernel over time and space."""
    b, t, h, w = mask.shape
    launch(
        _convolve, (b * t, divide(h * w, TILE_P)),
        mask, mask, weight, bias, y, 0, 1,
        t, h, w, *weight.shape[2:], padded(weight[0, 0].numel()), False, True, sigmoid, TILE_P, sums_as(mask)[0],
    )  # fmt: skip


def convolve_twice(
    mask: Tensor, first: Tensor, first_bias: Tensor, second: Tensor, second_bias: Tensor, y: Tensor
) -> None:
    """Write sigmoid(K2 * relu(K1 * mask + b1) + b2) for two kernels 3x3x3."""
    b, t, h, w = mask.shape
    launch(
        _convolve_twice, (b * t, divide(h * w, TILE_P)),
        mask, first, first_bias, second, second_bias, y, t, h, w, padded(27), TILE_P, sums_as(mask)[0],
    )  # fmt: skip


@kernel
def _convolve(
    x, other, weight, bias, y, to_other, to_next, T, H, W,
    KT: tl.constexpr, KH: tl.constexpr, KW: tl.constexpr, TAPS: tl.constexpr,
    TWO: tl.constexpr, ADDS: tl.constexpr, SIGMOID: tl.constexpr, TILE_P: tl.constexpr, SUM: tl.constexpr,
):  # fmt: skip
    frame = tl.program_id(0).to(tl.int64)
    p = tl.program_id(1) * TILE_P + tl.arange(0, TILE_P)
    t = p * 0 + (frame % T).to(tl.int32)
    tap = tl.arange(0, TAPS)
    dt, dy, dx = tap // (KH * KW) - KT // 2, tap // KW % KH - KH // 2, tap % KW - KW // 2
    inside = _inside(t[:, None] + dt, p[:, None] // W + dy, p[:, None] % W + dx, T, H, W)
    inside &= (p < H * W)[:, None] & (tap < KT * KH * KW)[None, :]
    place = (frame * H * W + p)[:, None] + ((dt * H + dy) * W + dx)[None, :]
    number = tl.load(weight + tap * to_next, tap < KT * KH * KW, other=0.0).to(SUM)[None, :]
    total = tl.sum(tl.load(x + place, inside, other=0.0).to(SUM) * number, axis=1)
    if TWO:
        number = tl.load(weight + to_other + tap * to_next, tap < KT * KH * KW, other=0.0).to(SUM)[None, :]
        total += tl.sum(tl.load(other + place, inside, other=0.0).to(SUM) * number, axis=1)
    if ADDS:
        total += tl.load(bias).to(SUM)
    rectified = tl.maximum(total, 0.0, propagate_nan=tl.PropagateNan.ALL)
    tl.store(y + frame * H * W + p, 1.0 / (1.0 + tl.exp(-total)) if SIGMOID else rectified, p < H * W)


@kernel
def _convolve_twice(
    x, first, first_bias, second, second_bias, y, T, H, W, TAPS: tl.constexpr, TILE_P: tl.constexpr, SUM: tl.constexpr
):
    frame = tl.program_id(0).to(tl.int64)
    p = tl.program_id(1) * TILE_P + tl.arange(0, TILE_P)
    t, row, column = p * 0 + (frame % T).to(tl.int32), p // W, p % W
    tap = tl.arange(0, TAPS)
    dt, dy, dx = tap // 9 - 1, tap // 3 % 3 - 1, tap % 3 - 1
    away = ((dt * H + dy) * W + dx)[None, :]
    number = tl.load(first + tap, tap < 27, other=0.0).to(SUM)[None, :]
    total = tl.zeros([TILE_P], SUM) + tl.load(second_bias).to(SUM)
    for step in range(27):
        u, v, z = t + (step // 9 - 1), row + (step // 3 % 3 - 1), column + (step % 3 - 1)
        inside = _inside(u[:, None] + dt, v[:, None] + dy, z[:, None] + dx, T, H, W)
        inside &= (p < H * W)[:, None] & (tap < 27)[None, :]
        place = (frame * H * W + p + ((u - t) * H + v - row) * W + z - column)[:, None] + away
        hidden = tl.sum(tl.load(x + place, inside, other=0.0).to(SUM) * number, axis=1) + tl.load(first_bias).to(SUM)
        hidden = tl.where(hidden <= 0.0, 0.0, hidden)  # NaN stays
        total += tl.where(_inside(u, v, z, T, H, W), hidden, 0.0) * tl.load(second + step).to(SUM)
    tl.store(y + frame * H * W + p, 1.0 / (1.0 + tl.exp(-total)), p < H * W)


@kernel
def _inside(t, row, column, T, H, W):
    return (t >= 0) & (t < T) & (row >= 0) & (row < H) & (column >= 0) & (column < W)
