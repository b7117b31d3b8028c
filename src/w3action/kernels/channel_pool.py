"""Average and maximum over the channels of F^c = M^c * F: what the spatial gate looks at (W3, equation 5), in one pass.

    average[b, t, h, w] = mean over c of mask[b, c, t] x[b, c, t, h, w]        maximum[b, t, h, w] = max over c

F^c itself is never written. Products and sums are in float32 at least, also where x is half as wide, so that channels
that differ stay different: the plain form rounds F^c first, and then has ties that are none. Channels that share the
maximum share its gradient evenly.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from w3action.kernels import dispatch, native
from w3action.kernels.layout import as_planes, as_rows, empty_features, groups_of_places, pieces, sums_in
from w3action.kernels.operators import derivative, differentiable


def gated_channel_pool(
    x: Float[Tensor, "b c t h w"], mask: Float[Tensor, "b c t"] | None
) -> tuple[Float[Tensor, "b t h w"], Float[Tensor, "b t h w"]]:
    """Return average and maximum over the channels of mask * x, or of x where there is no mask, in float32 at least.

    Raises:
        ValueError: the mask has not the shape (B, C, T).
    """
    if mask is not None and mask.shape != x.shape[:3]:
        raise ValueError(f"mask is {tuple(mask.shape)}; for features {tuple(x.shape)} it must be {tuple(x.shape[:3])}")
    if dispatch.takes_plain(x):
        return gated_channel_pool_plain(x, mask)
    return _pool(x, None if mask is None else mask.transpose(1, 2))


def gated_channel_pool_plain(
    x: Float[Tensor, "b c t h w"], mask: Float[Tensor, "b c t"] | None
) -> tuple[Float[Tensor, "b t h w"], Float[Tensor, "b t h w"]]:
    """Compute it by PyTorch's own operators: the definition."""
    gated = x if mask is None else x * mask.to(x.dtype)[:, :, :, None, None]
    return gated.mean(dim=1, dtype=sums_in(x.dtype)), gated.amax(dim=1).to(sums_in(x.dtype))


def _compute(x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return average and maximum, `(B, T, H, W)`, as wide as they were computed; the mask is `(B, T, C)`."""
    planes = as_planes(x)
    shape = (*planes.shape[:2], planes.shape[3])
    average, maximum = (x.new_empty(shape, dtype=sums_in(x.dtype)) for _ in range(2))
    rows = as_rows(mask, planes, widened=not dispatch.takes_triton(x))
    if dispatch.takes_triton(x):
        from w3action.kernels import channel_pool_triton

        channel_pool_triton.forward(planes, rows, average, maximum)
    elif dispatch.takes_native(x):
        sums, maximum = native.reduce(planes, rows, over_channels=True)
        average = sums.div_(x.shape[1])
    else:
        for run, run_rows, run_average, run_maximum in pieces(planes, rows, average, maximum):
            for some in groups_of_places(run):
                gated = run[:, :, some].to(run_rows.dtype) * run_rows[:, :, None]
                torch.mean(gated, dim=1, out=run_average[:, some])
                torch.amax(gated, dim=1, out=run_maximum[:, some])
    return average.unflatten(2, x.shape[3:]), maximum.unflatten(2, x.shape[3:])


def _shapes(x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    b, _, t, h, w = x.shape
    dtype = sums_in(x.dtype)
    return x.new_empty((b, t, h, w), dtype=dtype), x.new_empty((b, t, h, w), dtype=dtype)


def _compute_gradient(
    grad_average: Tensor, grad_maximum: Tensor, x: Tensor, mask: Tensor | None, maximum: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the gradients of x and of the mask `(B, T, C)`; the second is empty without a mask."""
    planes = as_planes(x)
    rows = as_rows(mask, planes, widened=not dispatch.takes_triton(x))
    features, grad_rows = empty_features(planes, x), torch.empty_like(rows, dtype=sums_in(x.dtype))
    grad = as_planes(features)
    grad_average, grad_maximum = grad_average.contiguous().flatten(2), grad_maximum.contiguous().flatten(2)  # (B, T, P)
    maximum = maximum.flatten(2)
    if dispatch.takes_triton(x):
        from w3action.kernels import channel_pool_triton

        grad_rows = channel_pool_triton.backward(grad_average, grad_maximum, maximum, planes, rows, grad)
    elif dispatch.takes_native(x):
        sums = grad_average / x.shape[1]
        grad_rows = native.reduce_backward(planes, rows, maximum, sums, grad_maximum, grad, over_channels=True)
    else:
        for piece in pieces(planes, rows, grad_average, grad_maximum, maximum, grad, grad_rows):
            _differentiate_run(*piece)
    return features, x.new_empty(0) if mask is None else grad_rows


def _gradient_shapes(
    grad_average: Tensor, grad_maximum: Tensor, x: Tensor, mask: Tensor | None, maximum: Tensor
) -> tuple[Tensor, Tensor]:
    planes = as_planes(x)
    rows = x.new_empty(0) if mask is None else x.new_empty(planes.shape[:3], dtype=sums_in(x.dtype))
    return empty_features(planes, x), rows


def _differentiate_run(
    run: Tensor,
    rows: Tensor,
    grad_average: Tensor,
    grad_maximum: Tensor,
    maximum: Tensor,
    grad: Tensor,
    grad_rows: Tensor,
) -> None:
    """Write the gradients of a run of frames (n, C, P) and of its mask (n, C)."""
    grad_rows.zero_()
    for some in groups_of_places(run):
        value, row = run[:, :, some].to(rows.dtype), rows[:, :, None]
        scratch = value * row
        largest = torch.eq(scratch, maximum[:, None, some], out=torch.empty_like(scratch))  # 1 where it is, else 0
        share = grad_maximum[:, some] / largest.sum(dim=1)
        elsewhere = grad_average[:, some] / run.shape[1]
        weight = torch.addcmul(elsewhere[:, None], largest, share[:, None], out=largest)  # the gradient of F^c
        grad_rows += torch.mul(value, weight, out=scratch).sum(dim=2)
        torch.mul(weight, row, out=grad[:, :, some])


def _save(ctx, inputs: tuple[Tensor, Tensor | None], output: tuple[Tensor, Tensor]) -> None:
    x, mask = inputs
    ctx.save_for_backward(x, mask, output[1])


def _differentiate(ctx, grad_average: Tensor, grad_maximum: Tensor) -> tuple[Tensor, Tensor | None]:
    x, mask, maximum = ctx.saved_tensors
    grad, grad_mask = _pool_backward(grad_average, grad_maximum, x, mask, maximum)
    return grad, None if mask is None else grad_mask.to(mask.dtype)


_pool_backward = derivative(
    "gated_channel_pool_backward(Tensor grad_average, Tensor grad_maximum, Tensor x, Tensor? mask, Tensor maximum)"
    " -> (Tensor grad, Tensor grad_mask)",
    _compute_gradient,
    shapes=_gradient_shapes,
)
_pool = differentiable(
    "gated_channel_pool(Tensor x, Tensor? mask) -> (Tensor average, Tensor maximum)",
    _compute,
    shapes=_shapes,
    save=_save,
    gradient=_differentiate,
)
