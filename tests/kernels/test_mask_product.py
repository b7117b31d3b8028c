"""`apply_masks` against equation 2 written out, in every form, order of memory and type."""

import jaxtyping
import pytest
import torch

from w3action import kernels

FORMS = ("native", "triton")
PARTS = ("channel", "spatial", "shortcut", "relu")
CHOICES = [PARTS, PARTS[:2], PARTS[:3], ("channel",), ("spatial", "relu"), ()]


def inputs_for(x: torch.Tensor, chosen: tuple[str, ...]) -> dict[str, torch.Tensor]:
    b, c, t, h, w = x.shape
    shapes = {"channel": (b, c, t), "spatial": (b, t, h, w), "shortcut": x.shape}
    numbers = torch.Generator().manual_seed(3)
    drawn = {
        name: torch.rand(shape, generator=numbers, dtype=torch.float64).sub_(0.5 if name == "shortcut" else 0.0)
        for name, shape in shapes.items()
    }
    return {name: drawn[name].to(x).requires_grad_() for name in shapes if name in chosen}


def applied(chosen: tuple[str, ...]):
    """The function of the tensors that `chosen` names."""
    names = [name for name in PARTS[:3] if name in chosen]

    def apply(x, *tensors):
        given = dict.fromkeys(PARTS[:3]) | dict(zip(names, tensors, strict=True))
        y = kernels.apply_masks(
            x, given["channel"], given["spatial"], shortcut=given["shortcut"], relu="relu" in chosen
        )
        return (y,)

    return apply


@pytest.mark.parametrize("form", ["plain", *FORMS])
@pytest.mark.parametrize("chosen", CHOICES, ids="+".join)
def test_it_is_equation_2(draw, size, order, chosen, form):
    x = draw(size, order)
    given = inputs_for(x, chosen)
    with kernels.using(form):
        (y,) = applied(chosen)(x, *given.values())
    expected = x.detach().clone()
    if "channel" in chosen:
        expected *= given["channel"][:, :, :, None, None]
    if "spatial" in chosen:
        expected *= given["spatial"][:, None]
    if "shortcut" in chosen:
        expected += given["shortcut"]
    if "relu" in chosen:
        expected[expected < 0] = 0
    torch.testing.assert_close(y, expected)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("chosen", [PARTS, ("channel", "spatial")], ids="+".join)
def test_errors_are_at_most_twice_those_of_the_plain_form(draw, check_errors, size, order, dtype, chosen, form):
    x = draw(size, order, dtype)
    check_errors(applied(chosen), [x, *inputs_for(x, chosen).values()], form)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("chosen", CHOICES[:5], ids="+".join)
def test_gradients_are_those_of_finite_differences(draw, chosen, form):
    x = draw((1, 2, 2, 2, 3), dtype=torch.float64)
    with kernels.using(form):
        assert torch.autograd.gradcheck(applied(chosen), (x, *inputs_for(x, chosen).values()), fast_mode=True)


@pytest.mark.parametrize("form", ["plain", *FORMS])
def test_a_relu_passes_no_gradient_at_zero_and_hides_nothing(device, form):
    x = torch.tensor([0.0, -1.0, 2.0, torch.nan], device=device).view(1, 4, 1, 1, 1).requires_grad_()
    with kernels.using(form):
        y = kernels.apply_masks(x, None, None, relu=True)
        y[:, :3].sum().backward()
    assert y.flatten()[:3].tolist() == [0.0, 0.0, 2.0]
    assert y.flatten()[3].isnan()
    assert x.grad.flatten().tolist()[:3] == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("form", FORMS)
def test_the_product_of_features_and_channel_mask_is_not_kept(draw, form):
    x = draw((1, 4, 2, 3, 3))
    given = inputs_for(x, PARTS[:3])
    kept = []
    with kernels.using(form), torch.autograd.graph.saved_tensors_hooks(lambda y: kept.append(y) or y, lambda y: y):
        applied(PARTS[:3])(x, *given.values())
    as_large_as_x = {y.data_ptr() for y in kept if y.numel() == x.numel()}
    assert as_large_as_x == {x.data_ptr()}


def test_a_tensor_of_another_shape_is_refused_by_name(draw, monkeypatch):
    x = draw((1, 4, 2, 3, 3))
    wrong = torch.ones(1, 2, 3, 4, device=x.device)
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is for users
    with pytest.raises(ValueError, match=r"spatial is \(1, 2, 3, 4\).*it must be \(1, 2, 3, 3\)"):
        kernels.apply_masks(x, None, wrong)


@pytest.mark.parametrize("relu", [True, False])
def test_the_operator_has_the_plain_form_too(draw, order, relu):
    """As compiled and exported programs call it where there is no native library."""
    x = draw((1, 2, 2, 2, 3), order, torch.float64)
    given = inputs_for(x, PARTS[:3])
    rows = given["channel"].detach().transpose(1, 2).contiguous().requires_grad_()

    def apply(*tensors):
        return torch.ops.w3action.apply_masks(*tensors, relu)

    with kernels.using("plain"):
        assert torch.autograd.gradcheck(apply, (x, rows, given["spatial"], given["shortcut"]), fast_mode=True)
        assert apply(x, None, None, None).data_ptr() != x.data_ptr()
