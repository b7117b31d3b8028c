"""`frame_shift` on a GPU: a copy whose channels say which frame they come from."""

import triton.language as tl
from torch import Tensor

from w3action.kernels.tiles import divide, kernel, launch, strides, tile


def shift(planes: Tensor, y: Tensor, first: int, second: int, step: int) -> None:
    """Write y, laid out as the planes `(B, T, C, P)`."""
    b, t, c, p = planes.shape
    tile_c, tile_p = tile(planes)
    launch(
        _shift,
        (b * t, divide(c, tile_c), divide(p, tile_p)),
        planes,
        y,
        t,
        c,
        p,
        *strides(planes),
        first,
        second,
        step,
        tile_c,
        tile_p,
    )


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
