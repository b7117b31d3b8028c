"""Functions of ours as operators of PyTorch: what compilers see is their shapes and their gradients.

`torch.library.custom_op` would do the same in fewer lines, but its first call imports the compiler: seconds that
every prediction on a laptop would wait.
"""

from collections.abc import Callable

import torch
from torch._ops import OpOverload

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


def derivative(schema: str, compute: Callable, *, shapes: Callable) -> OpOverload:
    """Define an operator that computes gradients, and has none itself: asked for one, it raises RuntimeError."""
    defined = operator(schema, compute, shapes=shapes)
    torch.library.register_autograd(defined.name(), _refuse, setup_context=_keep_nothing, lib=_LIBRARY)
    return defined


def _keep_nothing(ctx, inputs, output) -> None:
    """Save no tensor."""


def _refuse(ctx, *gradients) -> None:
    raise RuntimeError(
        "W3's kernels have no derivatives of derivatives; compute within `w3action.kernels.using('plain')`, which has"
    )


def differentiable(
    schema: str, compute: Callable, *, shapes: Callable, save: Callable, gradient: Callable
) -> OpOverload:
    """Define an operator with a gradient: `save(ctx, inputs, output)` keeps what `gradient(ctx, *grads)` needs."""
    defined = operator(schema, compute, shapes=shapes)
    torch.library.register_autograd(defined.name(), gradient, setup_context=save, lib=_LIBRARY)
    return defined
