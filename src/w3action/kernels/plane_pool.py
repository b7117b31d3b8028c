"""Average and maximum of every plane: what the channel gate looks at (W3, equation 3), in one pass.

    average[b, c, t] = mean over (h, w) of x[b, c, t, h, w]        maximum[b, c, t] = max over (h, w)

Places that share the maximum share its gradient evenly.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from w3action.kernels import dispatch, native
from w3action.kernels.layout import as_planes, empty_features, pieces, sums_in
from w3action.kernels.operators import derivative, differentiable


def pool_planes(x: Float[Tensor, "b c t h w"]) -> tuple[Float[Tensor, "b c t"], Float[Tensor, "b c t"]]:
    """Return each plane's average and maximum, in x's type."""
    if dispatch.takes_plain(x):
        return pool_planes_plain(x)
    average, maximum = _pool(x)
    return average.transpose(1, 2), maximum.transpose(1, 2)


def pool_planes_plain(x: Float[Tensor, "b c t h w"]) -> tuple[Float[Tensor, "b c t"], Float[Tensor, "b c t"]]:
    """Compute it by PyTorch's own operators: the definition."""
    return x.mean(dim=(3, 4)), x.amax(dim=(3, 4))


def _compute(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return average and maximum, `(B, T, C)`: a row for each frame, as the gate's matrix product reads them."""
    planes = as_planes(x)
    average, maximum = (x.new_empty(planes.shape[:3]) for _ in range(2))
    if dispatch.takes_triton(x):
        from w3action.kernels import plane_pool_triton

        plane_pool_triton.forward(planes, average, maximum)
        return average, maximum
    if dispatch.takes_native(x):
        sums, maxima = native.reduce(planes, None, over_channels=False)
        return average.copy_(sums / planes.shape[3]), maximum.copy_(maxima)
    for run, run_average, run_maximum in pieces(planes, average, maximum):
        torch.mean(run, dim=2, out=run_average)
        torch.amax(run, dim=2, out=run_maximum)
    return average, maximum


def _shapes(x: Tensor) -> tuple[Tensor, Tensor]:
    b, c, t = x.shape[:3]
    return x.new_empty(b, t, c), x.new_empty(b, t, c)


def _compute_gradient(grad_average: Tensor, grad_maximum: Tensor, x: Tensor, maximum: Tensor) -> Tensor:
    """Return the gradient of x from those of its averages and maxima."""
    planes = as_planes(x)
    features = empty_features(planes, x)
    grad = as_planes(features)
    grad_average, grad_maximum = grad_average.contiguous(), grad_maximum.contiguous()
    if dispatch.takes_triton(x):
        from w3action.kernels import plane_pool_triton

        plane_pool_triton.backward(grad_average, grad_maximum, planes, maximum, grad)
        return features
    dtype, size = sums_in(x.dtype), planes.shape[3]
    if dispatch.takes_native(x):
        largest, sums, maxima = (end.to(dtype) for end in (maximum, grad_average / size, grad_maximum))
        native.reduce_backward(planes, None, largest, sums, maxima, grad, over_channels=False)
        return features
    for run, run_maximum, g_average, g_maximum, out in pieces(planes, maximum, grad_average, grad_maximum, grad):
        largest = torch.eq(run, run_maximum[..., None], out=torch.empty_like(run, dtype=dtype))  # 1 where it is, else 0
        elsewhere = g_average.to(dtype) / size  # (n, C)
        share = g_maximum.to(dtype) / largest.sum(dim=2)
        torch.addcmul(elsewhere[..., None], largest, share[..., None], out=out)
    return features


def _gradient_shapes(grad_average: Tensor, grad_maximum: Tensor, x: Tensor, maximum: Tensor) -> Tensor:
    return empty_features(as_planes(x), x)


def _save(ctx, inputs: tuple[Tensor], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(inputs[0], output[1])


def _differentiate(ctx, grad_average: Tensor, grad_maximum: Tensor) -> Tensor:
    return _pool_backward(grad_average, grad_maximum, *ctx.saved_tensors)


_pool_backward = derivative(
    "pool_planes_backward(Tensor grad_average, Tensor grad_maximum, Tensor x, Tensor maximum) -> Tensor",
    _compute_gradient,
    shapes=_gradient_shapes,
)
_pool = differentiable(
    "pool_planes(Tensor x) -> (Tensor average, Tensor maximum)",
    _compute,
    shapes=_shapes,
    save=_save,
    gradient=_differentiate,
)
