"""`gated_channel_pool` against equation 5's two maps written out, in every form, order of memory and type."""

import jaxtyping
import pytest
import torch

from w3action import kernels

FORMS = ("fused", "native", "triton")


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
def test_errors_are_at_most_twice_those_of_the_plain_form(draw, check_errors, size, order, dtype, form):
    x = draw(size, order, dtype)
    check_errors(kernels.gated_channel_pool, [x, mask_for(x)], form)
    check_errors(lambda x: kernels.gated_channel_pool(x, None), [x], form)


@pytest.mark.parametrize("form", FORMS)
def test_gradients_are_those_of_finite_differences(draw, form):
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
def test_what_is_no_number_is_not_passed_over(draw, form):
    x = draw((1, 5, 2, 2, 3)).detach().clone()
    x[0, 3, 1, 1, 2] = torch.nan
    with kernels.using(form):
        for pooled in kernels.gated_channel_pool(x, mask_for(x)):
            assert pooled.isnan().sum() == 1
            assert pooled[0, 1, 1, 2].isnan()


def test_frames_larger_than_the_cache_are_cut_and_joined(draw, monkeypatch):
    x = draw((2, 5, 3, 20, 21))
    mask = mask_for(x)
    monkeypatch.setattr("w3action.kernels.layout.CACHED_BYTES", 1000)
    with kernels.using("fused"):
        found = kernels.gated_channel_pool(x, mask)
        gradients = torch.autograd.grad(found[0].sum() + found[1].square().sum(), (x, mask))
    with kernels.using("plain"):
        expected = kernels.gated_channel_pool(x, mask)
        wanted = torch.autograd.grad(expected[0].sum() + expected[1].square().sum(), (x, mask))
    torch.testing.assert_close((*found, *gradients), (*expected, *wanted))


def test_a_mask_of_another_shape_is_refused(draw, monkeypatch):
    x = draw((1, 4, 2, 3, 3))
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is for users
    with pytest.raises(ValueError, match=r"mask is \(1, 4, 1\); for features \(1, 4, 2, 3, 3\) it must be \(1, 4, 2\)"):
        kernels.gated_channel_pool(x, torch.ones(1, 4, 1, device=x.device))
