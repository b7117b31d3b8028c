"""Which form of a function a call takes, and custom PyTorch operators that keep a table of forms.

| `W3_KERNELS` | on a GPU | on a CPU | in an exported program |
|---|---|---|---|
| `auto` | triton if it is installed, else plain | native for float32 and bfloat16, else plain | plain |
| `plain` | plain | plain | plain |
| `native` | as `auto` | as `auto` | a custom operator: it runs where w3action is installed |
| `triton` | triton | triton, by its interpreter: for tests | a custom operator |

Plain is PyTorch's own operators, native is C (`native/`), triton is Triton (`triton/`). The environment variable
`W3_KERNELS` chooses for a process, `using` for a block of code.

`form_of` is asked on both sides of a custom operator: before it, because the plain form needs none, and inside, because
compiled and exported programs enter there, perhaps on another machine than the one that made them.
"""

import importlib.util
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.autograd import forward_ad

from w3action.kernels.native import passes

Form = Literal["plain", "native", "triton"]
Kernels = Literal["auto", "plain", "native", "triton"]
Forms = Mapping[Form, Callable[..., Any]]

SMALL_BYTES = 1 << 21  # features that stay in a CPU's cache: few steps are what counts, and a compiler joins them

HAS_TRITON = importlib.util.find_spec("triton") is not None  # it is imported only where it runs


def _check(kernels: str, where: str) -> str:
    if kernels not in get_args(Kernels):
        raise ValueError(f"{where} is {kernels!r}; choose one of {', '.join(get_args(Kernels))}")
    return kernels


# A global, not a context variable: autograd computes gradients in threads of its own.
_chosen = _check(os.environ.get("W3_KERNELS", "auto"), "W3_KERNELS")


@contextmanager
def using(kernels: Kernels) -> Iterator[None]:
    """Take one form of every function inside the block, in all threads.

    Raises:
        ValueError: an unknown form.
    """
    global _chosen
    before, _chosen = _chosen, _check(kernels, "kernels")
    try:
        yield
    finally:
        _chosen = before


def form_of(x: Tensor, *, min_bytes: int = 0) -> Form:
    """Return the form in which a function of the features x is computed; the first native call may compile it.

    Under `auto`, features of less than `min_bytes` take the plain form on a CPU.
    """
    if _chosen == "plain" or torch.jit.is_tracing() or torch.jit.is_scripting() or _is_transformed():
        return "plain"
    if _chosen == "triton":
        return "triton"
    if _chosen == "auto" and torch.compiler.is_exporting():
        return "plain"
    if x.is_cuda:
        return "triton" if HAS_TRITON else "plain"
    if x.device.type != "cpu" or x.dtype not in passes.SOURCES:
        return "plain"
    compiling = torch.compiler.is_compiling()
    if compiling:  # what a compiler makes of the plain form in bfloat16 crashes (torch 2.15)
        min_bytes = 0 if x.dtype == torch.bfloat16 else SMALL_BYTES
    if _chosen == "auto" and min_bytes and x.numel() * x.element_size() < min_bytes:
        return "plain"
    # While it compiles no library can be loaded: the operator asks again when it runs.
    return "native" if compiling or passes.available(x.dtype) else "plain"


def is_one_launch(x: Tensor, *weights: Tensor | None) -> bool:
    """Whether a small network on small tensors runs as one Triton kernel: launching is what it costs.

    Not where gradients are wanted: the backward pass would compute all of the plain form again.
    """
    if form_of(x) != "triton" or x.dtype == torch.float64:
        return False
    return not torch.is_grad_enabled() or not any(y is not None and y.requires_grad for y in (x, *weights))


def convolves_frames_as_channels(x: Tensor, *, max_frames: int, min_places: int) -> bool:
    """Whether the frames of maps `(B, T, H, W)` become the channels of a 2D convolution: on a CPU, where it pays.

    One frame alone always does: PyTorch's 3D convolution of it in bfloat16 gives numbers that were in memory before.
    """
    if x.device.type != "cpu" or _chosen == "plain" or torch.jit.is_tracing() or torch.jit.is_scripting():
        return False
    if _chosen != "auto" or torch.compiler.is_exporting():  # exported programs take any T, so none is looked at
        return _chosen != "auto"
    return x.shape[1] == 1 or (x.shape[1] <= max_frames and x.shape[2] * x.shape[3] >= min_places)


# PyTorch has no public name for either; a version without them takes our operators, which then refuse by themselves.
_innermost_transform = getattr(torch._C._functorch, "peek_interpreter_stack", lambda: None)


def _is_transformed() -> bool:
    """Whether derivatives are taken forwards or by `torch.func`, which custom operators do not know."""
    if torch.compiler.is_compiling():
        return False
    return getattr(forward_ad, "_current_level", -1) >= 0 or _innermost_transform() is not None


_LIBRARY = torch.library.Library("w3action", "DEF")


def operator(schema: str, compute: Callable[..., Any], *, shapes: Callable[..., Any]) -> OpOverload:
    """Define a custom operator: what compilers see of it is its shapes.

    `torch.library.custom_op` would do it in fewer lines, but its first call imports the compiler: seconds that every
    prediction on a laptop would wait.

    Args:
        schema: its name, arguments and results, as PyTorch writes them; the features x come first.
        compute: takes the form and those arguments, returns new tensors, and changes none.
        shapes: returns empty tensors of the results' shapes, strides and types.
    """
    name = schema.split("(", maxsplit=1)[0]

    def compute_in_its_form(x: Tensor, *rest: Any) -> Any:
        return compute(form_of(x), x, *rest)

    _LIBRARY.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    for device in ("CPU", "CUDA"):
        _LIBRARY.impl(name, compute_in_its_form, device)
    torch.library.register_fake(f"w3action::{name}", shapes, lib=_LIBRARY)
    return getattr(torch.ops.w3action, name).default


def differentiable(
    schema: str,
    compute: Callable[..., Any],
    *,
    shapes: Callable[..., Any],
    save: Callable[..., None],
    gradient: Callable[..., Any],
) -> OpOverload:
    """Define an operator with a gradient: `save(ctx, inputs, output)` keeps what `gradient(ctx, *grads)` needs."""
    defined = operator(schema, compute, shapes=shapes)
    torch.library.register_autograd(defined.name(), gradient, setup_context=save, lib=_LIBRARY)
    return defined


def derivative(schema: str, compute: Callable[..., Any], *, shapes: Callable[..., Any]) -> OpOverload:
    """Define an operator that computes gradients, and has none itself: asked for one, it raises RuntimeError."""
    return differentiable(schema, compute, shapes=shapes, save=_keep_nothing, gradient=_refuse)


def _keep_nothing(ctx, inputs, output) -> None:
    """Save no tensor."""


def _refuse(ctx, *gradients) -> None:
    raise RuntimeError(
        "W3's kernels have no derivatives of derivatives; compute within `w3action.kernels.using('plain')`, which has"
    )
