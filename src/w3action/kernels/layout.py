"""How features lie in memory, and pieces of them that fit into a core's cache.

Kernels see features as planes `(B, T, C, P)`: P = H * W places of every channel of every frame. Networks give three
orders of memory, and all three are such planes without a copy: frames outermost, `(B, T, C, P)`; frames outermost with
channels last, `(B, T, P, C)`, which is also the channels-last order of 3D networks; and theirs, `(B, C, T, P)`.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

CACHED_BYTES = 1 << 20  # a piece: it, or what is made of it, stays in a second-level cache of 1 to 2 MB
MIN_PLACES = 64  # in a row: fewer would read memory in crumbs


def as_planes(x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b t c p"]:
    """See features as planes: a view in the three orders, a copy in any other."""
    planes = x.transpose(1, 2).flatten(3)
    orders = (planes, planes.transpose(2, 3), planes.transpose(1, 2))
    return planes if any(order.is_contiguous() for order in orders) else planes.contiguous()


def as_planes_like(x: Float[Tensor, "b c t h w"], like: Float[Tensor, "b t c p"]) -> Float[Tensor, "b t c p"]:
    """See features as planes that lie in memory as `like` does; a copy if they do not."""
    planes = x.transpose(1, 2).flatten(3)
    strides = zip(planes.stride(), like.stride(), planes.shape, strict=True)
    same = all(mine == wanted for mine, wanted, size in strides if size > 1)
    return planes if same else torch.empty_like(like).copy_(planes)


def as_features(planes: Float[Tensor, "b t c p"], x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t h w"]:
    """See planes as features of x's shape; a view."""
    return planes.unflatten(3, x.shape[3:]).transpose(1, 2)


def empty_features(planes: Float[Tensor, "b t c p"], x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t h w"]:
    """Return new features of x's shape that lie in memory as its planes do.

    They are no view: autograd adds gradients in place only to tensors that are not.
    """
    return torch.empty_like(as_features(planes, x))


def as_rows(
    mask: Float[Tensor, "b t c"] | None, planes: Float[Tensor, "b t c p"], *, widened: bool
) -> Float[Tensor, "b t c"]:
    """Return a channel mask as rows; ones where there is no mask; `widened` to the type in which it is multiplied."""
    if mask is None:
        return torch.ones(planes.shape[:3], dtype=sums_in(planes.dtype), device=planes.device)
    return (mask.to(sums_in(planes.dtype)) if widened else mask).contiguous()


def as_maps(
    mask: Float[Tensor, "b t h w"] | None, planes: Float[Tensor, "b t c p"], *, widened: bool
) -> Float[Tensor, "b t p"]:
    """Return a spatial mask as flat maps; ones where there is no mask; `widened` as above."""
    if mask is None:
        return torch.ones((*planes.shape[:2], planes.shape[3]), dtype=sums_in(planes.dtype), device=planes.device)
    return (mask.to(sums_in(planes.dtype)) if widened else mask).contiguous().flatten(2)


def sums_in(dtype: torch.dtype) -> torch.dtype:
    """Return the type in which numbers of `dtype` are multiplied and added up."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def pieces(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Cut tensors `(B, T, ...)` into runs of frames `(n, ...)`, all in step; the first one's runs fit into the cache.

    A frame that is larger than the cache is a run of its own.
    """
    first = tensors[0]
    b, t = first.shape[:2]
    if not first.numel():
        return
    frames = max(1, CACHED_BYTES // (first[0, 0].numel() * first.element_size()))
    joined = all(b == 1 or t == 1 or tensor.stride(0) == t * tensor.stride(1) for tensor in tensors)
    for clip in [tuple(tensor.flatten(0, 1) for tensor in tensors)] if joined else zip(*tensors, strict=True):
        yield from zip(*(tensor.split(frames) for tensor in clip), strict=True)


def groups_of_places(run: Float[Tensor, "n c p"]) -> list[slice]:
    """Cut the places of frames into groups that, with all their channels, fit into the cache."""
    n, c, p = run.shape
    size = max(MIN_PLACES, CACHED_BYTES // max(1, n * c * run.element_size()))
    return [slice(start, min(start + size, p)) for start in range(0, p, size)]
