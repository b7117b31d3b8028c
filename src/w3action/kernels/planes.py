"""How features lie in memory.

Kernels see features as planes `(B, T, C, P)`: P = H * W places of every channel of every frame. Networks give three
orders of memory, and all three are such planes without a copy: frames outermost, `(B, T, C, P)`; frames outermost with
channels last, `(B, T, P, C)`, which is also the channels-last order of 3D networks; and theirs, `(B, C, T, P)`.
"""

import torch
from jaxtyping import Float
from torch import Tensor


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


def empty_features(planes: Float[Tensor, "b t c p"], x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t h w"]:
    """Return new features of x's shape that lie in memory as its planes do.

    They are no view: autograd adds gradients in place only to tensors that are not.
    """
    return torch.empty_like(planes.unflatten(3, x.shape[3:]).transpose(1, 2))


def sums_in(dtype: torch.dtype) -> torch.dtype:
    """Return the type in which numbers of `dtype` are multiplied and added up."""
    return torch.float64 if dtype == torch.float64 else torch.float32
