"""Runs that nobody ran, for reports."""

from collections.abc import Callable

import numpy as np
import pytest

from w3action.study.jobs import Result


@pytest.fixture(scope="session")
def made_up() -> Callable[..., dict[tuple[str, int], Result]]:
    """A function from (variant, seed, which of ten clips are right) to the results of such runs."""
    return lambda *runs: {(variant, seed): _result(variant, seed, right) for variant, seed, right in runs}


def _result(variant: str, seed: int, right: list[int]) -> Result:
    correct = np.isin(np.arange(10), right)
    top1 = 100 * float(correct.mean())
    return Result(variant, seed, top1, 90.0, top1, 99.0, 0.5, 1000, 100.0 + seed, 300.0, 9.0, "a.csv, test", correct)
