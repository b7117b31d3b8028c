"""Average and maximum of features, over places and over channels: what W3's two gates look at, each in one pass.

    over places, equation 3      average[b, c, t]    = mean over (h, w) of x[b, c, t, h, w]               maximum: max
    over channels, equation 5    average[b, t, h, w] = mean over c of mask[b, c, t] x[b, c, t, h, w]      maximum: max

F^c = mask * x itself is never written. Its products and sums are in float32 at least, also where x is half as wide, so
that channels that differ stay different: the plain form rounds F^c first and so has false ties. Numbers that share a
maximum share its gradient evenly; NaN wins.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from w3action.kernels.dispatch import Form, Forms, derivative, differentiable, form_of
from w3action.kernels.native import passes
from w3action.kernels.planes import as_planes, empty_features, sums_in


def pool_planes(x: Float[Tensor, "b c t h w"]) -> tuple[Float[Tensor, "b c t"], Float[Tensor, "b c t"]]:
    """Return average and maximum of every plane, over its places, in x's type."""
    if form_of(x) == "plain":
        return pool_planes_plain(x)
    average, maximum = _pool(x, None, False)
    return average.transpose(1, 2), maximum.transpose(1, 2)


def pool_planes_plain(x: Float[Tensor, "b c t h w"]) -> tuple[Float[Tensor, "b c t"], Float[Tensor, "b c t"]]:
    """Compute it by PyTorch's own operators: the definition."""
    planes = x.transpose(1, 2).flatten(3)  # with its channels last PyTorch pools this ten times as fast as (3, 4) of x
    return planes.mean(dim=3).transpose(1, 2), planes.amax(dim=3).transpose(1, 2)


def gated_channel_pool(
    x: Float[Tensor, "b c t h w"], mask: Float[Tensor, "b c t"] | None
) -> tuple[Float[Tensor, "b t h w"], Float[Tensor, "b t h w"]]:
    """Return average and maximum over the channels of mask * x, or of x where there is no mask, in float32 at least.

    Raises:
        ValueError: the mask has not the shape (B, C, T).
    """
    if mask is not None and mask.shape != x.shape[:3]:
        raise ValueError(f"mask is {tuple(mask.shape)}; for features {tuple(x.shape)} it must be {tuple(x.shape[:3])}")
    if form_of(x) == "plain":
        return gated_channel_pool_plain(x, mask)
    average, maximum = _pool(x, None if mask is None else mask.transpose(1, 2), True)
    return average.unflatten(2, x.shape[3:]), maximum.unflatten(2, x.shape[3:])


def gated_channel_pool_plain(
    x: Float[Tensor, "b c t h w"], mask: Float[Tensor, "b c t"] | None
) -> tuple[Float[Tensor, "b t h w"], Float[Tensor, "b t h w"]]:
    """Compute it by PyTorch's own operators: the definition."""
    gated = x if mask is None else x * mask.to(x.dtype)[:, :, :, None, None]
    return gated.mean(dim=1, dtype=sums_in(x.dtype)), gated.amax(dim=1).to(sums_in(x.dtype))


# The forms inside the operator. They see planes `(B, T, C, P)` and weights `(B, T, C)` of the channels, or none; their
# results are `(B, T, P)` over channels, `(B, T, C)` over places.


def _pool_plain(
    planes: Tensor, weights: Tensor | None, *, over_channels: bool, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    values, along = planes.to(sums_in(planes.dtype)), 2 if over_channels else 3
    values = values if weights is None else values * weights[..., None]
    return values.mean(along).to(dtype).contiguous(), values.amax(along).to(dtype).contiguous()


def _pool_triton(*given: Any, **options: Any) -> tuple[Tensor, Tensor]:
    from w3action.kernels.triton import pooling

    return pooling.forward(*given, **options)


def _gradient_plain(
    planes: Tensor,
    weights: Tensor | None,
    maximum: Tensor,
    grad_average: Tensor,
    grad_maximum: Tensor,
    grad: Tensor,
    *,
    over_channels: bool,
) -> Tensor | None:
    """Write the gradient of the planes to `grad`, and return that of the weights."""
    along, values = 2 if over_channels else 3, planes.to(sums_in(planes.dtype))
    factor = 1 if weights is None else weights[..., None]
    largest = values * factor == maximum.unsqueeze(along)
    share = (grad_maximum / largest.sum(along)).unsqueeze(along)
    grad_pooled = (grad_average / planes.shape[along]).unsqueeze(along) + largest * share
    grad.copy_(grad_pooled * factor)
    return None if weights is None else (grad_pooled * values).sum(3)


def _gradient_triton(*tensors: Any, over_channels: bool) -> Tensor | None:
    from w3action.kernels.triton import pooling

    return pooling.backward(*tensors, over_channels=over_channels)


POOL: Forms = {"plain": _pool_plain, "native": passes.pool, "triton": _pool_triton}
GRADIENT: Forms = {"plain": _gradient_plain, "native": passes.pool_backward, "triton": _gradient_triton}


def _compute(form: Form, x: Tensor, weights: Tensor | None, over_channels: bool) -> tuple[Tensor, Tensor]:
    dtype = sums_in(x.dtype) if over_channels else x.dtype
    return POOL[form](as_planes(x), weights, over_channels=over_channels, dtype=dtype)


def _shapes(x: Tensor, weights: Tensor | None, over_channels: bool) -> tuple[Tensor, Tensor]:
    b, c, t, h, w = x.shape
    shape, dtype = ((b, t, h * w), sums_in(x.dtype)) if over_channels else ((b, t, c), x.dtype)
    return x.new_empty(shape, dtype=dtype), x.new_empty(shape, dtype=dtype)


def _compute_gradient(
    form: Form,
    x: Tensor,
    weights: Tensor | None,
    maximum: Tensor,
    grad_average: Tensor,
    grad_maximum: Tensor,
    over_channels: bool,
) -> tuple[Tensor, Tensor]:
    """Return the gradients of x and of the weights; the second is empty without weights."""
    planes = as_planes(x)
    grad = empty_features(planes, x)
    grad_weights = GRADIENT[form](
        planes, weights, maximum, grad_average, grad_maximum, as_planes(grad), over_channels=over_channels
    )
    return grad, x.new_empty(0) if grad_weights is None else grad_weights


def _gradient_shapes(x: Tensor, weights: Tensor | None, *_: Any) -> tuple[Tensor, Tensor]:
    grad_weights = x.new_empty(0) if weights is None else weights.new_empty(weights.shape, dtype=sums_in(x.dtype))
    return empty_features(as_planes(x), x), grad_weights


def _save(ctx, inputs: tuple[Tensor, Tensor | None, bool], output: tuple[Tensor, Tensor]) -> None:
    x, weights, ctx.over_channels = inputs
    ctx.save_for_backward(x, weights, output[1])


def _differentiate(ctx, grad_average: Tensor, grad_maximum: Tensor) -> tuple[Tensor, Tensor | None, None]:
    x, weights, maximum = ctx.saved_tensors
    grad, grad_weights = _pool_backward(x, weights, maximum, grad_average, grad_maximum, ctx.over_channels)
    return grad, None if weights is None else grad_weights.to(weights.dtype), None


_pool_backward = derivative(
    "pool_backward(Tensor x, Tensor? weights, Tensor maximum, Tensor grad_average, Tensor grad_maximum,"
    " bool over_channels) -> (Tensor grad, Tensor grad_weights)",
    _compute_gradient,
    shapes=_gradient_shapes,
)
_pool = differentiable(
    "pool(Tensor x, Tensor? weights, bool over_channels) -> (Tensor average, Tensor maximum)",
    _compute,
    shapes=_shapes,
    save=_save,
    gradient=_differentiate,
)
