"""The hash against its definition written out in loops, and on copies and others of drawn clips."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import decode

from w3action.datasets.doctor.fingerprint import LENGTH, alike_pairs, fingerprint, middles_of


def cosine(length: int, frequency: int, place: int) -> float:
    scale = math.sqrt((1 if frequency == 0 else 2) / length)
    return scale * math.cos(math.pi * (2 * place + 1) * frequency / (2 * length))


def test_signs_are_those_of_the_low_frequencies():
    frames = np.random.default_rng(0).integers(0, 256, (8, 32, 32), dtype=np.uint8)
    signs = fingerprint(frames).reshape(-1)
    assert signs.shape == (LENGTH,)
    for a, b, c in [(0, 0, 1), (0, 3, 0), (1, 0, 0), (2, 5, 7), (3, 7, 7)]:
        wave = sum(
            cosine(8, a, t) * cosine(32, b, y) * cosine(32, c, x) * float(frames[t, y, x])
            for t in range(8)
            for y in range(32)
            for x in range(32)
        )
        expected = 0 if abs(wave) <= 8 else int(np.sign(wave))
        assert signs[(a * 8 + b) * 8 + c - 1] == expected, (a, b, c, wave)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.6, 1.4), st.integers(0, 40))
def test_light_changes_little(seed, contrast, brightness):
    rng = np.random.default_rng(seed)
    frames = np.kron(rng.integers(0, 150, (8, 4, 4)), np.ones((1, 8, 8))).astype(np.uint8)
    darker = (frames * contrast + brightness).clip(0, 255).astype(np.uint8)
    pairs = list(alike_pairs(fingerprint(frames)[None], fingerprint(darker)[None], at_least=-1))
    assert pairs[0][2] > 0.9


def test_a_picture_with_nothing_in_it_is_like_nothing():
    black = fingerprint(np.zeros((8, 32, 32), np.uint8))
    assert not black.any()
    assert list(alike_pairs(black[None], black[None])) == []


@pytest.mark.parametrize("num_frames", [1, 5, 8, 100])
def test_frames_are_the_middles_of_eight_parts(num_frames):
    frames = middles_of(num_frames)
    assert frames == [int((2 * place + 1) * num_frames / 16) for place in range(8)]
    assert all(0 <= number < num_frames for number in frames)


def test_pairs_are_found_in_every_block(monkeypatch):
    monkeypatch.setattr("w3action.datasets.doctor.fingerprint._BLOCK", 7)
    rng = np.random.default_rng(1)
    left, right = (rng.integers(-1, 2, (number, LENGTH)).astype(np.int8) for number in (20, 30))
    right[[3, 29]] = left[[19, 0]]
    assert {(row, column) for row, column, _ in alike_pairs(left, right)} == {(19, 3), (0, 29)}
    row, column, likeness = next(alike_pairs(left, right, at_least=0.2))
    a, b = left[row].astype(float), right[column].astype(float)
    assert likeness == pytest.approx(a @ b / np.sqrt((a @ a) * (b @ b)), abs=1e-5)


def test_clips_of_one_camera_are_told_apart_and_copies_are_not(shared_dir):
    clips = sorted((shared_dir / "data/hand_motion/clips").glob("*.mp4"))[::14][:40]
    if not clips:
        pytest.skip("no hand_motion clips beside this checkout")
    prints, copies = [], []
    for path in clips:
        frames = decode(path, middles_of, short_side=32).frames.float().mean(0)  # (t, h, w)
        noise = np.random.default_rng(0).normal(0, 4, frames.shape)
        prints.append(fingerprint(frames.byte().numpy()))
        copies.append(fingerprint((0.8 * frames.numpy() + 20 + noise).clip(0, 255).astype(np.uint8)))
    stacked = np.stack(prints)
    assert [pair[:2] for pair in alike_pairs(stacked, np.stack(copies))] == [(row, row) for row in range(40)]
