"""`pool_planes` against sums and maxima written out, in every form, order of memory and type."""

import pytest
import torch

from w3action import kernels

FORMS = ("fused", "native", "triton")


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
def test_errors_are_at_most_twice_those_of_the_plain_form(draw, check_errors, size, order, dtype, form):
    check_errors(kernels.pool_planes, [draw(size, order, dtype)], form)


@pytest.mark.parametrize("form", FORMS)
def test_gradients_are_those_of_finite_differences(draw, form):
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
def test_what_is_no_number_is_not_passed_over(draw, form, place):
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
