"""`place_mask` and `mask_over_time` against equations 5 and 6 written out, and their Triton forms against the plain."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from w3action import kernels
from w3action.kernels import mask_networks as module

SIZES = [(2, 3, 7, 7), (1, 1, 14, 13), (1, 5, 3, 2), (0, 2, 3, 4)]  # B, T, H, W


def drawn(shapes, device, dtype=torch.float32) -> list[Tensor]:
    numbers = torch.Generator().manual_seed(0)
    return [
        torch.randn(shape, generator=numbers, dtype=torch.float64).to(device, dtype).requires_grad_()
        for shape in shapes
    ]


def gate_inputs(size, device, dtype=torch.float32) -> list[Tensor]:
    return drawn([size, size, (1, 2, 7, 7), (1,)], device, dtype)


def video_inputs(size, device, dtype=torch.float32) -> list[Tensor]:
    return drawn([size, (1, 1, 3, 3, 3), (1,), (1, 1, 3, 3, 3), (1,)], device, dtype)


def gated(*inputs):
    return (kernels.place_mask(*inputs),)


def over_time(mask, first, first_bias, second, second_bias):
    return (kernels.mask_over_time(mask, (first, first_bias), (second, second_bias)),)


def correlate(x: Tensor, kernel: Tensor) -> Tensor:
    """Sum a kernel (KT, KH, KW) over x (B, T, H, W), zero beyond its ends: by moving x, number by number."""
    reach = [size // 2 for size in kernel.shape]
    b, t, h, w = x.shape
    beyond = x.new_zeros(b, t + 2 * reach[0], h + 2 * reach[1], w + 2 * reach[2])
    beyond[:, reach[0] : reach[0] + t, reach[1] : reach[1] + h, reach[2] : reach[2] + w] = x
    total = torch.zeros_like(x)
    for i, j, k in torch.cartesian_prod(*map(torch.arange, kernel.shape)).tolist():
        total += kernel[i, j, k] * beyond[:, i : i + t, j : j + h, k : k + w]
    return total


@pytest.mark.parametrize("form", ["plain", "triton"])
@pytest.mark.parametrize("size", SIZES)
def test_the_gate_is_equation_5(device, size, form):
    inputs = [x.detach() for x in gate_inputs(size, device)]
    average, maximum, weight, bias = inputs
    expected = correlate(average, weight[:, 0]) + correlate(maximum, weight[:, 1]) + bias
    with kernels.using(form):
        torch.testing.assert_close(gated(*inputs)[0], 1 / (1 + (-expected).exp()), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("most_places", [module.MOST_PLACES, 0], ids=["one_launch", "two_launches"])
@pytest.mark.parametrize("form", ["plain", "triton"])
@pytest.mark.parametrize("size", SIZES)
def test_over_time_it_is_equation_6(device, monkeypatch, size, form, most_places):
    monkeypatch.setattr(module, "MOST_PLACES", most_places)
    inputs = [x.detach() for x in video_inputs(size, device)]
    mask, first, first_bias, second, second_bias = inputs
    hidden = (correlate(mask, first[0, 0]) + first_bias).clamp(min=0)
    expected = correlate(hidden, second[0, 0]) + second_bias
    with kernels.using(form):
        torch.testing.assert_close(over_time(*inputs)[0], 1 / (1 + (-expected).exp()), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("function", "inputs"), [(gated, gate_inputs), (over_time, video_inputs)])
@pytest.mark.parametrize("size", [SIZES[0], SIZES[2]])  # of one frame the plain 3D convolution in bfloat16 is wrong
def test_errors_in_bfloat16_are_at_most_twice_those_of_the_plain_form(device, size, function, inputs):
    given = [x.detach() for x in inputs(size, device, torch.bfloat16)]
    (exact,), (plain,) = function(*(x.double() for x in given)), function(*given)
    with kernels.using("triton"):
        (found,) = function(*given)
    assert found.dtype == plain.dtype == torch.bfloat16
    last_bit = torch.finfo(torch.bfloat16).eps  # Triton's interpreter rounds towards zero
    assert (found - exact).abs().max() <= 2 * (plain - exact).abs().max() + last_bit * exact.abs().max()


@pytest.mark.parametrize(("function", "inputs"), [(gated, gate_inputs), (over_time, video_inputs)])
def test_gradients_are_those_of_the_plain_form(device, function, inputs):
    given = inputs(SIZES[2], device)
    gradients = []
    for form in ("plain", "triton"):
        with kernels.using(form):
            gradients.append(torch.autograd.grad(function(*given)[0].square().sum(), given))
    torch.testing.assert_close(*gradients)


def test_a_kernel_with_its_maps_last_is_read_as_it_lies(device):
    average, maximum, weight, bias = (x.detach() for x in gate_inputs(SIZES[0], device))
    last = weight.contiguous(memory_format=torch.channels_last)
    assert last.stride() != weight.stride()
    with kernels.using("triton"):
        torch.testing.assert_close(gated(average, maximum, last, bias), gated(average, maximum, weight, bias))


@pytest.mark.parametrize("form", ["plain", "triton"])
def test_a_gate_may_have_no_bias(device, form):
    average, maximum, weight, bias = (x.detach() for x in gate_inputs(SIZES[0], device))
    with kernels.using(form):
        without = kernels.place_mask(average, maximum, weight, None)
        torch.testing.assert_close(without, kernels.place_mask(average, maximum, weight, 0 * bias))


@pytest.mark.parametrize("form", ["plain", "triton"])
def test_maps_that_are_not_contiguous_are_read_right(device, form):
    average, maximum, weight, bias = (x.detach() for x in gate_inputs((1, 2, 4, 6), device))
    turned = [x.detach().transpose(2, 3).contiguous().transpose(2, 3) for x in (average, maximum)]
    with kernels.using(form):
        torch.testing.assert_close(gated(*turned, weight, bias), gated(average, maximum, weight, bias))


def convolved(size, *, kernel=(3, 3, 3)) -> list[torch.Tensor]:
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


@pytest.mark.parametrize("form", ["plain", "native"])
@pytest.mark.parametrize(("t", "kernel"), [(1, (3, 3, 3)), (2, (3, 3, 3)), (4, (3, 3, 1)), (3, (5, 1, 3))])
def test_it_is_its_definition(t, kernel, form):
    x, weight, bias = (tensor.detach() for tensor in convolved((2, t, 3, 4), kernel=kernel))
    with kernels.using(form):
        torch.testing.assert_close(module.convolve_frames(x, weight, bias), by_hand(x, weight, bias))


def test_both_forms_have_the_same_gradients():
    inputs, seed = convolved((2, 5, 6, 7)), convolved((2, 5, 6, 7))[0].detach()
    found = []
    for form in ("plain", "native"):
        with kernels.using(form):
            found.append(torch.autograd.grad(module.convolve_frames(*inputs), inputs, seed))
    torch.testing.assert_close(found[1], found[0])


@pytest.mark.parametrize(
    ("form", "size", "as_channels"),
    [
        ("auto", (1, 8, 56, 56), True),
        ("auto", (1, 8, 7, 7), False),
        ("auto", (1, 1, 7, 7), True),
        ("auto", (1, module.MAX_FRAMES + 1, 56, 56), False),
        ("plain", (1, 8, 56, 56), False),
        ("native", (1, 8, 7, 7), True),
    ],
)
def test_frames_become_channels_where_it_pays(monkeypatch, form, size, as_channels):
    called = []
    real = {name: getattr(F, name) for name in ("conv2d", "conv3d")}
    for name in real:
        monkeypatch.setattr(
            F, name, lambda *given, name=name, **named: called.append(name) or real[name](*given, **named)
        )
    for device in ("cpu", "meta"):
        with kernels.using(form), torch.device(device):
            module.convolve_frames(torch.zeros(size), torch.zeros(1, 1, 3, 3, 3), torch.zeros(1))
    assert called == ["conv2d" if as_channels else "conv3d", "conv3d"]


def test_one_frame_in_bfloat16_is_convolved_right():
    x, weight, bias = (tensor.detach() for tensor in convolved((1, 1, 14, 13)))
    for _ in range(20):  # what a wrong convolution reads depends on what was in memory
        torch.full((1 << 16,), torch.nan, dtype=torch.bfloat16)
        found = module.convolve_frames(x.bfloat16(), weight.bfloat16(), bias.bfloat16())
        torch.testing.assert_close(found.double(), module.convolve_frames(x, weight, bias), rtol=0.05, atol=0.1)
