"""`place_network` on a GPU: a program for a strip of places of one frame; neighbours come from the cache."""

import triton.language as tl
from torch import Tensor

from w3action.kernels.tiles import divide, kernel, launch, sums_as

TILE_P = 128  # places of a program, one for each of its threads


def gate(average: Tensor, maximum: Tensor, weight: Tensor, bias: Tensor | None, y: Tensor) -> None:
    """Write sigmoid(K * [average, maximum] + b) of maps `(B, T, H, W)`."""
    b, t, h, w = average.shape
    launch(
        _convolve, (b * t, divide(h * w, TILE_P)),
        average, maximum, weight, weight if bias is None else bias, y,
        t, h, w, 1, weight.shape[-2], weight.shape[-1], True, bias is not None, True, TILE_P, sums_as(average)[0],
    )  # fmt: skip


def convolve(mask: Tensor, weight: Tensor, bias: Tensor, y: Tensor, *, sigmoid: bool) -> None:
    """Write K * mask + b behind a sigmoid, or else a ReLU, for a kernel over time and space."""
    b, t, h, w = mask.shape
    launch(
        _convolve, (b * t, divide(h * w, TILE_P)),
        mask, mask, weight, bias, y,
        t, h, w, *weight.shape[2:], False, True, sigmoid, TILE_P, sums_as(mask)[0],
    )  # fmt: skip


def convolve_twice(
    mask: Tensor, first: Tensor, first_bias: Tensor, second: Tensor, second_bias: Tensor, y: Tensor
) -> None:
    """Write sigmoid(K2 * relu(K1 * mask + b1) + b2) for two kernels 3x3x3."""
    b, t, h, w = mask.shape
    launch(
        _convolve_twice, (b * t, divide(h * w, TILE_P)),
        mask, first, first_bias, second, second_bias, y, t, h, w, TILE_P, sums_as(mask)[0],
    )  # fmt: skip


@kernel
def _convolve(
    x, other, weight, bias, y, T, H, W,
    KT: tl.constexpr, KH: tl.constexpr, KW: tl.constexpr,
    TWO: tl.constexpr, ADDS: tl.constexpr, SIGMOID: tl.constexpr, TILE_P: tl.constexpr, SUM: tl.constexpr,
):  # fmt: skip
    frame = tl.program_id(0).to(tl.int64)
    p = tl.program_id(1) * TILE_P + tl.arange(0, TILE_P)
    t, row, column = p * 0 + (frame % T).to(tl.int32), p // W, p % W
    total = tl.zeros([TILE_P], SUM)
    for line in range(KT * KH):
        dt, dy = line // KH - KT // 2, line % KH - KH // 2
        in_lines = (t + dt >= 0) & (t + dt < T) & (row + dy >= 0) & (row + dy < H) & (p < H * W)
        for i in range(KW):
            dx = i - KW // 2
            inside = in_lines & (column + dx >= 0) & (column + dx < W)
            place = (frame + dt) * H * W + p + dy * W + dx
            at = weight + line * KW + i
            total += tl.load(x + place, inside, other=0.0).to(SUM) * tl.load(at).to(SUM)
            if TWO:
                total += tl.load(other + place, inside, other=0.0).to(SUM) * tl.load(at + KT * KH * KW).to(SUM)
    if ADDS:
        total += tl.load(bias).to(SUM)
    # NaN stays in both.
    total = 1.0 / (1.0 + tl.exp(-total)) if SIGMOID else tl.where(total <= 0.0, 0.0, total)
    tl.store(y + frame * H * W + p, total, p < H * W)


@kernel
def _convolve_twice(x, first, first_bias, second, second_bias, y, T, H, W, TILE_P: tl.constexpr, SUM: tl.constexpr):
    frame = tl.program_id(0).to(tl.int64)
    p = tl.program_id(1) * TILE_P + tl.arange(0, TILE_P)
    t, row, column = p * 0 + (frame % T).to(tl.int32), p // W, p % W
    total = tl.zeros([TILE_P], SUM) + tl.load(second_bias).to(SUM)
    for step in range(27):
        dt, dy, dx = step // 9 - 1, step // 3 % 3 - 1, step % 3 - 1
        hidden = tl.zeros([TILE_P], SUM) + tl.load(first_bias).to(SUM)
        for inner in range(27):
            u, v, z = dt + inner // 9 - 1, dy + inner // 3 % 3 - 1, dx + inner % 3 - 1
            inside = (t + u >= 0) & (t + u < T) & (row + v >= 0) & (row + v < H)
            inside &= (column + z >= 0) & (column + z < W)
            value = tl.load(x + (frame + u) * H * W + p + v * W + z, inside & (p < H * W), other=0.0).to(SUM)
            hidden += value * tl.load(first + inner).to(SUM)
        hidden = tl.where(hidden <= 0.0, 0.0, hidden)  # NaN stays
        inside = (
            (t + dt >= 0) & (t + dt < T) & (row + dy >= 0) & (row + dy < H) & (column + dx >= 0) & (column + dx < W)
        )
        total += tl.where(inside, hidden, 0.0) * tl.load(second + step).to(SUM)
    tl.store(y + frame * H * W + p, 1.0 / (1.0 + tl.exp(-total)), p < H * W)
