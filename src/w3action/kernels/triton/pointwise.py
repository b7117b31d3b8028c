"""The mask product and the frame shift on a GPU: a program for each tile, which reads and writes each number once."""

import triton.language as tl
from torch import Tensor

from w3action.kernels.triton.tiles import divide, kernel, launch, strides, sums_as, tile


def apply_masks(planes: Tensor, rows: Tensor, maps: Tensor, added: Tensor | None, y: Tensor, *, relu: bool) -> None:
    """Write y, laid out as the planes `(B, T, C, P)`; rows are `(B, T, C)`, maps `(B, T, P)`."""
    b, t, c, p = planes.shape
    tile_c, tile_p = tile(planes)
    launch(
        _apply_masks, (b * t, divide(c, tile_c), divide(p, tile_p)),
        planes, rows, maps, planes if added is None else added, y,
        t, c, p, *strides(planes), added is not None, relu, tile_c, tile_p, sums_as(planes)[0],
    )  # fmt: skip


def apply_masks_backward(
    grad_y: Tensor,
    planes: Tensor,
    rows: Tensor,
    maps: Tensor,
    grad: Tensor,
    y: Tensor | None = None,
    grad_sum: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Write the gradient of the planes and, behind a ReLU, of the sum it took; return those of rows and maps.

    Each program gives its tile's share of both masks' gradients.
    """
    b, t, c, p = planes.shape
    tile_c, tile_p = tile(planes)
    groups, strips = divide(c, tile_c), divide(p, tile_p)
    # A sum for each tile, added up afterwards in one order: the same gradients at every run.
    grad_rows, grad_maps = (
        rows.new_empty((strips, b, t, c), dtype=sums_as(planes)[1]),
        maps.new_empty((groups, b, t, p), dtype=sums_as(planes)[1]),
    )
    behind = (planes, planes) if y is None else (y, grad_sum)
    launch(
        _apply_masks_backward, (b * t, groups, strips),
        grad_y, planes, rows, maps, grad, grad_rows, grad_maps, *behind,
        t, c, p, *strides(planes), y is not None, tile_c, tile_p, sums_as(planes)[0],
    )  # fmt: skip
    return grad_rows.sum(dim=0), grad_maps.sum(dim=0)


@kernel
def _apply_masks(
    x, rows, maps, added, y, T, C, P, stride_b, stride_t, stride_c, stride_p,
    ADDS: tl.constexpr, RELU: tl.constexpr, TILE_C: tl.constexpr, TILE_P: tl.constexpr, SUM: tl.constexpr,
):  # fmt: skip
    frame = tl.program_id(0).to(tl.int64)
    c = tl.program_id(1) * TILE_C + tl.arange(0, TILE_C)
    p = tl.program_id(2) * TILE_P + tl.arange(0, TILE_P)
    inside = (c < C)[:, None] & (p < P)[None, :]
    place = (frame // T) * stride_b + (frame % T) * stride_t + c[:, None] * stride_c + p[None, :] * stride_p
    row = tl.load(rows + frame * C + c, c < C, other=0.0).to(SUM)
    at = tl.load(maps + frame * P + p, p < P, other=0.0).to(SUM)
    value = tl.load(x + place, inside, other=0.0).to(SUM) * row[:, None] * at[None, :]
    if ADDS:
        value += tl.load(added + place, inside, other=0.0).to(SUM)
    if RELU:
        value = tl.where(value <= 0.0, 0.0, value)  # NaN stays
    tl.store(y + place, value, inside)


@kernel
def _apply_masks_backward(
    grad_y, x, rows, maps, grad, grad_rows, grad_maps, y, grad_sum, T, C, P, stride_b, stride_t, stride_c, stride_p,
    RELU: tl.constexpr, TILE_C: tl.constexpr, TILE_P: tl.constexpr, SUM: tl.constexpr,
):  # fmt: skip
    num_frames, frame = tl.num_programs(0), tl.program_id(0).to(tl.int64)
    group, strip = tl.program_id(1), tl.program_id(2)
    c = group * TILE_C + tl.arange(0, TILE_C)
    p = strip * TILE_P + tl.arange(0, TILE_P)
    inside = (c < C)[:, None] & (p < P)[None, :]
    place = (frame // T) * stride_b + (frame % T) * stride_t + c[:, None] * stride_c + p[None, :] * stride_p
    row = tl.load(rows + frame * C + c, c < C, other=0.0).to(SUM)
    at = tl.load(maps + frame * P + p, p < P, other=0.0).to(SUM)
    g = tl.load(grad_y + place, inside, other=0.0).to(SUM)
    if RELU:
        g = tl.where(tl.load(y + place, inside, other=0.0) > 0.0, g, 0.0)
        tl.store(grad_sum + place, g, inside)
    product = g * tl.load(x + place, inside, other=0.0).to(SUM)
    tl.store(grad_rows + (strip * num_frames + frame) * C + c, tl.sum(product * at[None, :], axis=1), c < C)
    tl.store(grad_maps + (group * num_frames + frame) * P + p, tl.sum(product * row[:, None], axis=0), p < P)
    tl.store(grad + place, g * row[:, None] * at[None, :], inside)


def shift(planes: Tensor, y: Tensor, first: int, second: int, step: int) -> None:
    """Write y, laid out as the planes `(B, T, C, P)`."""
    b, t, c, p = planes.shape
    tile_c, tile_p = tile(planes)
    launch(
        _shift, (b * t, divide(c, tile_c), divide(p, tile_p)),
        planes, y, t, c, p, *strides(planes), first, second, step, tile_c, tile_p,
    )  # fmt: skip


@kernel
def _shift(
    x, y, T, C, P, stride_b, stride_t, stride_c, stride_p, first, second, step,
    TILE_C: tl.constexpr, TILE_P: tl.constexpr,
):  # fmt: skip
    frame = tl.program_id(0).to(tl.int64)
    c = (tl.program_id(1) * TILE_C + tl.arange(0, TILE_C))[:, None]
    p = (tl.program_id(2) * TILE_P + tl.arange(0, TILE_P))[None, :]
    t = frame % T
    source = t + tl.where(c < first, step, tl.where(c < first + second, -step, 0))  # (TILE_C, 1)
    place = (frame // T) * stride_b + c * stride_c + p * stride_p
    inside = (c < C) & (p < P)
    value = tl.load(x + place + source * stride_t, inside & (source >= 0) & (source < T), other=0.0)
    tl.store(y + place + t * stride_t, value, inside)
