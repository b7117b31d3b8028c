"""W3's passes over features on a CPU, each one call of a compiled function (`native.c`).

All take planes `(B, T, C, P)` and weights in float32: rows `(B, T, C)` belong to channels, maps `(B, T, P)` to places.
Which of the two runs along memory decides which loop a pass takes.
"""

import ctypes
from dataclasses import dataclass

import torch
from torch import Tensor

from w3action.kernels.native_build import THREADS, Code, library

FUNCTIONS = (
    "reduce_inner",
    "reduce_outer",
    "reduce_inner_backward",
    "count_outer",
    "reduce_outer_backward",
    "scale",
    "scale_backward",
)
CODE = {
    torch.float32: Code("native.c", FUNCTIONS, (THREADS,)),
    torch.bfloat16: Code("native.c", FUNCTIONS, (THREADS, "-DBFLOAT16")),
}


class _Shape(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in ("clips", "frames", "outer", "inner")]


class _Features(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), *((name, ctypes.c_int64) for name in ("clip", "frame", "line"))]


def available(dtype: torch.dtype) -> bool:
    """Whether there are compiled functions for numbers of a type; may take seconds at the first call."""
    return dtype in CODE and library(CODE[dtype]) is not None


@dataclass(frozen=True)
class _Layout:
    """How planes lie in memory, and what can be computed on planes that lie alike."""

    shape: _Shape
    channels_inner: bool
    functions: ctypes.CDLL

    @classmethod
    def of(cls, planes: Tensor) -> "_Layout":
        b, t, c, p = planes.shape
        channels_inner = planes.stride(2) == 1 and c > 1 and (planes.stride(3) != 1 or p == 1)
        outer, inner = (p, c) if channels_inner else (c, p)
        functions = library(CODE[planes.dtype])
        assert functions is not None
        return cls(_Shape(b, t, outer, inner), channels_inner, functions)

    def features(self, planes: Tensor | None) -> _Features:
        if planes is None:
            return _Features(None, 0, 0, 0)
        line = planes.stride(3 if self.channels_inner else 2)
        return _Features(planes.data_ptr(), planes.stride(0), planes.stride(1), line)

    def run(self, name: str, *arguments: Tensor | _Features | int | None) -> None:
        getattr(self.functions, name)(self.shape, *map(_as_c, arguments), ctypes.c_int(torch.get_num_threads()))

    def chunks(self, like: Tensor) -> Tensor:
        """Return memory for a number beside every one of a line, from each chunk of lines."""
        lines = ctypes.c_int64.in_dll(self.functions, "chunk_lines").value
        shape = (*like.shape[:2], -(-self.shape.outer // lines), self.shape.inner)
        return like.new_empty(shape, dtype=torch.float32)


def _as_c(argument: Tensor | _Features | int | None) -> ctypes.c_void_p | _Features | ctypes.c_int:
    if isinstance(argument, Tensor):
        assert argument.is_contiguous()
        assert argument.dtype == torch.float32
        return ctypes.c_void_p(argument.data_ptr())
    if argument is None:
        return ctypes.c_void_p(None)
    return ctypes.c_int(argument) if isinstance(argument, int) else argument


def _ones(planes: Tensor, *, of_channels: bool) -> Tensor:
    b, t, c, p = planes.shape
    return planes.new_ones((b, t, c if of_channels else p), dtype=torch.float32)


def reduce(planes: Tensor, weights: Tensor | None, *, over_channels: bool) -> tuple[Tensor, Tensor]:
    """Return sums and maxima of weighted planes in float32, over channels `(B, T, P)` or over places `(B, T, C)`.

    `weights` belong to what is summed over: rows or maps; without them each is one.
    """
    layout = _Layout.of(planes)
    weights = _ones(planes, of_channels=over_channels) if weights is None else weights
    if over_channels == layout.channels_inner:
        shape = (*planes.shape[:2], layout.shape.outer)
        sums, maxima = (planes.new_empty(shape, dtype=torch.float32) for _ in range(2))
        layout.run("reduce_inner", layout.features(planes), weights, sums, maxima)
        return sums, maxima
    sums, maxima = (layout.chunks(planes) for _ in range(2))
    layout.run("reduce_outer", layout.features(planes), weights, sums, maxima)
    return sums.sum(2), maxima.amax(2)


def reduce_backward(
    planes: Tensor,
    weights: Tensor | None,
    maxima: Tensor,
    grad_sums: Tensor,
    grad_maxima: Tensor,
    grad: Tensor,
    *,
    over_channels: bool,
) -> Tensor:
    """Write the gradient of planes to `grad`, and return that of the weights, empty if there were none.

    All but the first and `grad` are in float32.
    """
    layout = _Layout.of(planes)
    given = _ones(planes, of_channels=over_channels) if weights is None else weights
    x, out = layout.features(planes), layout.features(grad)
    if over_channels == layout.channels_inner:
        chunks = None if weights is None else layout.chunks(planes)
        layout.run("reduce_inner_backward", x, given, maxima, grad_sums, grad_maxima, out, chunks)
        return planes.new_empty(0) if chunks is None else chunks.sum(2)
    chunks = layout.chunks(planes)
    layout.run("count_outer", x, given, maxima, chunks)
    counts = chunks.sum(2)  # none holds a maximum that is no number: then nothing has a gradient that is one
    bases = torch.where(counts > 0, grad_sums, torch.nan)
    grad_weights = None if weights is None else torch.empty_like(given)
    layout.run("reduce_outer_backward", x, given, maxima, bases, grad_maxima / counts, out, grad_weights)
    return planes.new_empty(0) if grad_weights is None else grad_weights


def scale(planes: Tensor, rows: Tensor, maps: Tensor, added: Tensor | None, y: Tensor, *, relu: bool) -> None:
    """Write rows * maps * planes + added to `y`, rectified if asked."""
    layout = _Layout.of(planes)
    outer, inner = (maps, rows) if layout.channels_inner else (rows, maps)
    layout.run("scale", layout.features(planes), outer, inner, layout.features(added), int(relu), layout.features(y))


def scale_backward(
    grad_y: Tensor, planes: Tensor, rows: Tensor, maps: Tensor, grad: Tensor, y: Tensor | None, grad_sum: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Write the gradient of planes to `grad`, that of what a ReLU took to `grad_sum`; return those of rows and maps."""
    layout = _Layout.of(planes)
    outer, inner = (maps, rows) if layout.channels_inner else (rows, maps)
    grad_outer = torch.empty_like(outer)
    chunks = layout.chunks(planes)
    layout.run(
        "scale_backward",
        *(layout.features(x) for x in (grad_y, planes)),
        outer,
        inner,
        *(layout.features(x) for x in (y, grad)),
        grad_outer,
        chunks,
        layout.features(grad_sum),
    )
    grad_inner = chunks.sum(2)
    return (grad_inner, grad_outer) if layout.channels_inner else (grad_outer, grad_inner)
