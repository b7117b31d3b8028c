"""`plane_pool` on a GPU: a program reads a tile of channels by places and keeps both results in registers."""

import torch
import triton.language as tl
from torch import Tensor

from w3action.kernels.tiles import INF, divide, join, kernel, launch, num_parts, strides, sums_as, tile


def forward(planes: Tensor, average: Tensor, maximum: Tensor) -> None:
    """Write each plane's average and maximum `(B, T, C)` of planes `(B, T, C, P)`."""
    b, t, c, p = planes.shape
    tile_c, tile_p = tile(planes)
    parts = num_parts(b * t * divide(c, tile_c), most=divide(p, tile_p))
    span = divide(divide(p, parts), tile_p) * tile_p  # places of one part
    averages, maxima = average[None], maximum[None]
    if parts > 1:  # too few programs to fill the GPU: cut planes into parts, and join them here
        averages = torch.empty((parts, b, t, c), device=planes.device, dtype=sums_as(planes)[1])
        maxima = torch.empty((parts, b, t, c), device=planes.device, dtype=planes.dtype)
    launch(
        _forward,
        (b * t, divide(c, tile_c), parts),
        planes,
        averages,
        maxima,
        t,
        c,
        p,
        span,
        *strides(planes),
        tile_c,
        tile_p,
        sums_as(planes)[0],
    )
    if parts > 1:
        launch(join, (divide(b * t * c, 1024),), averages, maxima, average, maximum, parts, b * t * c, 1024)


def backward(grad_average: Tensor, grad_maximum: Tensor, planes: Tensor, maximum: Tensor, grad: Tensor) -> None:
    """Write the gradient of the planes, laid out as they are."""
    b, t, c, p = planes.shape
    tile_c, tile_p = tile(planes)
    launch(
        _backward, (b * t, divide(c, tile_c)),
        grad_average, grad_maximum, planes, maximum, grad,
        t, c, p, *strides(planes), tile_c, tile_p, sums_as(planes)[0],
    )  # fmt: skip


@kernel
def _forward(
    x, average, maximum, T, C, P, span, stride_b, stride_t, stride_c, stride_p,
    TILE_C: tl.constexpr, TILE_P: tl.constexpr, SUM: tl.constexpr,
):  # fmt: skip
    frame, part = tl.program_id(0).to(tl.int64), tl.program_id(2)
    x += (frame // T) * stride_b + (frame % T) * stride_t
    c = tl.program_id(1) * TILE_C + tl.arange(0, TILE_C)
    total = tl.zeros([TILE_C, TILE_P], SUM)
    largest = tl.full([TILE_C, TILE_P], -INF, SUM)
    for start in range(part * span, tl.minimum(part * span + span, P), TILE_P):
        p = start + tl.arange(0, TILE_P)
        inside = (c < C)[:, None] & (p < P)[None, :]
        value = tl.load(x + c[:, None] * stride_c + p[None, :] * stride_p, inside, other=0.0).to(SUM)
        total += value
        largest = tl.maximum(largest, tl.where(inside, value, -INF), propagate_nan=tl.PropagateNan.ALL)
    out = (part * tl.num_programs(0) + frame) * C + c
    tl.store(average + out, tl.sum(total, axis=1) / P, c < C)
    is_number = tl.min((largest == largest).to(tl.int32), axis=1)  # a maximum over a tile passes over NaN
    tl.store(maximum + out, tl.where(is_number != 0, tl.max(largest, axis=1), float("nan")), c < C)


@kernel
def _backward(
    grad_average, grad_maximum, x, maximum, grad, T, C, P, stride_b, stride_t, stride_c, stride_p,
    TILE_C: tl.constexpr, TILE_P: tl.constexpr, SUM: tl.constexpr,
):  # fmt: skip
    frame = tl.program_id(0).to(tl.int64)
    x += (frame // T) * stride_b + (frame % T) * stride_t
    grad += (frame // T) * stride_b + (frame % T) * stride_t
    c = tl.program_id(1) * TILE_C + tl.arange(0, TILE_C)
    largest = tl.load(maximum + frame * C + c, c < C).to(SUM)[:, None]
    ties = tl.zeros([TILE_C, TILE_P], tl.int32)
    for start in range(0, P, TILE_P):
        p = start + tl.arange(0, TILE_P)
        inside = (c < C)[:, None] & (p < P)[None, :]
        value = tl.load(x + c[:, None] * stride_c + p[None, :] * stride_p, inside, other=0.0).to(SUM)
        ties += ((value == largest) & inside).to(tl.int32)
    elsewhere = tl.load(grad_average + frame * C + c, c < C).to(SUM) / P
    share = tl.load(grad_maximum + frame * C + c, c < C).to(SUM) / tl.maximum(tl.sum(ties, axis=1), 1).to(SUM)
    for start in range(0, P, TILE_P):  # the second reading comes from the cache
        p = start + tl.arange(0, TILE_P)
        inside = (c < C)[:, None] & (p < P)[None, :]
        place = c[:, None] * stride_c + p[None, :] * stride_p
        value = tl.load(x + place, inside, other=0.0).to(SUM)
        tl.store(grad + place, elsewhere[:, None] + tl.where(value == largest, share[:, None], 0.0), inside)
