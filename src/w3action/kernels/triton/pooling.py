"""Pooling on a GPU: a program walks over what is reduced of some kept numbers, and holds both results in registers.

Kept are channels and reduced are places, or the other way round: one kernel for both sees `(B, T, kept, reduced)`.
"""

import torch
import triton.language as tl
from torch import Tensor

from w3action.kernels.triton.tiles import INF, divide, kernel, launch, num_parts, strides, sums_as, tile


def forward(
    planes: Tensor, weights: Tensor | None, *, over_channels: bool, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Return average and maximum in a type, `(B, T, kept)`, of planes `(B, T, C, P)` and channels' weights."""
    x, tile_k, tile_r = _turned(planes, over_channels)
    b, t, k, r = x.shape
    parts = num_parts(b * t * divide(k, tile_k), most=divide(r, tile_r))
    span = divide(divide(r, parts), tile_r) * tile_r  # of what is reduced, for one part
    average, maximum = (x.new_empty((b, t, k), dtype=dtype) for _ in range(2))
    averages, maxima = average[None], maximum[None]
    if parts > 1:  # too few programs to fill the GPU: cut what is reduced into parts, and join them here
        averages, maxima = (x.new_empty((parts, b, t, k), dtype=sums_as(x)[1]) for _ in range(2))
    launch(
        _forward, (b * t, divide(k, tile_k), parts),
        x, x if weights is None else weights.contiguous(), averages, maxima,
        t, k, r, span, *strides(x), weights is not None, tile_k, tile_r, sums_as(x)[0],
    )  # fmt: skip
    if parts > 1:
        launch(_join, (divide(b * t * k, 1024),), averages, maxima, average, maximum, parts, b * t * k, 1024)
    return average, maximum


def backward(
    planes: Tensor,
    weights: Tensor | None,
    maximum: Tensor,
    grad_average: Tensor,
    grad_maximum: Tensor,
    grad: Tensor,
    *,
    over_channels: bool,
) -> Tensor | None:
    """Write the gradient of the planes to `grad`, which lies as they do; return that of the weights `(B, T, C)`."""
    x, tile_k, tile_r = _turned(planes, over_channels)
    b, t, k, r = x.shape
    strips = divide(k, tile_k)
    grad_weights = None if weights is None else x.new_empty((strips, b, t, r), dtype=sums_as(x)[1])
    launch(
        _backward, (b * t, strips),
        x, x if weights is None else weights.contiguous(), maximum,
        grad_average.contiguous(), grad_maximum.contiguous(), grad, x if grad_weights is None else grad_weights,
        t, k, r, *strides(x), weights is not None, tile_k, tile_r, sums_as(x)[0],
    )  # fmt: skip
    return None if grad_weights is None else grad_weights.sum(dim=0)


def _turned(planes: Tensor, over_channels: bool) -> tuple[Tensor, int, int]:
    """Return planes as `(B, T, kept, reduced)`, and the sides of a tile of them."""
    tile_c, tile_p = tile(planes)
    return (planes.transpose(2, 3), tile_p, tile_c) if over_channels else (planes, tile_c, tile_p)


@kernel
def _forward(
    x, weights, average, maximum, T, K, R, span, stride_b, stride_t, stride_k, stride_r,
    WEIGHTED: tl.constexpr, TILE_K: tl.constexpr, TILE_R: tl.constexpr, SUM: tl.constexpr,
):  # fmt: skip
    frame, part = tl.program_id(0).to(tl.int64), tl.program_id(2)
    x += (frame // T) * stride_b + (frame % T) * stride_t
    k = tl.program_id(1) * TILE_K + tl.arange(0, TILE_K)
    total = tl.zeros([TILE_K, TILE_R], SUM)
    largest = tl.full([TILE_K, TILE_R], -INF, SUM)
    for start in range(part * span, tl.minimum(part * span + span, R), TILE_R):
        r = start + tl.arange(0, TILE_R)
        inside = (k < K)[:, None] & (r < R)[None, :]
        value = tl.load(x + k[:, None] * stride_k + r[None, :] * stride_r, inside, other=0.0).to(SUM)
        if WEIGHTED:
            value *= tl.load(weights + frame * R + r, r < R, other=0.0).to(SUM)[None, :]
        total += value
        largest = tl.maximum(largest, tl.where(inside, value, -INF), propagate_nan=tl.PropagateNan.ALL)
    out = (part * tl.num_programs(0) + frame) * K + k
    tl.store(average + out, tl.sum(total, axis=1) / R, k < K)
    is_number = tl.min((largest == largest).to(tl.int32), axis=1)  # a maximum over a tile passes over NaN
    tl.store(maximum + out, tl.where(is_number != 0, tl.max(largest, axis=1), float("nan")), k < K)


@kernel
def _join(averages, maxima, average, maximum, parts, size, TILE: tl.constexpr):
    """Add up averages, and take the largest of maxima, over the parts that a pooling was cut into."""
    at = tl.program_id(0) * TILE + tl.arange(0, TILE)
    total = tl.load(averages + at, at < size, other=0.0)
    largest = tl.load(maxima + at, at < size, other=0.0)
    for part in range(1, parts):
        total += tl.load(averages + part * size + at, at < size, other=0.0)
        other = tl.load(maxima + part * size + at, at < size, other=0.0)
        largest = tl.maximum(largest, other, propagate_nan=tl.PropagateNan.ALL)
    tl.store(average + at, total, at < size)
    tl.store(maximum + at, largest, at < size)


@kernel
def _backward(
    x, weights, maximum, grad_average, grad_maximum, grad, grad_weights,
    T, K, R, stride_b, stride_t, stride_k, stride_r,
    WEIGHTED: tl.constexpr, TILE_K: tl.constexpr, TILE_R: tl.constexpr, SUM: tl.constexpr,
):  # fmt: skip
    frame, strip = tl.program_id(0).to(tl.int64), tl.program_id(1)
    x += (frame // T) * stride_b + (frame % T) * stride_t
    grad += (frame // T) * stride_b + (frame % T) * stride_t
    k = strip * TILE_K + tl.arange(0, TILE_K)
    largest = tl.load(maximum + frame * K + k, k < K, other=0.0).to(SUM)[:, None]
    ties = tl.zeros([TILE_K, TILE_R], tl.int32)
    for start in range(0, R, TILE_R):
        r = start + tl.arange(0, TILE_R)
        inside = (k < K)[:, None] & (r < R)[None, :]
        value = tl.load(x + k[:, None] * stride_k + r[None, :] * stride_r, inside, other=0.0).to(SUM)
        if WEIGHTED:
            value *= tl.load(weights + frame * R + r, r < R, other=0.0).to(SUM)[None, :]
        ties += ((value == largest) & inside).to(tl.int32)
    elsewhere = tl.load(grad_average + frame * K + k, k < K, other=0.0).to(SUM) / R
    share = tl.load(grad_maximum + frame * K + k, k < K, other=0.0).to(SUM)
    share /= tl.maximum(tl.sum(ties, axis=1), 1).to(SUM)
    for start in range(0, R, TILE_R):  # the second reading comes from the cache
        r = start + tl.arange(0, TILE_R)
        inside = (k < K)[:, None] & (r < R)[None, :]
        place = k[:, None] * stride_k + r[None, :] * stride_r
        value = tl.load(x + place, inside, other=0.0).to(SUM)
        if WEIGHTED:
            weight = tl.load(weights + frame * R + r, r < R, other=0.0).to(SUM)[None, :]
            pooled = elsewhere[:, None] + tl.where(value * weight == largest, share[:, None], 0.0)
            out = (strip * tl.num_programs(0) + frame) * R + r
            tl.store(grad_weights + out, tl.sum(tl.where(inside, value * pooled, 0.0), axis=0), r < R)
            tl.store(grad + place, pooled * weight, inside)
        else:
            tl.store(grad + place, elsewhere[:, None] + tl.where(value == largest, share[:, None], 0.0), inside)
