"""The native passes over features and pixels on a CPU: calls of `passes.c` and `pixels.c`, every argument checked.

Features are planes `(B, T, C, P)` and all else is float32: rows `(B, T, C)` belong to channels, maps `(B, T, P)` to
places. Which of the two runs along memory decides which loop a pass takes: it is "inner", the other is "outer".
"""

import ctypes
import functools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from w3action.kernels.native.library import THREADS, Source, library


class _Shape(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in ("clips", "frames", "outer", "inner")]


class _Features(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), *((name, ctypes.c_int64) for name in ("clip", "frame", "line"))]


@dataclass(frozen=True)
class _Numbers:
    """An argument type of `ctypes`: the address of a tensor, or of none where that is allowed."""

    dtype: torch.dtype = torch.float32
    of: str = ""  # what each frame has one number of: "outer", "inner", or "chunks" of lines with all that is inner
    optional: bool = False
    contiguous: bool = True

    def from_param(self, tensor: Tensor | None) -> ctypes.c_void_p:
        """Return the address; a TypeError becomes `ctypes.ArgumentError`."""
        if tensor is None and self.optional:
            return ctypes.c_void_p(None)
        if not isinstance(tensor, Tensor) or tensor.dtype != self.dtype or tensor.device.type != "cpu":
            raise TypeError(f"expected a tensor of {self.dtype} on a CPU, got {type(tensor).__name__}")
        if self.contiguous and not tensor.is_contiguous():
            raise TypeError(f"expected a contiguous tensor, got strides {tensor.stride()}")
        return ctypes.c_void_p(tensor.data_ptr())


OUTER, INNER, CHUNKS = _Numbers(of="outer"), _Numbers(of="inner"), _Numbers(of="chunks")
OUTER_OR_NONE, CHUNKS_OR_NONE = _Numbers(of="outer", optional=True), _Numbers(of="chunks", optional=True)


def _pass(*types: Any) -> tuple[Any, ...]:
    """Return the argument types of a function of `passes.c`: all begin with a shape, and end with how many threads."""
    return (_Shape, *types, ctypes.c_int)


PASSES = {
    "reduce_inner": _pass(_Features, INNER, OUTER, OUTER),
    "reduce_outer": _pass(_Features, OUTER, CHUNKS, CHUNKS),
    "reduce_inner_backward": _pass(_Features, INNER, OUTER, OUTER, OUTER, _Features, CHUNKS_OR_NONE),
    "count_outer": _pass(_Features, OUTER, INNER, CHUNKS),
    "reduce_outer_backward": _pass(_Features, OUTER, INNER, INNER, INNER, _Features, OUTER_OR_NONE),
    "scale": _pass(_Features, OUTER, INNER, _Features, ctypes.c_int, _Features),
    "scale_backward": _pass(_Features, _Features, OUTER, INNER, _Features, _Features, OUTER, CHUNKS, _Features),
}
BYTES, FLOATS = _Numbers(torch.uint8, contiguous=False), _Numbers()
PIXELS = {"normalize": (BYTES, *(ctypes.c_int64,) * 5, FLOATS, FLOATS, FLOATS)}

SOURCES = {  # by the type of the features, or pixels
    torch.float32: Source("passes-float32", "passes.c", PASSES, (THREADS,)),
    torch.bfloat16: Source("passes-bfloat16", "passes.c", PASSES, (THREADS, "-DBFLOAT16")),
    torch.uint8: Source("pixels", "pixels.c", PIXELS, ("-ffp-contract=off",)),
}


def available(dtype: torch.dtype) -> bool:
    """Whether there are native passes over numbers of a type; may take seconds at the first call."""
    return dtype in SOURCES and library(SOURCES[dtype]) is not None


def _functions(dtype: torch.dtype) -> ctypes.CDLL:
    found = library(SOURCES[dtype])
    assert found is not None
    return found


@functools.cache
def _chunk_lines(functions: ctypes.CDLL) -> int:
    return ctypes.c_int64.in_dll(functions, "chunk_lines").value


@dataclass(frozen=True, slots=True)
class _Layout:
    """How planes lie in memory, and what can be computed on planes that lie alike."""

    planes: Tensor
    shape: _Shape
    channels_inner: bool
    num_chunks: int  # of the lines of a frame
    counts: dict[str, int]  # of the numbers that an argument of each kind holds
    functions: ctypes.CDLL

    @classmethod
    def of(cls, planes: Tensor) -> "_Layout":
        b, t, c, p = planes.shape
        channels_inner = planes.stride(2) == 1 and c > 1 and (planes.stride(3) != 1 or p == 1)
        outer, inner = (p, c) if channels_inner else (c, p)
        functions = _functions(planes.dtype)
        num_chunks = -(-outer // _chunk_lines(functions))
        counts = {"outer": b * t * outer, "inner": b * t * inner, "chunks": b * t * num_chunks * inner}
        return cls(planes, _Shape(b, t, outer, inner), channels_inner, num_chunks, counts, functions)

    def features(self, planes: Tensor | None) -> _Features:
        """Return where planes lie; they must be of the first ones' shape and type, and lie along the same lines."""
        if planes is None:
            return _Features(None, 0, 0, 0)
        clip, frame, channel, place = planes.stride()
        along, line = (channel, place) if self.channels_inner else (place, channel)
        same = planes is self.planes or (planes.shape == self.planes.shape and planes.dtype == self.planes.dtype)
        if not same or (along != 1 and self.shape.inner != 1):
            raise ValueError(f"planes are {tuple(planes.shape)}, {planes.dtype}; they must be as the first ones")
        return _Features(planes.data_ptr(), clip, frame, line)

    def run(self, function: Any, *arguments: Any) -> None:
        """Call a function of `passes.c`; the tensors must hold as many numbers as it reads or writes.

        Raises:
            ValueError: a tensor of another size.
            ctypes.ArgumentError: an argument of another type.
        """
        for kind, argument in zip(function.argtypes[1:-1], arguments, strict=True):
            if type(kind) is _Numbers and isinstance(argument, Tensor) and argument.numel() != self.counts[kind.of]:
                raise ValueError(f"{argument.numel()} numbers are given; {kind.of} takes {self.counts[kind.of]}")
        function(self.shape, *arguments, torch.get_num_threads())

    def chunks(self) -> Tensor:
        """Return memory for a number beside every one of a line, from each chunk of lines."""
        b, t = self.planes.shape[:2]
        return self.planes.new_empty((b, t, self.num_chunks, self.shape.inner), dtype=torch.float32)


def _floats(tensor: Tensor) -> Tensor:
    return tensor.to(torch.float32).contiguous()


def _weights(given: Tensor | None, planes: Tensor, *, over_channels: bool) -> Tensor:
    if given is not None:
        return _floats(given)
    b, t, c, p = planes.shape
    return planes.new_ones((b, t, c if over_channels else p), dtype=torch.float32)


def pool(planes: Tensor, weights: Tensor | None, *, over_channels: bool, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return averages and maxima of weighted planes in a type, over channels `(B, T, P)` or over places `(B, T, C)`.

    `weights` belong to what is pooled: rows or maps; without them each is one.
    """
    layout, weights = _Layout.of(planes), _weights(weights, planes, over_channels=over_channels)
    x = layout.features(planes)
    if over_channels == layout.channels_inner:
        shape = (*planes.shape[:2], layout.shape.outer)
        sums, maxima = (planes.new_empty(shape, dtype=torch.float32) for _ in range(2))
        layout.run(layout.functions.reduce_inner, x, weights, sums, maxima)
    else:
        sums, maxima = layout.chunks(), layout.chunks()
        layout.run(layout.functions.reduce_outer, x, weights, sums, maxima)
        sums, maxima = sums.sum(2), maxima.amax(2)
    return sums.div_(planes.shape[2 if over_channels else 3]).to(dtype), maxima.to(dtype)


def pool_backward(
    planes: Tensor,
    weights: Tensor | None,
    maxima: Tensor,
    grad_averages: Tensor,
    grad_maxima: Tensor,
    grad: Tensor,
    *,
    over_channels: bool,
) -> Tensor | None:
    """Write the gradient of planes to `grad`, and return that of the weights, if there are any."""
    layout, factors = _Layout.of(planes), _weights(weights, planes, over_channels=over_channels)
    passes, x, out = layout.functions, layout.features(planes), layout.features(grad)
    maxima, grad_maxima = _floats(maxima), _floats(grad_maxima)
    grad_sums = _floats(grad_averages / planes.shape[2 if over_channels else 3])
    if over_channels == layout.channels_inner:
        chunks = None if weights is None else layout.chunks()
        layout.run(passes.reduce_inner_backward, x, factors, maxima, grad_sums, grad_maxima, out, chunks)
        return None if chunks is None else chunks.sum(2)
    chunks = layout.chunks()
    layout.run(passes.count_outer, x, factors, maxima, chunks)
    counts = chunks.sum(2)  # zero where the maximum is NaN: then every gradient is
    bases, shares = torch.where(counts > 0, grad_sums, torch.nan), grad_maxima / counts
    grad_weights = None if weights is None else torch.empty_like(factors)
    layout.run(passes.reduce_outer_backward, x, factors, maxima, bases, shares, out, grad_weights)
    return grad_weights


def scale(planes: Tensor, rows: Tensor, maps: Tensor, added: Tensor | None, y: Tensor, *, relu: bool) -> None:
    """Write rows * maps * planes + added to `y`, rectified if asked."""
    layout = _Layout.of(planes)
    x, shortcut, out = (layout.features(features) for features in (planes, added, y))
    outer, inner = _in_order(layout, rows, maps)
    layout.run(layout.functions.scale, x, outer, inner, shortcut, int(relu), out)


def scale_backward(
    grad_y: Tensor, planes: Tensor, rows: Tensor, maps: Tensor, grad: Tensor, y: Tensor | None, grad_sum: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Write the gradient of planes to `grad`, that of what a ReLU took to `grad_sum`; return those of rows and maps."""
    layout = _Layout.of(planes)
    arriving, x, given, out, passed = (layout.features(features) for features in (grad_y, planes, y, grad, grad_sum))
    outer, inner = _in_order(layout, rows, maps)
    grad_outer, chunks = torch.empty_like(outer), layout.chunks()
    passes = layout.functions
    layout.run(passes.scale_backward, arriving, x, outer, inner, given, out, grad_outer, chunks, passed)
    grad_inner = chunks.sum(2)
    return (grad_inner, grad_outer) if layout.channels_inner else (grad_outer, grad_inner)


def _in_order(layout: _Layout, rows: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
    """Return (outer, inner) in float32."""
    rows, maps = _floats(rows), _floats(maps)
    return (maps, rows) if layout.channels_inner else (rows, maps)


def normalize(pixels: Tensor, factor: Tensor, term: Tensor, floats: Tensor) -> None:
    """Write pixels * factor - term to `floats` (3, T, H, W).

    Args:
        pixels: uint8 (3, T, H, W), the colours of a pixel side by side, the pixels of a row as well.
        factor: float32 (3,).
        term: float32 (3,).
        floats: float32, contiguous.

    Raises:
        ValueError: sizes or the order of pixels are others.
        ctypes.ArgumentError: a type is another.
    """
    if (pixels.stride(0), pixels.stride(3)) != (1, 3) or len(pixels) != 3:
        raise ValueError(f"pixels {tuple(pixels.shape)} have strides {pixels.stride()}; colours must lie side by side")
    if floats.shape != pixels.shape or not factor.numel() == term.numel() == 3:
        raise ValueError(f"pixels are {tuple(pixels.shape)}, floats {tuple(floats.shape)}; both must be (3, T, H, W)")
    sizes = (*pixels.shape[1:], *pixels.stride()[1:3])
    _functions(torch.uint8).normalize(pixels, *sizes, factor, term, floats)
