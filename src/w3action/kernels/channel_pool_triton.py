"""`channel_pool` on a GPU: a program walks over the channels of a strip of places; F^c exists in registers alone."""

import triton.language as tl
from torch import Tensor

from w3action.kernels.tiles import INF, divide, join, kernel, launch, num_parts, strides, sums_as, tile


def forward(planes: Tensor, rows: Tensor, average: Tensor, maximum: Tensor) -> None:
    """Write average and maximum `(B, T, P)` over the channels of planes `(B, T, C, P)`, gated by rows `(B, T, C)`."""
    b, t, c, p = planes.shape
    tile_c, tile_p = tile(planes)
    parts = num_parts(b * t * divide(p, tile_p), most=divide(c, tile_c))
    span = divide(divide(c, parts), tile_c) * tile_c  # channels of one part
    averages, maxima = average[None], maximum[None]
    if parts > 1:  # too few programs to fill the GPU: cut the channels into parts, and join them here
        averages, maxima = (average.new_empty((parts, b, t, p)) for _ in range(2))
    launch(
        _forward, (b * t, divide(p, tile_p), parts),
        planes, rows, averages, maxima,
        t, c, p, span, *strides(planes), tile_c, tile_p, sums_as(planes)[0],
    )  # fmt: skip
    if parts > 1:
        launch(join, (divide(b * t * p, 1024),), averages, maxima, average, maximum, parts, b * t * p, 1024)


def backward(
    grad_average: Tensor, grad_maximum: Tensor, maximum: Tensor, planes: Tensor, rows: Tensor, grad: Tensor
) -> Tensor:
    """Write the gradient of the planes, laid out as they are; return that of the rows `(B, T, C)`."""
    b, t, c, p = planes.shape
    tile_c, tile_p = tile(planes)
    strips = divide(p, tile_p)
    grad_rows = rows.new_empty((strips, b, t, c), dtype=sums_as(planes)[1])
    launch(
        _backward, (b * t, strips),
        grad_average, grad_maximum, maximum, planes, rows, grad, grad_rows,
        t, c, p, *strides(planes), tile_c, tile_p, sums_as(planes)[0],
    )  # fmt: skip
    return grad_rows.sum(dim=0)


@kernel
def _forward(
    x, rows, average, maximum, T, C, P, span, stride_b, stride_t, stride_c, stride_p,
    TILE_C: tl.constexpr, TILE_P: tl.constexpr, SUM: tl.constexpr,
):  # fmt: skip
    frame, part = tl.program_id(0).to(tl.int64), tl.program_id(2)
    x += (frame // T) * stride_b + (frame % T) * stride_t
    p = tl.program_id(1) * TILE_P + tl.arange(0, TILE_P)
    total = tl.zeros([TILE_C, TILE_P], SUM)
    largest = tl.full([TILE_C, TILE_P], -INF, SUM)
    for start in range(part * span, tl.minimum(part * span + span, C), TILE_C):
        c = start + tl.arange(0, TILE_C)
        inside = (c < C)[:, None] & (p < P)[None, :]
        value = tl.load(x + c[:, None] * stride_c + p[None, :] * stride_p, inside, other=0.0).to(SUM)
        value *= tl.load(rows + frame * C + c, c < C, other=0.0).to(SUM)[:, None]
        total += value
        largest = tl.maximum(largest, tl.where(inside, value, -INF), propagate_nan=tl.PropagateNan.ALL)
    out = (part * tl.num_programs(0) + frame) * P + p
    tl.store(average + out, tl.sum(total, axis=0) / C, p < P)
    is_number = tl.min((largest == largest).to(tl.int32), axis=0)  # a maximum over a tile passes over NaN
    tl.store(maximum + out, tl.where(is_number != 0, tl.max(largest, axis=0), float("nan")), p < P)


@kernel
def _backward(
    grad_average, grad_maximum, maximum, x, rows, grad, grad_rows, T, C, P, stride_b, stride_t, stride_c, stride_p,
    TILE_C: tl.constexpr, TILE_P: tl.constexpr, SUM: tl.constexpr,
):  # fmt: skip
    frame, strip = tl.program_id(0).to(tl.int64), tl.program_id(1)
    x += (frame // T) * stride_b + (frame % T) * stride_t
    grad += (frame // T) * stride_b + (frame % T) * stride_t
    p = strip * TILE_P + tl.arange(0, TILE_P)
    largest = tl.load(maximum + frame * P + p, p < P, other=0.0)[None, :]
    ties = tl.zeros([TILE_C, TILE_P], tl.int32)
    for start in range(0, C, TILE_C):
        c = start + tl.arange(0, TILE_C)
        inside = (c < C)[:, None] & (p < P)[None, :]
        value = tl.load(x + c[:, None] * stride_c + p[None, :] * stride_p, inside, other=0.0).to(SUM)
        value *= tl.load(rows + frame * C + c, c < C, other=0.0).to(SUM)[:, None]
        ties += ((value == largest) & inside).to(tl.int32)
    elsewhere = tl.load(grad_average + frame * P + p, p < P, other=0.0) / C
    share = tl.load(grad_maximum + frame * P + p, p < P, other=0.0) / tl.maximum(tl.sum(ties, axis=0), 1).to(SUM)
    for start in range(0, C, TILE_C):  # the second reading comes from the cache
        c = start + tl.arange(0, TILE_C)
        inside = (c < C)[:, None] & (p < P)[None, :]
        place = c[:, None] * stride_c + p[None, :] * stride_p
        value = tl.load(x + place, inside, other=0.0).to(SUM)
        row = tl.load(rows + frame * C + c, c < C, other=0.0).to(SUM)[:, None]
        weight = elsewhere[None, :] + tl.where(value * row == largest, share[None, :], 0.0)
        out = (strip * tl.num_programs(0) + frame) * C + c
        tl.store(grad_rows + out, tl.sum(tl.where(inside, value * weight, 0.0), axis=1), c < C)
        tl.store(grad + place, weight * row, inside)
