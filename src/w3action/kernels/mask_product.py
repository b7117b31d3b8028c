"""Apply both masks, add the shortcut, and rectify (W3, equation 2, and the end of its residual block), in one pass.

    y = ReLU(M^s * (M^c * x) + shortcut)        M^c (B, C, T), M^s (B, T, H, W)

Either mask, the shortcut and the ReLU can be left out. The backward pass keeps x, the masks and, behind a ReLU, y
(which the next layer keeps anyway): M^c * x is computed again.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from w3action.kernels import dispatch, native
from w3action.kernels.layout import (
    as_maps,
    as_planes,
    as_planes_like,
    as_rows,
    empty_features,
    groups_of_places,
    pieces,
    sums_in,
)
from w3action.kernels.operators import derivative, differentiable


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
    if dispatch.takes_plain(x):
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


def _compute(x: Tensor, channel: Tensor | None, spatial: Tensor | None, shortcut: Tensor | None, relu: bool) -> Tensor:
    """Return y; the channel mask is `(B, T, C)`."""
    planes = as_planes(x)
    wide = not dispatch.takes_triton(x)  # its kernel reads any type
    rows, maps = as_rows(channel, planes, widened=wide), as_maps(spatial, planes, widened=wide)
    added = None if shortcut is None else as_planes_like(shortcut.to(x.dtype), planes)
    features = empty_features(planes, x)
    y = as_planes(features)
    if dispatch.takes_triton(x):
        from w3action.kernels import mask_product_triton

        mask_product_triton.forward(planes, rows, maps, added, y, relu=relu)
        return features
    if dispatch.takes_native(x):
        native.scale(planes, rows, maps, added, y, relu=relu)
        return features
    for piece in pieces(planes, rows, maps, y, *(() if added is None else (added,))):
        _apply_run(*piece, relu=relu)
    return features


def _apply_run(run: Tensor, rows: Tensor, maps: Tensor, y: Tensor, added: Tensor | None = None, *, relu: bool) -> None:
    """Write y of a run of frames (n, C, P)."""
    for some in groups_of_places(run):
        # Everything is widened first: operators on two types at once are several times slower.
        product, at = run[:, :, some].to(rows.dtype) * rows[:, :, None], maps[:, None, some]
        out = y[:, :, some]
        result = out if out.dtype == rows.dtype else product
        if added is None:
            torch.mul(product, at, out=result)
        else:
            torch.addcmul(added[:, :, some].to(rows.dtype), product, at, out=result)
        if relu:
            result.relu_()
        if result is not out:
            out.copy_(result)


def _shapes(x: Tensor, channel: Tensor | None, spatial: Tensor | None, shortcut: Tensor | None, relu: bool) -> Tensor:
    return empty_features(as_planes(x), x)


def _compute_gradient(
    grad_y: Tensor, x: Tensor, channel: Tensor | None, spatial: Tensor | None, y: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients of x, of both masks, and of what the ReLU took, which is the shortcut's.

    Without a ReLU (y is None) the last one is empty: the shortcut's gradient is grad_y.
    """
    planes = as_planes(x)
    wide = not dispatch.takes_triton(x)  # its kernel reads any type
    rows, maps = as_rows(channel, planes, widened=wide), as_maps(spatial, planes, widened=wide)
    grad_y = as_planes_like(grad_y, planes)
    features, grad_rows, grad_maps = (
        empty_features(planes, x),
        torch.empty_like(rows, dtype=sums_in(x.dtype)),
        torch.empty_like(maps, dtype=sums_in(x.dtype)),
    )
    grad_sum = x.new_empty(0) if y is None else empty_features(planes, x)
    grad = as_planes(features)
    behind = () if y is None else (as_planes_like(y, planes), as_planes(grad_sum))
    if dispatch.takes_triton(x):
        from w3action.kernels import mask_product_triton

        grad_rows, grad_maps = mask_product_triton.backward(grad_y, planes, rows, maps, grad, *behind)
    elif dispatch.takes_native(x):
        grad_rows, grad_maps = native.scale_backward(grad_y, planes, rows, maps, grad, *(behind or (None, None)))
    else:
        for piece in pieces(planes, grad_y, rows, maps, grad, grad_rows, grad_maps, *behind):
            _differentiate_run(*piece)
    return features, grad_rows, grad_maps.unflatten(2, x.shape[3:]), grad_sum


def _gradient_shapes(
    grad_y: Tensor, x: Tensor, channel: Tensor | None, spatial: Tensor | None, y: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    b, c, t, h, w = x.shape
    dtype, planes = sums_in(x.dtype), as_planes(x)
    return (
        empty_features(planes, x),
        x.new_empty((b, t, c), dtype=dtype),
        x.new_empty((b, t, h, w), dtype=dtype),
        x.new_empty(0) if y is None else empty_features(planes, x),
    )


def _differentiate_run(
    run: Tensor,
    grad_y: Tensor,
    rows: Tensor,
    maps: Tensor,
    grad: Tensor,
    grad_rows: Tensor,
    grad_maps: Tensor,
    y: Tensor | None = None,
    grad_sum: Tensor | None = None,
) -> None:
    """Write the gradients of a run of frames (n, C, P), of its masks (n, C), (n, P), and of what a ReLU took."""
    grad_rows.zero_()
    for some in groups_of_places(run):
        row, at, g = rows[:, :, None], maps[:, None, some], grad_y[:, :, some]
        if y is not None and grad_sum is not None:
            g = torch.where(y[:, :, some] > 0, g, g.new_zeros(()), out=grad_sum[:, :, some])
        g = g.to(rows.dtype)
        product = g * run[:, :, some].to(rows.dtype)  # (n, C, p)
        grad_rows += torch.bmm(product, at.transpose(1, 2))[..., 0]
        grad_maps[:, some] = torch.bmm(row.transpose(1, 2), product)[:, 0]
        out = grad[:, :, some]
        result = torch.mul(torch.mul(g, row, out=product), at, out=out if out.dtype == rows.dtype else product)
        if result is product:
            out.copy_(result)


def _save(ctx, inputs: tuple[Tensor, Tensor | None, Tensor | None, Tensor | None, bool], output: Tensor) -> None:
    x, channel, spatial, shortcut, relu = inputs
    ctx.save_for_backward(x, channel, spatial, output if relu else None)
    ctx.shortcut_dtype = None if shortcut is None else shortcut.dtype


def _differentiate(ctx, grad_y: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None, None]:
    x, channel, spatial, y = ctx.saved_tensors
    grad, grad_channel, grad_spatial, grad_sum = _apply_backward(grad_y, x, channel, spatial, y)
    return (
        grad,
        None if channel is None else grad_channel.to(channel.dtype),
        None if spatial is None else grad_spatial.to(spatial.dtype),
        None if ctx.shortcut_dtype is None else (grad_y if y is None else grad_sum).to(ctx.shortcut_dtype),
        None,
    )


_apply_backward = derivative(
    "apply_masks_backward(Tensor grad_y, Tensor x, Tensor? channel, Tensor? spatial, Tensor? y)"
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
