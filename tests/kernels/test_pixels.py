"""Pixels become the same floats, bit by bit, whichever form computes."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from w3action.kernels import pixels, scale_pixels, using

SCALE, SHIFT = torch.tensor([0.017, 0.0175, 0.0174]), torch.tensor([2.1, 2.0, 1.8])


def decoded(t: int, h: int, w: int) -> torch.Tensor:
    """Frames (3, t, h, w) that lie in memory as (t, h, w, 3)."""
    levels = np.random.default_rng(t * h * w).integers(0, 256, (t, h, w, 3), np.uint8)
    return torch.from_numpy(levels).permute(3, 0, 1, 2)


def formula(frames: torch.Tensor) -> np.ndarray:
    scale, shift = (values.numpy()[:, None, None, None] for values in (SCALE, SHIFT))
    return frames.numpy().astype(np.float32) * scale - shift


@pytest.fixture
def compiled(monkeypatch):
    """Which calls asked for the compiled function."""
    calls, library = [], pixels.library
    monkeypatch.setattr(pixels, "library", lambda code: calls.append(code) or library(code))
    return calls


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


def test_other_orders_types_and_batches_take_pytorchs_operators(compiled):
    frames = decoded(2, 5, 7)
    expected = torch.from_numpy(formula(frames))
    for given_frames in (frames.contiguous(), frames.float(), frames.double()):
        assert torch.equal(scale_pixels(given_frames, SCALE, SHIFT), expected)
    assert torch.equal(scale_pixels(torch.stack([frames, frames]), SCALE, SHIFT), torch.stack([expected, expected]))
    flow = frames[:2]
    assert torch.equal(scale_pixels(flow, SCALE[:2], SHIFT[:2]), expected[:2])
    with using("plain"):
        scale_pixels(frames, SCALE, SHIFT)
    assert compiled == []


def test_what_decoders_give_is_compiled(compiled):
    found = scale_pixels(decoded(2, 5, 7)[..., 1:, 2:], SCALE, SHIFT)
    assert compiled == [pixels.CODE]
    assert found.is_contiguous()


def test_without_a_compiler_the_same_bits_come(monkeypatch):
    frames = decoded(2, 9, 33)
    expected = scale_pixels(frames, SCALE, SHIFT)
    monkeypatch.setattr(pixels, "library", lambda code: None)
    assert torch.equal(scale_pixels(frames, SCALE, SHIFT), expected)


def test_no_frames_give_none():
    assert scale_pixels(decoded(2, 5, 7)[:, :0], SCALE, SHIFT).shape == (3, 0, 5, 7)
