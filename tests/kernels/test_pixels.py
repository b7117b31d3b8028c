"""Pixels become the same floats, bit by bit, whichever form computes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from w3action.kernels import scale_pixels, using
from w3action.kernels.native import passes

SCALE, SHIFT = torch.tensor([0.017, 0.0175, 0.0174]), torch.tensor([2.1, 2.0, 1.8])


def decoded(t: int, h: int, w: int) -> torch.Tensor:
    """Frames (3, t, h, w) that lie in memory as (t, h, w, 3)."""
    levels = np.random.default_rng(t * h * w).integers(0, 256, (t, h, w, 3), np.uint8)
    return torch.from_numpy(levels).permute(3, 0, 1, 2)


def formula(frames: torch.Tensor) -> np.ndarray:
    scale, shift = (values.numpy()[:, None, None, None] for values in (SCALE, SHIFT))
    return frames.numpy().astype(np.float32) * scale - shift


@pytest.fixture
def asked(monkeypatch):
    """For each call that wanted the native form, whether there was one."""
    found, available = [], passes.available
    monkeypatch.setattr(passes, "available", lambda dtype: found.append(available(dtype)) or found[-1])
    return found


@settings(deadline=None)  # the first call compiles
@given(st.integers(1, 3), st.integers(1, 20), st.integers(1, 40), st.integers(0, 3), st.integers(0, 5))
def test_crops_are_scaled_as_the_formula_says(t, h, w, y, x):
    frames = decoded(t, h + y, w + x)[..., y:, x:]
    expected = torch.from_numpy(formula(frames))
    for form in ("native", "plain"):
        with using(form):
            assert torch.equal(scale_pixels(frames, SCALE, SHIFT), expected)


def test_every_level_is_exact():
    frames = torch.arange(256, dtype=torch.uint8).view(1, 1, 256, 1).expand(2, 1, 256, 3).contiguous()
    frames = frames.permute(3, 0, 1, 2)
    assert torch.equal(scale_pixels(frames, SCALE, SHIFT), torch.from_numpy(formula(frames)))


def test_other_orders_types_and_batches_take_pytorchs_operators(asked):
    frames = decoded(2, 5, 7)
    expected = torch.from_numpy(formula(frames))
    for given_frames in (frames.contiguous(), frames.float(), frames.double()):
        assert torch.equal(scale_pixels(given_frames, SCALE, SHIFT), expected)
    assert torch.equal(scale_pixels(torch.stack([frames, frames]), SCALE, SHIFT), torch.stack([expected, expected]))
    flow = frames[:2]
    assert torch.equal(scale_pixels(flow, SCALE[:2], SHIFT[:2]), expected[:2])
    with using("plain"):
        scale_pixels(frames, SCALE, SHIFT)
    assert asked == []


@pytest.mark.skipif(not passes.available(torch.uint8), reason="there is no C compiler here")
def test_what_decoders_give_takes_the_native_form(asked):
    for frames in (decoded(2, 5, 7)[..., 1:, 2:], decoded(2, 5, 7).flip(-1)):
        assert scale_pixels(frames, SCALE, SHIFT).is_contiguous()
    assert len(asked) == 2
    assert all(asked)


def test_factors_are_float32_in_both_forms():
    frames = decoded(1, 4, 4)
    for form in ("native", "plain"):
        with using(form):
            assert torch.equal(scale_pixels(frames, SCALE.double(), SHIFT.double()), torch.from_numpy(formula(frames)))


def test_factors_may_learn():
    scale = SCALE.clone().requires_grad_()
    frames = decoded(1, 4, 4)
    scale_pixels(frames, scale, SHIFT).sum().backward()
    torch.testing.assert_close(scale.grad, frames.sum((1, 2, 3)).float())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_pytorchs_default_type_does_not_matter(dtype):
    frames = decoded(2, 5, 7)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        found = scale_pixels(frames, SCALE, SHIFT)
    finally:
        torch.set_default_dtype(before)
    assert torch.equal(found, torch.from_numpy(formula(frames)))


def test_pytorchs_default_device_does_not_matter():
    frames = decoded(2, 5, 7)
    with torch.device("meta"):
        found = scale_pixels(frames, SCALE, SHIFT)
    assert torch.equal(found, torch.from_numpy(formula(frames)))


def test_a_traced_call_computes_anew():
    frames, others = decoded(2, 5, 7), decoded(2, 5, 7).flip(1)
    traced = torch.jit.trace(lambda x: scale_pixels(x, SCALE, SHIFT), frames)
    assert torch.equal(traced(others), torch.from_numpy(formula(others)))


def test_without_a_compiler_the_same_bits_come(monkeypatch):
    frames = decoded(2, 9, 33)
    expected = scale_pixels(frames, SCALE, SHIFT)
    monkeypatch.setattr(passes, "available", lambda dtype: False)
    assert torch.equal(scale_pixels(frames, SCALE, SHIFT), expected)


def test_no_frames_give_none():
    assert scale_pixels(decoded(2, 5, 7)[:, :0], SCALE, SHIFT).shape == (3, 0, 5, 7)
