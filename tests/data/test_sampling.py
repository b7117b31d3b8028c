import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w3action.data import sampling

FRAMES = st.integers(1, 500)
SEGMENTS = st.integers(1, 32)
SEEDS = st.integers(0, 2**32)


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


ALL = {
    "train_segments": lambda n, t, seed: sampling.train_segments(n, num_segments=t, rng=rng(seed)),
    "test_segments": lambda n, t, seed: sampling.test_segments(n, num_segments=t),
    "twice_segments": lambda n, t, seed: sampling.twice_segments(n, num_segments=t),
    "train_dense": lambda n, t, seed: sampling.train_dense(n, num_segments=t, rng=rng(seed)),
    "test_dense": lambda n, t, seed: sampling.test_dense(n, num_segments=t),
}
NUM_CLIPS = {"twice_segments": 2, "test_dense": 10}


@pytest.mark.parametrize("name", ALL)
@given(n=FRAMES, t=SEGMENTS, seed=SEEDS)
def test_shape_kind_range_and_reproducibility(name, n, t, seed):
    indices = ALL[name](n, t, seed)
    assert indices.shape == (NUM_CLIPS.get(name, 1), t)
    assert indices.dtype == np.int64
    assert indices.min() >= 0
    assert indices.max() < n
    assert np.array_equal(indices, ALL[name](n, t, seed))


@pytest.mark.parametrize("name", ["train_segments", "test_segments", "twice_segments"])
@given(n=FRAMES, t=SEGMENTS, seed=SEEDS)
def test_segments_are_in_order(name, n, t, seed):
    assert (np.diff(ALL[name](n, t, seed)) >= 0).all()


@given(n=FRAMES, t=SEGMENTS, seed=SEEDS)
def test_train_segments_stay_in_their_segment(n, t, seed):
    (indices,) = ALL["train_segments"](n, t, seed)
    d = n // t
    if d == 0:
        assert indices.tolist() == [0] * t
    else:
        assert [index // d for index in indices] == list(range(t))


def test_train_segments_reach_every_frame_of_a_segment_equally():
    generator = rng(0)
    draws = np.concatenate([sampling.train_segments(20, num_segments=4, rng=generator) for _ in range(4000)])
    for segment in range(4):
        frames, counts = np.unique(draws[:, segment], return_counts=True)
        assert frames.tolist() == list(range(5 * segment, 5 * segment + 5))
        assert counts.min() > 650  # of 800 expected


@given(n=FRAMES, t=SEGMENTS)
def test_test_segments_formula(n, t):
    tick = n / t
    assert sampling.test_segments(n, num_segments=t)[0].tolist() == [int(tick / 2 + tick * i) for i in range(t)]


@given(n=FRAMES, t=SEGMENTS)
def test_twice_segments_formula(n, t):
    tick = n / t
    middles = [int(tick / 2 + tick * i) for i in range(t)]
    starts = [int(tick * i) for i in range(t)]
    assert sampling.twice_segments(n, num_segments=t).tolist() == [middles, starts]


@given(n=FRAMES, t=SEGMENTS, seed=SEEDS)
def test_train_dense_formula(n, t, seed):
    (indices,) = ALL["train_dense"](n, t, seed)
    start = int(indices[0])
    assert start <= max(0, n - 64)
    assert indices.tolist() == [(start + i * (64 // t)) % n for i in range(t)]


def test_train_dense_reaches_every_start():
    generator = rng(0)
    starts = {int(sampling.train_dense(70, num_segments=8, rng=generator)[0, 0]) for _ in range(300)}
    assert starts == set(range(7))


@given(n=FRAMES, t=SEGMENTS, num_clips=st.integers(1, 12))
def test_test_dense_formula(n, t, num_clips):
    indices = sampling.test_dense(n, num_segments=t, num_clips=num_clips)
    last = max(0, n - 64)
    for clip, row in enumerate(indices.tolist()):
        start = int(clip * (last / (num_clips - 1))) if num_clips > 1 else 0
        assert abs(row[0] - start) <= 1  # floor of a float
        assert row == [(row[0] + i * (64 // t)) % n for i in range(t)]
    if num_clips > 1:
        assert indices[-1, 0] == last


def test_more_segments_than_the_dense_window_take_successive_frames():
    assert sampling.test_dense(100, num_segments=6, num_clips=1, window=4).tolist() == [[0, 1, 2, 3, 4, 5]]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("n", "t", "message"),
    [(0, 8, "num_frames is 0 but must be at least 1"), (8, 0, "num_segments is 0 but must be at least 1")],
)
def test_counts_must_be_positive(name, n, t, message):
    with pytest.raises(ValueError, match=message):
        ALL[name](n, t, 0)


def test_dense_counts_must_be_positive():
    with pytest.raises(ValueError, match="num_clips is 0"):
        sampling.test_dense(8, num_segments=2, num_clips=0)
    with pytest.raises(ValueError, match="window is -1"):
        sampling.train_dense(8, num_segments=2, window=-1, rng=rng(0))
