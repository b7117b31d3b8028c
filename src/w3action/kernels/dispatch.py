"""Which form of a kernel a call takes, decided at the call.

| kernels | on a GPU | on a CPU | in an exported program |
|---|---|---|---|
| `auto` | Triton if it is installed, else plain | compiled; where that cannot be, in the cache, or plain under 2 MB | \
plain: PyTorch's own operators |
| `plain` | plain | plain | plain |
| `fused` | as `auto` | in the cache | ours: it runs where w3action is installed |
| `native` | as `auto` | compiled; in the cache for types without | ours |
| `triton` | Triton | Triton's interpreter, for tests | ours |

The environment variable `W3_KERNELS` sets it for a process, `using` for a block of code.
"""

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.autograd import forward_ad

from w3action.kernels import native

SMALL_BYTES = 1 << 21  # features that stay in a CPU's cache by themselves: fewer and larger steps are faster

HAS_TRITON = importlib.util.find_spec("triton") is not None  # it is imported only where it runs

Kernels = Literal["auto", "plain", "fused", "native", "triton"]


def _check(kernels: str, where: str) -> str:
    if kernels not in get_args(Kernels):
        raise ValueError(f"{where} is {kernels!r}; choose one of {', '.join(get_args(Kernels))}")
    return kernels


# PyTorch has no public name for either; a version without them takes our operators, which then refuse by themselves.
_innermost_transform = getattr(torch._C._functorch, "peek_interpreter_stack", lambda: None)

# A global, not a context variable: autograd computes gradients in threads of its own.
_chosen = _check(os.environ.get("W3_KERNELS", "auto"), "W3_KERNELS")


@contextmanager
def using(kernels: Kernels) -> Iterator[None]:
    """Take one form of every kernel inside the block, in all threads.

    Raises:
        ValueError: an unknown form.
    """
    global _chosen
    before, _chosen = _chosen, _check(kernels, "kernels")
    try:
        yield
    finally:
        _chosen = before


def takes_plain(x: Tensor, *, can_be_native: bool = True) -> bool:
    """Whether a call computes by the plain form, made of PyTorch's own operators.

    Args:
        x: the features.
        can_be_native: whether the kernel is among the compiled ones.
    """
    if _chosen == "plain" or torch.jit.is_tracing() or torch.jit.is_scripting() or _is_transformed():
        return True
    if _chosen == "triton":
        return False
    if torch.compiler.is_exporting() and _chosen == "auto":
        return True
    if x.is_cuda:
        return not HAS_TRITON
    if x.device.type != "cpu":
        return True
    if _chosen != "auto" or x.numel() * x.element_size() >= SMALL_BYTES:
        return False
    if torch.compiler.is_compiling():  # a compiler fuses the small by itself; in bfloat16 what it makes crashes (2.15)
        return x.dtype != torch.bfloat16
    return not (can_be_native and takes_native(x))


def _is_transformed() -> bool:
    """Whether derivatives are taken in a way that operators of ours do not know: forwards, or by `torch.func`."""
    if torch.compiler.is_compiling():
        return False
    return getattr(forward_ad, "_current_level", -1) >= 0 or _innermost_transform() is not None


def takes_native(x: Tensor) -> bool:
    """Whether an operator of ours computes by compiled functions."""
    return allows_native() and x.device.type == "cpu" and native.available(x.dtype)


def allows_native() -> bool:
    """Whether compiled functions may compute."""
    return _chosen in ("auto", "native")


def is_followed(x: Tensor) -> bool:
    """Whether a call is recorded, compiled or transformed: then only what PyTorch's operators do to x is seen."""
    if torch.jit.is_tracing() or torch.jit.is_scripting() or torch.compiler.is_compiling():
        return True
    return type(x) is not Tensor or _is_transformed()


def takes_frames_as_channels(x: Tensor, *, min_places: int, max_frames: int) -> bool:
    """Whether frames of maps `(B, T, H, W)` become the channels of a 2D convolution: on a CPU, where it pays.

    One frame alone always does: PyTorch's 3D convolution of it in bfloat16 gives numbers that were in memory before.
    """
    if x.device.type != "cpu" or _chosen == "plain" or torch.jit.is_tracing() or torch.jit.is_scripting():
        return False
    if _chosen != "auto":
        return True
    if torch.compiler.is_exporting():
        return False
    return x.shape[1] == 1 or (x.shape[1] <= max_frames and x.shape[2] * x.shape[3] >= min_places)


def takes_one_launch(x: Tensor, *weights: Tensor | None) -> bool:
    """Whether a small network on small tensors runs as one kernel: on a GPU, where launching is what it costs.

    Not where gradients are wanted: the backward pass would compute all of the plain form again.
    """
    if not (x.is_cuda or _chosen == "triton") or x.dtype == torch.float64 or takes_plain(x):
        return False
    return not torch.is_grad_enabled() or not any(y is not None and y.requires_grad for y in (x, *weights))


def takes_triton(x: Tensor) -> bool:
    """Whether an operator of ours computes by its Triton kernel."""
    return x.is_cuda or _chosen == "triton"
