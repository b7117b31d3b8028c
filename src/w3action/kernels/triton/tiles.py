"""What the Triton kernels share: tiles, strides, the type they add up in. Imported only where Triton runs."""

import inspect
import math
from collections.abc import Callable
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from w3action.kernels.planes import sums_in

TILE = 4096  # numbers a program holds at once: 32 for each of its 128 threads
ENOUGH_PROGRAMS = 256  # about two for each multiprocessor of the GPUs that networks train on
INF = tl.constexpr(float("inf"))


def kernel(function: Callable) -> Any:
    """Make a Triton kernel of a function; of the function itself, where a checker of types has wrapped it."""
    return triton.jit(inspect.unwrap(function))


def divide(number: int, by: int) -> int:
    """Return number / by, rounded up."""
    return -(-number // by)


def padded(size: int) -> int:
    """Return the next power of two, at least 16: a side of the matrices that Triton multiplies."""
    return max(16, triton.next_power_of_2(size))


def tile(planes: Tensor) -> tuple[int, int]:
    """Return (channels, places) of a tile, both powers of two: long in the direction in which memory runs."""
    c, p = (triton.next_power_of_2(size) for size in planes.shape[2:])
    if planes.stride(3) == 1:
        places = min(p, 512)
        return min(c, TILE // places), places
    channels = min(c, 64)
    return channels, min(p, TILE // channels)


def strides(planes: Tensor) -> tuple[int, int, int, int]:
    """Return those of (B, T, C, P); Triton makes a kernel of its own for each that is 1."""
    b, t, c, p = planes.stride()
    return b, t, c, p


def num_parts(programs: int, *, most: int) -> int:
    """Return into how many parts a reduction is cut so that there are enough programs."""
    return min(most, divide(ENOUGH_PROGRAMS, max(1, programs)))


def sums_as(planes: Tensor) -> tuple[tl.dtype, torch.dtype]:
    """Return the type in which a kernel adds up, as Triton and as PyTorch name it."""
    dtype = sums_in(planes.dtype)
    return (tl.float64 if dtype == torch.float64 else tl.float32), dtype


def launch(compute: Any, grid: tuple[int, ...], first: Tensor, *arguments: object, **options: int) -> None:
    """Launch on the GPU of the first argument, which need not be the current one; `options` are Triton's own."""
    if math.prod(grid):  # an empty batch has nothing to compute
        with torch.cuda.device_of(first):
            compute[grid](first, *arguments, **options)
