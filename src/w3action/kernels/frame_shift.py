"""Take some channels from another frame: the temporal shift of TSM and its causal form, in one pass.

    y[t, :f] = x[t + step, :f]    y[t, f:f + s] = x[t - step, f:f + s]    y[t, f + s:] = x[t, f + s:]

Zeros beyond the ends. The gradient is shifted the other way: the same function with -step.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from w3action.kernels.dispatch import SMALL_BYTES, Form, Forms, differentiable, form_of
from w3action.kernels.planes import as_planes, empty_features


def shift_frames(x: Float[Tensor, "b c t h w"], *, from_next: int, from_previous: int) -> Float[Tensor, "b c t h w"]:
    """Take the first `from_next` channels from the next frame and as many as `from_previous` after them from the last.

    Raises:
        ValueError: fewer than none or more than all channels are to move.
    """
    if min(from_next, from_previous) < 0 or from_next + from_previous > x.shape[1]:
        raise ValueError(
            f"{from_next} and {from_previous} channels are to move; there are {x.shape[1]}, and 0 is least"
        )
    if form_of(x, min_bytes=SMALL_BYTES) == "plain":
        return shift_frames_plain(x, from_next=from_next, from_previous=from_previous)
    return _shift(x, from_next, from_previous, 1)


def shift_frames_plain(
    x: Float[Tensor, "b c t h w"], *, from_next: int, from_previous: int
) -> Float[Tensor, "b c t h w"]:
    """Compute it by PyTorch's own operators: the definition."""
    # Networks keep frames outermost in memory, so the pieces are joined in that order: no second copy.
    frames, moved = x.transpose(1, 2), from_next + from_previous  # (B, T, C, H, W)
    following = torch.cat([frames[:, 1:, :from_next], torch.zeros_like(frames[:, :1, :from_next])], dim=1)
    preceding = frames[:, :, from_next:moved]
    preceding = torch.cat([torch.zeros_like(preceding[:, :1]), preceding[:, :-1]], dim=1)
    return torch.cat([following, preceding, frames[:, :, moved:]], dim=2).transpose(1, 2)


def _shift_by_copies(planes: Tensor, y: Tensor, first: int, second: int, step: int) -> None:
    """Write y by five copies, in PyTorch's own operators: in C they were no faster."""
    y[:, :, first + second :] = planes[:, :, first + second :]
    for channels, ahead in ((slice(0, first), step), (slice(first, first + second), -step)):
        to, source, lost = (slice(0, -1), slice(1, None), -1) if ahead > 0 else (slice(1, None), slice(0, -1), 0)
        y[:, to, channels] = planes[:, source, channels]
        y[:, lost, channels] = 0.0


def _shift_triton(planes: Tensor, y: Tensor, first: int, second: int, step: int) -> None:
    from w3action.kernels.triton import pointwise

    pointwise.shift(planes, y, first, second, step)


SHIFT: Forms = {"plain": _shift_by_copies, "native": _shift_by_copies, "triton": _shift_triton}


def _compute(form: Form, x: Tensor, first: int, second: int, step: int) -> Tensor:
    """Return y; step is 1, or -1 for its gradient."""
    planes = as_planes(x)
    y = empty_features(planes, x)
    SHIFT[form](planes, as_planes(y), first, second, step)
    return y


def _shapes(x: Tensor, first: int, second: int, step: int) -> Tensor:
    return empty_features(as_planes(x), x)


def _save(ctx, inputs: tuple[Tensor, int, int, int], output: Tensor) -> None:
    _, *ctx.shift = inputs


def _differentiate(ctx, grad: Tensor) -> tuple[Tensor, None, None, None]:
    first, second, step = ctx.shift
    return _shift(grad, first, second, -step), None, None, None


_shift = differentiable(
    "shift_frames(Tensor x, int first, int second, int step) -> Tensor",
    _compute,
    shapes=_shapes,
    save=_save,
    gradient=_differentiate,
)
