"""Functions of ours as operators of PyTorch: what compilers see is their shapes and their gradients.

`torch.library.custom_op` would do the same in fewer lines, but its first call imports the compiler: seconds that
every prediction on a laptop would wait.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch._ops import OpOverload

from w3action.kernels.layout import sums_in

_LIBRARY = torch.library.Library("w3action", "DEF")


def operator(schema: str, compute: Callable, *, shapes: Callable) -> OpOverload:
    """Define an operator.

    Args:
        schema: its name, arguments and results, as PyTorch writes them.
        compute: computes new tensors from its arguments, and changes none.
        shapes: returns empty tensors of the results' shapes, strides and types.
    """
    name = schema.split("(", maxsplit=1)[0]
    _LIBRARY.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    for device in ("CPU", "CUDA"):
        _LIBRARY.impl(name, compute, device)
    torch.library.register_fake(f"w3action::{name}", shapes, lib=_LIBRARY)
    return getattr(torch.ops.w3action, name).default


def differentiable(
    schema: str, compute: Callable, *, shapes: Callable, save: Callable, gradient: Callable
) -> OpOverload:
    """Define an operator with a gradient: `save(ctx, inputs, output)` keeps what `gradient(ctx, *grads)` needs."""
    defined = operator(schema, compute, shapes=shapes)
    torch.library.register_autograd(defined.name(), gradient, setup_context=save, lib=_LIBRARY)
    return defined


def recomputed(schema: str, compute: Callable, *, shapes: Callable, plain: Callable) -> OpOverload:
    """Define an operator on small tensors whose backward pass runs `plain`, the same in PyTorch's own operators, again.

    Its arguments are tensors, some of them None; it has one result. That pass is at least in float32.
    """

    def save(ctx, inputs: tuple[Tensor | None, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    def gradient(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        saved, dtype = ctx.saved_tensors, sums_in(grad.dtype)
        inputs = [None if x is None else x.detach().to(dtype).requires_grad_() for x in saved]
        with torch.enable_grad():
            result = plain(*inputs)
        given = [x for x in inputs if x is not None]
        found = iter(torch.autograd.grad(result, given, grad.to(dtype)))
        return tuple(None if x is None else next(found).to(x.dtype) for x in saved)

    return differentiable(schema, compute, shapes=shapes, save=save, gradient=gradient)
