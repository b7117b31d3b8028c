"""Means, spreads and paired differences against loops that a reader can follow; a table of made-up runs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w3action.study.comparison import compile_report, paired_difference, summarize
from w3action.study.tables import STUDY_TABLES


def bootstrap_by_loops(gain: np.ndarray, *, resamples: int) -> tuple[float, float]:
    """Draw seeds, draw clips, average; the percentiles of many such averages."""
    rng = np.random.default_rng(1)
    means = []
    for _ in range(resamples):
        seeds = rng.integers(len(gain), size=len(gain))
        clips = rng.integers(gain.shape[1], size=gain.shape[1])
        means.append(gain[np.ix_(seeds, clips)].mean())
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def test_the_interval_is_that_of_a_bootstrap_over_seeds_and_clips():
    rng = np.random.default_rng(0)
    ours, theirs = rng.random((3, 200)) < 0.7, rng.random((3, 200)) < 0.6
    found = paired_difference(ours, theirs)
    gain = 100.0 * (ours.astype(float) - theirs)
    low, high = bootstrap_by_loops(gain, resamples=4000)
    assert found.mean == pytest.approx(gain.mean())
    assert (found.low, found.high) == (pytest.approx(low, abs=0.8), pytest.approx(high, abs=0.8))


def test_seeds_that_disagree_widen_the_interval():
    """The same mean gain: once in every seed, once in one of three."""
    steady = np.zeros((3, 300), bool)
    steady[:, :30] = True
    moody = np.zeros((3, 300), bool)
    moody[0, :90] = True
    nothing = np.zeros((3, 300), bool)
    one, other = paired_difference(steady, nothing), paired_difference(moody, nothing)
    assert one.mean == pytest.approx(other.mean) == pytest.approx(10)
    assert other.high - other.low > 2 * (one.high - one.low)
    assert one.is_clear
    assert not other.is_clear


@given(st.integers(1, 4), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_a_network_does_not_differ_from_itself(num_seeds, num_clips, seed):
    correct = np.random.default_rng(seed).random((num_seeds, num_clips)) < 0.5
    found = paired_difference(correct, correct)
    assert (found.mean, found.low, found.high) == (0, 0, 0)
    assert not found.is_clear


def test_the_spread_is_that_of_a_sample():
    assert summarize([50.0, 54.0]).std == pytest.approx(8**0.5)
    assert summarize([50.0, 54.0]).mean == 52
    assert summarize([50.0]).std is None


def test_rows_are_joined_with_the_paper_and_compared_over_shared_seeds(made_up):
    report = compile_report(
        STUDY_TABLES["table6"],
        made_up(
            ("tsm", 0, [0, 1, 2]),
            ("tsm", 1, [0, 1]),
            ("cbam", 1, [0, 1, 2, 3]),
            ("w3", 5, [0]),
        ),
        about={},
    )
    tsm, cbam, w3 = report.lines
    assert [line.label for line in report.lines] == ["TSM", "TSM + CBAM", "TSM + W3, w/o MFR"]
    assert (tsm.paper_top1, tsm.top1.mean, tsm.seeds, tsm.difference) == (47.2, 25.0, (0, 1), None)
    assert tsm.train_clips_per_second == 100.5
    assert cbam.difference is not None
    assert cbam.difference.mean == pytest.approx(20)  # seed 1 alone is shared
    assert cbam.against == "TSM"
    assert w3.difference is None
    assert report.num_clips == 10
