"""`convolve_frames` against its definition written out, and against the 3D convolution, gradients included."""

import pytest
import torch

from w3action import kernels
from w3action.kernels import dispatch
from w3action.kernels.frame_convolution import MAX_FRAMES, MIN_PLACES, convolve_frames


def drawn(size, *, kernel=(3, 3, 3)) -> list[torch.Tensor]:
    numbers = torch.Generator().manual_seed(0)
    shapes = (size, (1, 1, *kernel), (1,))
    return [torch.randn(shape, generator=numbers, dtype=torch.float64).requires_grad_() for shape in shapes]


def by_hand(x, weight, bias):
    y = torch.zeros_like(x)
    k, kh, kw = weight.shape[2:]
    for at in torch.cartesian_prod(*map(torch.arange, x.shape)).tolist():
        b, t, h, w = at
        total = bias[0].item()
        for i, r, s in torch.cartesian_prod(*map(torch.arange, (k, kh, kw))).tolist():
            u, v, z = t + i - k // 2, h + r - kh // 2, w + s - kw // 2
            if 0 <= u < x.shape[1] and 0 <= v < x.shape[2] and 0 <= z < x.shape[3]:
                total += (weight[0, 0, i, r, s] * x[b, u, v, z]).item()
        y[b, t, h, w] = total
    return y


@pytest.mark.parametrize("form", ["plain", "fused"])
@pytest.mark.parametrize(("t", "kernel"), [(1, (3, 3, 3)), (2, (3, 3, 3)), (4, (3, 3, 1)), (3, (5, 1, 3))])
def test_it_is_its_definition(t, kernel, form):
    x, weight, bias = (tensor.detach() for tensor in drawn((2, t, 3, 4), kernel=kernel))
    with kernels.using(form):
        torch.testing.assert_close(convolve_frames(x, weight, bias), by_hand(x, weight, bias))


def test_both_forms_have_the_same_gradients():
    inputs, seed = drawn((2, 5, 6, 7)), drawn((2, 5, 6, 7))[0].detach()
    found = []
    for form in ("plain", "fused"):
        with kernels.using(form):
            found.append(torch.autograd.grad(convolve_frames(*inputs), inputs, seed))
    torch.testing.assert_close(found[1], found[0])


@pytest.mark.parametrize(
    ("form", "size", "as_channels"),
    [
        ("auto", (1, 8, 56, 56), True),
        ("auto", (1, 8, 7, 7), False),
        ("auto", (1, 1, 7, 7), True),
        ("auto", (1, MAX_FRAMES + 1, 56, 56), False),
        ("plain", (1, 8, 56, 56), False),
        ("fused", (1, 8, 7, 7), True),
    ],
)
def test_frames_become_channels_where_it_pays(form, size, as_channels):
    with kernels.using(form):
        x = torch.empty(size)
        assert dispatch.takes_frames_as_channels(x, min_places=MIN_PLACES, max_frames=MAX_FRAMES) == as_channels
        assert not dispatch.takes_frames_as_channels(x.to("meta"), min_places=MIN_PLACES, max_frames=MAX_FRAMES)


def test_one_frame_in_bfloat16_is_convolved_right():
    x, weight, bias = (tensor.detach() for tensor in drawn((1, 1, 14, 13)))
    for _ in range(20):  # what a wrong convolution reads depends on what was in memory
        torch.full((1 << 16,), torch.nan, dtype=torch.bfloat16)
        found = convolve_frames(x.bfloat16(), weight.bfloat16(), bias.bfloat16())
        torch.testing.assert_close(found.double(), convolve_frames(x, weight, bias), rtol=0.05, atol=0.1)
