"""Apply both masks, add the shortcut, and rectify (W3, equation 2, and the end of its residual block), in one pass.

    y = ReLU(M^s * (M^c * x) + shortcut)        M^c (B, C, T), M^s (B, T, H, W)

Either mask, the shortcut and the ReLU can be left out. The backward pass keeps x, the masks and, behind a ReLU, y
(which the next layer keeps anyway): M^c * x is computed again.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from w3action.kernels.dispatch import Form, Forms, derivative, differentiable, form_of
from w3action.kernels.native import passes
from w3action.kernels.planes import as_planes, as_planes_like, empty_features, sums_in


def apply_masks(
    x: Float[Tensor, "b c t h w"],
    channel: Float[Tensor, "b c t"] | None,
    spatial: Float[Tensor, "b t h w"] | None,
    *,
    shortcut: Float[Tensor, "b c t h w"] | None = None,
    relu: bool = False,
) -> Float[Tensor, "b c t h w"]:
    """Return y in x's type.

    Raises:
        ValueError: a mask or the shortcut does not have the shape above.
    """
    b, c, t, h, w = x.shape
    allowed = {"channel": (b, c, t), "spatial": (b, t, h, w), "shortcut": (b, c, t, h, w)}
    for (name, shape), given in zip(allowed.items(), (channel, spatial, shortcut), strict=True):
        if given is not None and given.shape != shape:
            raise ValueError(f"{name} is {tuple(given.shape)}; for features {tuple(x.shape)} it must be {shape}")
    if form_of(x) == "plain":
        return apply_masks_plain(x, channel, spatial, shortcut=shortcut, relu=relu)
    return _apply(x, None if channel is None else channel.transpose(1, 2), spatial, shortcut, relu)


def apply_masks_plain(
    x: Float[Tensor, "b c t h w"],
    channel: Float[Tensor, "b c t"] | None,
    spatial: Float[Tensor, "b t h w"] | None,
    *,
    shortcut: Float[Tensor, "b c t h w"] | None = None,
    relu: bool = False,
) -> Float[Tensor, "b c t h w"]:
    """Compute it by PyTorch's own operators: the definition."""
    y = x
    if channel is not None:
        y = y * channel.to(x.dtype)[:, :, :, None, None]
    if spatial is not None:
        y = y * spatial.to(x.dtype)[:, None]
    if shortcut is not None:
        y = y + shortcut.to(x.dtype)
    return y.relu() if relu else y


# The forms inside the operator. They see planes `(B, T, C, P)` and both masks, rows `(B, T, C)` and maps `(B, T, P)`;
# what they write to lies in memory as the planes do.


def _apply_plain(planes: Tensor, rows: Tensor, maps: Tensor, added: Tensor | None, y: Tensor, *, relu: bool) -> None:
    product = planes.to(sums_in(planes.dtype)) * rows[..., None] * maps[:, :, None]
    product = product if added is None else product + added
    y.copy_(product.relu() if relu else product)


def _apply_triton(*tensors: Any, relu: bool) -> None:
    from w3action.kernels.triton import pointwise

    pointwise.apply_masks(*tensors, relu=relu)


def _gradient_plain(
    grad_y: Tensor, planes: Tensor, rows: Tensor, maps: Tensor, grad: Tensor, y: Tensor | None, grad_sum: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Write the gradients of the planes and of what a ReLU took; return those of rows and maps."""
    if y is not None and grad_sum is not None:
        grad_y = grad_sum.copy_(torch.where(y > 0, grad_y, 0))
    row, at = rows[..., None], maps[:, :, None]
    product = grad_y * planes.to(sums_in(planes.dtype))
    grad.copy_(grad_y * row * at)
    return (product * at).sum(3), (product * row).sum(2)


def _gradient_triton(*tensors: Any) -> tuple[Tensor, Tensor]:
    from w3action.kernels.triton import pointwise

    return pointwise.apply_masks_backward(*tensors)


APPLY: Forms = {"plain": _apply_plain, "native": passes.scale, "triton": _apply_triton}
GRADIENT: Forms = {"plain": _gradient_plain, "native": passes.scale_backward, "triton": _gradient_triton}


def _masks(channel: Tensor | None, spatial: Tensor | None, planes: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows and maps, contiguous; ones where there is no mask."""
    b, t, c, p = planes.shape
    ones = planes.new_ones
    rows = ones((b, t, c), dtype=sums_in(planes.dtype)) if channel is None else channel.contiguous()
    maps = ones((b, t, p), dtype=sums_in(planes.dtype)) if spatial is None else spatial.contiguous().view(b, t, p)
    return rows, maps


def _compute(
    form: Form, x: Tensor, channel: Tensor | None, spatial: Tensor | None, shortcut: Tensor | None, relu: bool
) -> Tensor:
    """Return y; the channel mask is `(B, T, C)`."""
    planes = as_planes(x)
    added = None if shortcut is None else as_planes_like(shortcut.to(x.dtype), planes)
    y = empty_features(planes, x)
    APPLY[form](planes, *_masks(channel, spatial, planes), added, as_planes(y), relu=relu)
    return y


def _shapes(x: Tensor, channel: Tensor | None, spatial: Tensor | None, shortcut: Tensor | None, relu: bool) -> Tensor:
    return empty_features(as_planes(x), x)


def _compute_gradient(
    form: Form, x: Tensor, channel: Tensor | None, spatial: Tensor | None, y: Tensor | None, grad_y: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients of x, of both masks, and of what the ReLU took, which is the shortcut's.

    Without a ReLU (y is None) the last one is empty: the shortcut's gradient is grad_y.
    """
    planes = as_planes(x)
    grad, grad_sum = empty_features(planes, x), x.new_empty(0) if y is None else empty_features(planes, x)
    behind = (None, None) if y is None else (as_planes_like(y, planes), as_planes(grad_sum))
    grad_rows, grad_maps = GRADIENT[form](
        as_planes_like(grad_y, planes), planes, *_masks(channel, spatial, planes), as_planes(grad), *behind
    )
    return grad, grad_rows, grad_maps.unflatten(2, x.shape[3:]), grad_sum


def _gradient_shapes(
    x: Tensor, channel: Tensor | None, spatial: Tensor | None, y: Tensor | None, grad_y: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    b, c, t, h, w = x.shape
    dtype, planes = sums_in(x.dtype), as_planes(x)
    return (
        empty_features(planes, x),
        x.new_empty((b, t, c), dtype=dtype),
        x.new_empty((b, t, h, w), dtype=dtype),
        x.new_empty(0) if y is None else empty_features(planes, x),
    )


def _save(ctx, inputs: tuple[Tensor, Tensor | None, Tensor | None, Tensor | None, bool], output: Tensor) -> None:
    x, channel, spatial, shortcut, relu = inputs
    ctx.save_for_backward(x, channel, spatial, output if relu else None)
    ctx.shortcut_dtype = None if shortcut is None else shortcut.dtype


def _differentiate(ctx, grad_y: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None, None]:
    x, channel, spatial, y = ctx.saved_tensors
    grad, grad_channel, grad_spatial, grad_sum = _apply_backward(x, channel, spatial, y, grad_y)
    return (
        grad,
        None if channel is None else grad_channel.to(channel.dtype),
        None if spatial is None else grad_spatial.to(spatial.dtype),
        None if ctx.shortcut_dtype is None else (grad_y if y is None else grad_sum).to(ctx.shortcut_dtype),
        None,
    )


_apply_backward = derivative(
    "apply_masks_backward(Tensor x, Tensor? channel, Tensor? spatial, Tensor? y, Tensor grad_y)"
    " -> (Tensor grad, Tensor grad_channel, Tensor grad_spatial, Tensor grad_sum)",
    _compute_gradient,
    shapes=_gradient_shapes,
)
_apply = differentiable(
    "apply_masks(Tensor x, Tensor? channel, Tensor? spatial, Tensor? shortcut, bool relu) -> Tensor",
    _compute,
    shapes=_shapes,
    save=_save,
    gradient=_differentiate,
)
