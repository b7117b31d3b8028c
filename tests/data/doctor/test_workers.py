"""Jobs that hang or crash cost themselves alone."""

import os
import time

import pytest

from w3action.data.doctor.workers import Lost, run_jobs


def behave(job):
    if job == "hang":
        time.sleep(60)
    if job == "crash":
        os._exit(7)
    if job == "slow":
        time.sleep(0.05)
    return job, os.getpid()


@pytest.mark.parametrize("num_workers", [1, 3])
def test_every_job_comes_back_once(num_workers):
    jobs = [f"job {number}" for number in range(12)]
    results = list(run_jobs(behave, jobs, num_workers=num_workers))
    assert sorted(place for place, _ in results) == list(range(12))
    assert all(result[0] == jobs[place] for place, result in results)
    assert os.getpid() not in {result[1] for _, result in results}


def test_what_hangs_or_crashes_is_lost_and_the_rest_is_done():
    jobs = ["a", "hang", "b", "crash", "slow", "crash", "c", "hang", "d"]
    began = time.monotonic()
    results = dict(run_jobs(behave, jobs, num_workers=2, limit_seconds=1))
    assert time.monotonic() - began < 20
    assert [results[place] for place in (1, 7)] == [Lost(), Lost()]
    assert [results[place] for place in (3, 5)] == [Lost(exit_code=7), Lost(exit_code=7)]
    assert [results[place][0] for place in (0, 2, 4, 6, 8)] == ["a", "b", "slow", "c", "d"]


def test_the_limit_is_of_each_job():
    results = dict(run_jobs(behave, ["slow"] * 25, num_workers=1, limit_seconds=1))  # 1.25 s together
    assert not any(isinstance(result, Lost) for result in results.values())


def test_stopping_early_leaves_no_process():
    jobs = run_jobs(behave, ["a", "hang", "hang"], num_workers=3)
    _, (_, pid) = next(jobs)
    jobs.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_no_jobs_no_results():
    assert list(run_jobs(behave, [], num_workers=2)) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_workers": 0}, "num_workers is 0 but must be at least 1"),
        ({"num_workers": 1, "limit_seconds": 0}, "limit_seconds is 0 but must be above 0"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        list(run_jobs(behave, ["a"], **settings))
