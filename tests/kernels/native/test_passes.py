"""What only the native passes can get wrong: threads, rounding, lines longer than their lanes, and their arguments."""

import ctypes

import pytest
import torch

from w3action import kernels
from w3action.kernels.native import passes

pytestmark = pytest.mark.skipif(not passes.available(torch.float32), reason="there are no native passes here")

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
def test_nan_is_seen_in_gradients_too(dtype, channels_last):
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


def arguments_of(name: str, planes: torch.Tensor) -> tuple[passes._Layout, list]:
    """A call that is right: channels of planes run along memory."""
    layout = passes._Layout.of(planes)
    b, t, c, p = planes.shape
    numbers = {"outer": torch.ones(b, t, p), "inner": torch.ones(b, t, c), "chunks": layout.chunks()}
    features = layout.features(planes)
    kinds = getattr(layout.functions, name).argtypes[1:-1]
    given = [1 if kind is ctypes.c_int else features if kind is passes._Features else None for kind in kinds]
    return layout, [numbers[kind.of].clone() if it is None else it for kind, it in zip(kinds, given, strict=True)]


def planes_of(c: int = 5, p: int = 7) -> torch.Tensor:
    return torch.ones(2, 3, p, c).transpose(2, 3)


@pytest.mark.parametrize("name", passes.PASSES)
def test_arguments_in_a_wrong_order_are_refused_before_memory_is_touched(name):
    layout, right = arguments_of(name, planes_of())
    function = getattr(layout.functions, name)
    layout.run(function, *right)
    kinds = function.argtypes[1:-1]
    swapped = 0
    for i in range(len(right)):
        for j in range(i):
            if kinds[i] == kinds[j] or {getattr(kind, "of", kind) for kind in (kinds[i], kinds[j])} == {"chunks"}:
                continue
            wrong = list(right)
            wrong[i], wrong[j] = wrong[j], wrong[i]
            both = [argument.numel() for argument in (right[i], right[j]) if isinstance(argument, torch.Tensor)]
            if len(both) == 2 and both[0] == both[1]:  # what is swapped then stays inside its memory
                continue
            with pytest.raises((ctypes.ArgumentError, ValueError)):
                layout.run(function, *wrong)
            swapped += 1
    assert swapped > 0


@pytest.mark.parametrize("name", passes.PASSES)
def test_arguments_of_another_type_are_refused(name):
    layout, right = arguments_of(name, planes_of())
    function = getattr(layout.functions, name)
    for i, kind in enumerate(function.argtypes[1:-1]):
        for wrong in ("text", 1.5, torch.ones(2).double(), right[i].double() if hasattr(right[i], "double") else 0.5):
            with pytest.raises((ctypes.ArgumentError, ValueError)):
                layout.run(function, *right[:i], wrong, *right[i + 1 :])
        if isinstance(kind, passes._Numbers):
            turned = torch.ones(2, 2).t()[:, :1].expand(2, 2)
            with pytest.raises(ctypes.ArgumentError, match="contiguous"):
                function(layout.shape, *right[:i], turned, *right[i + 1 :], 1)
            if not kind.optional:
                with pytest.raises(ctypes.ArgumentError):
                    layout.run(function, *right[:i], None, *right[i + 1 :])
    with pytest.raises(TypeError):
        function(layout.shape, *right[:-1])
    with pytest.raises(ValueError, match="zip"):
        layout.run(function, *right[:-1])


def test_planes_that_lie_otherwise_are_refused():
    layout = passes._Layout.of(planes_of())
    for wrong in (planes_of(p=8), planes_of().bfloat16(), planes_of().contiguous()):
        with pytest.raises(ValueError, match="they must be as the first ones"):
            layout.features(wrong)


def test_pixels_in_a_wrong_order_or_type_are_refused():
    pixels = torch.zeros(1, 4, 5, 3, dtype=torch.uint8).permute(3, 0, 1, 2)
    factor, term, floats = torch.ones(3), torch.zeros(3), torch.empty(3, 1, 4, 5)
    passes.normalize(pixels, factor, term, floats)
    for wrong in (
        (floats, factor, term, pixels),
        (pixels, floats, term, factor),
        (pixels, factor.double(), term, floats),
        (pixels, factor, term, floats.double()),
        (pixels, factor, term, floats[:, :, :3]),
        (pixels.contiguous(), factor, term, floats),
    ):
        with pytest.raises((ctypes.ArgumentError, ValueError)):
            passes.normalize(*wrong)
