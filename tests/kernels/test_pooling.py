"""Pooling over places and channels against sums and maxima written out, in every form, order of memory and type."""

import jaxtyping
import pytest
import torch

from w3action import kernels

FORMS = ("native", "triton")


def mask_for(x: torch.Tensor) -> torch.Tensor:
    numbers = torch.Generator().manual_seed(7)
    return torch.rand(x.shape[:3], generator=numbers, dtype=torch.float64).to(x).requires_grad_()


@pytest.mark.parametrize("form", ["plain", *FORMS])
@pytest.mark.parametrize("gated", [True, False])
def test_it_is_average_and_maximum_over_the_channels(draw, size, order, gated, form):
    x = draw(size, order)
    mask = mask_for(x) if gated else None
    with kernels.using(form):
        average, maximum = kernels.gated_channel_pool(x, mask)
    for clip in range(size[0]):
        for frame in range(size[2]):
            features = x[clip, :, frame]
            if mask is not None:
                features = features * mask[clip, :, frame, None, None]
            torch.testing.assert_close(average[clip, frame], features.sum(dim=0) / size[1])
            torch.testing.assert_close(maximum[clip, frame], features.sort(dim=0).values[-1])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_errors_over_channels_are_at_most_twice_those_of_the_plain_form(draw, check_errors, size, order, dtype, form):
    x = draw(size, order, dtype)
    check_errors(kernels.gated_channel_pool, [x, mask_for(x)], form)
    check_errors(lambda x: kernels.gated_channel_pool(x, None), [x], form)


@pytest.mark.parametrize("form", FORMS)
def test_gradients_over_channels_are_those_of_finite_differences(draw, form):
    x = draw((1, 3, 2, 2, 2), dtype=torch.float64)
    with kernels.using(form):
        assert torch.autograd.gradcheck(kernels.gated_channel_pool, (x, mask_for(x)), fast_mode=True)


@pytest.mark.parametrize("form", ["plain", *FORMS])
def test_channels_that_share_the_maximum_share_its_gradient(device, form):
    x = torch.tensor([1.0, 4.0, 2.0, 1.0], device=device).view(1, 4, 1, 1, 1).requires_grad_()
    mask = torch.tensor([1.0, 0.5, 1.0, 1.0], device=device).view(1, 4, 1).requires_grad_()
    with kernels.using(form):
        kernels.gated_channel_pool(x, mask)[1].sum().backward()
    assert x.grad.flatten().tolist() == [0.0, 0.25, 0.5, 0.0]
    assert mask.grad.flatten().tolist() == [0.0, 2.0, 1.0, 0.0]


@pytest.mark.parametrize("form", ["plain", *FORMS])
def test_nan_in_a_channel_wins(draw, form):
    x = draw((1, 5, 2, 2, 3)).detach().clone()
    x[0, 3, 1, 1, 2] = torch.nan
    with kernels.using(form):
        for pooled in kernels.gated_channel_pool(x, mask_for(x)):
            assert pooled.isnan().sum() == 1
            assert pooled[0, 1, 1, 2].isnan()


def test_a_mask_of_another_shape_is_refused(draw, monkeypatch):
    x = draw((1, 4, 2, 3, 3))
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is for users
    with pytest.raises(ValueError, match=r"mask is \(1, 4, 1\); for features \(1, 4, 2, 3, 3\) it must be \(1, 4, 2\)"):
        kernels.gated_channel_pool(x, torch.ones(1, 4, 1, device=x.device))


@pytest.mark.parametrize("form", ["plain", *FORMS])
def test_it_is_average_and_maximum_of_each_plane(draw, size, order, form):
    x = draw(size, order)
    with kernels.using(form):
        average, maximum = kernels.pool_planes(x)
    b, c, t, h, w = size
    for clip in range(b):
        for frame in range(t):
            planes = x[clip, :, frame].reshape(c, h * w)
            torch.testing.assert_close(average[clip, :, frame], planes.sum(dim=1) / (h * w))
            assert torch.equal(maximum[clip, :, frame], planes.sort(dim=1).values[:, -1])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_errors_over_places_are_at_most_twice_those_of_the_plain_form(draw, check_errors, size, order, dtype, form):
    check_errors(kernels.pool_planes, [draw(size, order, dtype)], form)


@pytest.mark.parametrize("form", FORMS)
def test_gradients_over_places_are_those_of_finite_differences(draw, form):
    with kernels.using(form):
        x = draw((1, 2, 2, 2, 3), dtype=torch.float64)
        assert torch.autograd.gradcheck(kernels.pool_planes, (x,), fast_mode=True)


@pytest.mark.parametrize("form", ["plain", *FORMS])
def test_places_that_share_the_maximum_share_its_gradient(device, form):
    x = torch.tensor([3.0, 1.0, 3.0, 3.0], device=device).view(1, 1, 1, 2, 2).requires_grad_()
    with kernels.using(form):
        kernels.pool_planes(x)[1].sum().backward()
    torch.testing.assert_close(x.grad.flatten(), torch.tensor([1 / 3, 0.0, 1 / 3, 1 / 3], device=device))


@pytest.mark.parametrize("form", ["plain", *FORMS])
@pytest.mark.parametrize("place", [0, 5])
def test_nan_in_a_plane_wins(draw, form, place):
    x = draw((1, 3, 2, 2, 3)).detach().clone()
    x[0, 1, 1].view(-1)[place] = torch.nan
    x[0, 2, 0, 0, 0] = torch.inf
    with kernels.using(form):
        average, maximum = kernels.pool_planes(x)
    for pooled in (average, maximum):
        assert pooled.isnan().sum() == 1
        assert pooled[0, 1, 1].isnan()
        assert pooled[0, 2, 0].isinf()


def test_large_planes_are_cut_into_parts_and_joined(draw):
    x = draw((1, 2, 1, 64, 65))  # more places than a tile, fewer planes than a GPU has room for
    with kernels.using("triton"):
        average, maximum = kernels.pool_planes(x)
    torch.testing.assert_close(average, x.mean(dim=(3, 4)))
    assert torch.equal(maximum, x.amax(dim=(3, 4)))


def over_places(x, weights=None):
    """The operator of a form that autograd does not see into, as compiled and exported programs call it."""
    return torch.ops.w3action.pool(x, None, False)


def over_channels(x, weights):
    return torch.ops.w3action.pool(x, weights, True)


@pytest.mark.parametrize("function", [over_places, over_channels])
def test_the_operator_has_the_plain_form_too(draw, function):
    x, rows = draw((1, 3, 2, 2, 2), dtype=torch.float64), mask_for(draw((1, 2, 3, 1, 1), dtype=torch.float64))
    with kernels.using("plain"):
        assert torch.autograd.gradcheck(function, (x, rows) if function is over_channels else (x,), fast_mode=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("function", [over_places, over_channels])
def test_the_operator_s_plain_form_is_the_native_one(draw, size, order, dtype, function):
    x, rows = draw(size, order, dtype), mask_for(draw((size[0], size[2], size[1], 1, 1)))
    found = []
    for form in ("native", "plain"):
        with kernels.using(form):
            outputs = function(x, rows)
            inputs = (x, rows) if function is over_channels else (x,)
            found.append([*outputs, *torch.autograd.grad([y.float().sum() for y in outputs], inputs)])
    for ours, plain in zip(*found, strict=True):
        assert ours.stride() == plain.stride()
        torch.testing.assert_close(ours, plain)
