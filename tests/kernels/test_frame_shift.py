"""`shift_frames` against its definition, element by element, in every form, order of memory and type."""

import pytest
import torch

from w3action import kernels

FORMS = ("plain", "native", "triton")


def shifted(x: torch.Tensor, from_next: int, from_previous: int) -> torch.Tensor:
    y = torch.zeros_like(x)
    for channel in range(x.shape[1]):
        ahead = 1 if channel < from_next else -1 if channel < from_next + from_previous else 0
        for frame in range(x.shape[2]):
            if 0 <= frame + ahead < x.shape[2]:
                y[:, channel, frame] = x[:, channel, frame + ahead]
    return y


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("from_next", "from_previous"), [(2, 1), (0, 3), (5, 0), (0, 0)])
def test_every_number_comes_from_where_the_definition_says(draw, size, order, dtype, from_next, from_previous, form):
    x = draw(size, order, dtype)
    with kernels.using(form):
        y = kernels.shift_frames(x, from_next=from_next, from_previous=from_previous)
    assert torch.equal(y, shifted(x, from_next, from_previous))


@pytest.mark.parametrize("form", FORMS)
def test_gradients_go_back_to_the_frames_they_came_from(draw, form):
    x, seed = draw((2, 4, 3, 2, 2)), draw((2, 4, 3, 2, 2), seed=1)
    with kernels.using(form):
        (found,) = torch.autograd.grad(kernels.shift_frames(x, from_next=1, from_previous=2), x, seed)
    (expected,) = torch.autograd.grad(shifted(x, 1, 2), x, seed)
    assert torch.equal(found, expected)


@pytest.mark.parametrize(("from_next", "from_previous"), [(-1, 0), (0, -1), (3, 2)])
def test_channels_that_are_not_there_cannot_move(draw, from_next, from_previous):
    with pytest.raises(ValueError, match=rf"{from_next} and {from_previous} channels are to move; there are 4"):
        kernels.shift_frames(draw((1, 4, 2, 2, 2)), from_next=from_next, from_previous=from_previous)
