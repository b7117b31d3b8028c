"""`channel_mask` against equations 3 and 4 written out, and its Triton form against the plain one."""

import pytest
import torch
from torch import Tensor

from w3action import kernels
from w3action.kernels import mask_networks as module

SIZES = [
    (2, 24, 5, 6),
    (1, 130, 8, 8),
    (1, 3, 1, 4),
    (2, 65, 16, 70),
    (0, 8, 2, 4),
]  # B, C, T, C/r; 70 is a launch more


def drawn(size, device, dtype=torch.float32, *, over_time=True) -> list[Tensor]:
    """Average, maximum, and the weights, in the order of the operator."""
    b, c, t, h = size
    shapes = [(b, c, t), (b, c, t), (h, c), (h,), (c, h), (c,)]
    if over_time:
        shapes += [(c, 1, 3), (c,), (c, 1, 3), (c,)]
    numbers = torch.Generator().manual_seed(0)
    return [
        torch.randn(shape, generator=numbers, dtype=torch.float64).to(device, dtype).requires_grad_()
        for shape in shapes
    ]


def masked(average, maximum, *weights):
    pairs = list(zip(weights[::2], weights[1::2], strict=True))
    return (kernels.channel_mask(average, maximum, *pairs[:2], tuple(pairs[2:]) or None),)


def by_hand(average, maximum, reduce, b1, expand, b2, *time):
    b, _, t = average.shape
    gate = torch.empty_like(average)
    for clip in range(b):
        for frame in range(t):
            both = 0
            for pooled in (average, maximum):
                both = both + expand @ (reduce @ pooled[clip, :, frame] + b1).clamp(min=0) + b2
            gate[clip, :, frame] = 1 / (1 + (-both).exp())
    for step in range(len(time) // 2):
        weight, bias = time[2 * step : 2 * step + 2]
        beyond = torch.cat([torch.zeros_like(gate[:, :, :1]), gate, torch.zeros_like(gate[:, :, :1])], dim=2)
        gate = sum(weight[:, 0, i, None] * beyond[:, :, i : i + t] for i in range(3)) + bias[:, None]
        gate = gate.clamp(min=0) if step == 0 else 1 / (1 + (-gate).exp())
    return gate


@pytest.mark.parametrize("form", ["plain", "triton"])
@pytest.mark.parametrize("over_time", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_it_is_equations_3_and_4(device, size, over_time, form):
    inputs = [x.detach() for x in drawn(size, device, over_time=over_time)]
    with kernels.using(form):
        (mask,) = masked(*inputs)
    torch.testing.assert_close(mask, by_hand(*inputs), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("over_time", [True, False])
@pytest.mark.parametrize("size", SIZES[1:4])
def test_errors_in_bfloat16_are_at_most_twice_those_of_the_plain_form(device, size, over_time):
    inputs = [x.detach() for x in drawn(size, device, torch.bfloat16, over_time=over_time)]
    (exact,) = masked(*(x.double() for x in inputs))
    (plain,) = masked(*inputs)
    with kernels.using("triton"):
        (found,) = masked(*inputs)
    assert found.dtype == plain.dtype == torch.bfloat16
    last_bit = torch.finfo(torch.bfloat16).eps  # Triton's interpreter rounds towards zero
    assert (found - exact).abs().max() <= 2 * (plain - exact).abs().max() + last_bit * exact.abs().max()


def test_weights_may_be_wider_than_what_was_pooled(device):
    inputs = [x.detach() for x in drawn(SIZES[0], device)]
    narrow = [x.bfloat16() for x in inputs[:2]]
    with kernels.using("triton"):
        (mask,) = masked(*narrow, *inputs[2:])
    torch.testing.assert_close(mask, masked(*(x.float() for x in narrow), *inputs[2:])[0])


@pytest.mark.parametrize("create_graph", [False, True])
def test_gradients_are_those_of_the_plain_form(device, create_graph):
    inputs = drawn(SIZES[0], device)
    gradients = []
    for form in ("plain", "triton"):
        with kernels.using(form):
            (mask,) = masked(*inputs)
            gradients.append(torch.autograd.grad(mask.square().sum(), inputs, create_graph=create_graph))
    torch.testing.assert_close(*gradients)
    assert all(gradient.requires_grad == create_graph for gradient in gradients[1])


@pytest.mark.parametrize(
    ("size", "dtype"), [((1, 8, 17, 4), torch.float32), (SIZES[0], torch.float64)], ids=["long", "float64"]
)
def test_what_no_program_can_hold_takes_the_plain_form(device, monkeypatch, size, dtype):
    monkeypatch.setattr(module, "_channel_mask", None)
    inputs = [x.detach() for x in drawn(size, device, dtype)]
    with kernels.using("triton"):
        assert masked(*inputs)[0].shape == size[:3]
