"""What only the compiled functions can get wrong: threads, rounding, and lines longer than their lanes."""

import pytest
import torch

from w3action import kernels
from w3action.kernels import native

pytestmark = pytest.mark.skipif(not native.available(torch.float32), reason="there are no compiled functions here")

LARGE = (2, 67, 3, 13, 11)  # 57,486 numbers: enough to wake threads, and neither lanes nor chunks are full


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def everything(x, channel, spatial, shortcut):
    average, maximum = kernels.pool_planes(x)
    places = kernels.gated_channel_pool(x, channel)
    return average, maximum, *places, kernels.apply_masks(x, channel, spatial, shortcut=shortcut, relu=True)


@pytest.mark.parametrize("channels_last", [True, False])
def test_two_threads_compute_what_the_plain_form_does(two_threads, channels_last):
    b, c, t, h, w = LARGE
    memory = torch.channels_last_3d if channels_last else torch.contiguous_format
    numbers = torch.Generator().manual_seed(0)
    x, shortcut = (torch.randn(LARGE, generator=numbers).to(memory_format=memory) for _ in range(2))
    channel, spatial = (torch.rand(shape, generator=numbers) for shape in ((b, c, t), (b, t, h, w)))
    given = [y.requires_grad_() for y in (x, channel, spatial, shortcut)]
    found = []
    for form in ("native", "plain"):
        with kernels.using(form):
            outputs = everything(*given)
            found.append([*outputs, *torch.autograd.grad(sum((y * y).sum() for y in outputs), given)])
    for ours, plain in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-4)


def test_numbers_are_rounded_to_bfloat16_as_pytorch_rounds_them():
    exact = torch.tensor([1.0, 1.0 + 2**-8, 1.0 + 3 * 2**-8, -1.0 - 2**-8, 3e38, 1e-40, 0.0, -0.0])  # two are ties
    endless = torch.tensor([torch.inf, -torch.inf, torch.nan, -torch.nan])
    for values, scales in ((torch.ones(8), exact), (endless, torch.full((4,), 2.0))):
        with kernels.using("native"):
            found = kernels.apply_masks(values.bfloat16().view(1, -1, 1, 1, 1), scales.view(1, -1, 1), None).flatten()
        expected = (values * scales).bfloat16()
        numbers = ~expected.isnan()
        assert torch.equal(found.view(torch.int16)[numbers], expected.view(torch.int16)[numbers])
        assert torch.equal(found.isnan(), expected.isnan())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("channels_last", [True, False])
def test_what_is_no_number_is_seen_in_gradients_too(dtype, channels_last):
    x = torch.randn(1, 40, 2, 6, 6).to(dtype)
    x[0, 3, 1, 2, 2] = torch.nan
    x = x.to(memory_format=torch.channels_last_3d if channels_last else torch.contiguous_format).requires_grad_()
    mask = torch.rand(1, 40, 2, dtype=dtype).requires_grad_()
    found = []
    for form in ("native", "plain"):
        with kernels.using(form):
            pooled = [y.float().sum() for y in (*kernels.pool_planes(x), *kernels.gated_channel_pool(x, mask))]
            found.append([y.isnan() for y in torch.autograd.grad(sum(pooled), (x, mask))])
    for ours, plain in zip(*found, strict=True):
        assert torch.equal(ours, plain)
