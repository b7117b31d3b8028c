"""Jobs that hang or crash cost themselves alone; results come in order, and nothing is left running."""

import multiprocessing
import os
import signal
import time

import pytest

from w3action.workers import JOBS_AHEAD, Lost, run_in_any_order, run_jobs


def double(number: int) -> int:
    return 2 * number


def note_process(folder) -> None:
    (folder / str(os.getpid())).touch()


def behave(job):
    if job == "hang":
        time.sleep(60)
    if job == "crash":
        os._exit(7)
    if job == "slow":
        time.sleep(0.05)
    if job == "fail":
        raise ValueError("it failed")
    return job, os.getpid()


def crash_once(mark) -> str:
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


class TestInOrder:
    @pytest.mark.parametrize("num_workers", [1, 3])
    def test_results_come_in_the_order_of_the_jobs(self, num_workers):
        assert list(run_jobs(double, iter(range(50)), num_workers=num_workers)) == [2 * number for number in range(50)]

    def test_a_job_that_crashes_or_hangs_keeps_its_place(self):
        jobs = ["a", "crash", "b", "hang", "slow", "c"]
        results = list(run_jobs(behave, jobs, num_workers=2, limit_seconds=2))
        assert [results[1], results[3]] == [Lost(exit_code=7), Lost()]
        assert [results[place][0] for place in (0, 2, 4, 5)] == ["a", "b", "slow", "c"]

    def test_jobs_are_taken_as_they_are_needed(self):
        taken = []

        def jobs():
            for number in range(1000):
                taken.append(number)
                yield number

        results = run_jobs(double, jobs(), num_workers=2)
        assert [next(results) for _ in range(3)] == [0, 2, 4]
        results.close()
        assert len(taken) <= 2 + 2 * JOBS_AHEAD + 1

    def test_one_worker_without_a_limit_is_this_process(self, tmp_path):
        list(run_jobs(note_process, [tmp_path], num_workers=1))
        assert [file.name for file in tmp_path.iterdir()] == [str(os.getpid())]

    @pytest.mark.parametrize("settings", [{"num_workers": 2}, {"num_workers": 1, "limit_seconds": 60}])
    def test_else_other_processes_do_the_work(self, tmp_path, settings):
        list(run_jobs(note_process, [tmp_path] * 4, **settings))
        assert str(os.getpid()) not in {file.name for file in tmp_path.iterdir()}

    @pytest.mark.parametrize("num_workers", [1, 2])
    def test_what_a_job_raises_is_raised(self, num_workers):
        with pytest.raises(ValueError, match="it failed"):
            list(run_jobs(behave, ["a", "b", "fail", "c"], num_workers=num_workers))

    def test_a_job_whose_process_the_system_ended_is_done_again(self, tmp_path):
        assert list(run_jobs(crash_once, [tmp_path / "a", tmp_path / "b"], num_workers=2)) == ["done", "done"]


class TestInAnyOrder:
    @pytest.mark.parametrize("num_workers", [1, 3, None])
    def test_every_job_comes_back_once(self, num_workers):
        jobs = [f"job {number}" for number in range(12)]
        results = list(run_in_any_order(behave, jobs, num_workers=num_workers))
        assert sorted(place for place, _ in results) == list(range(12))
        assert all(result[0] == jobs[place] for place, result in results)
        assert os.getpid() not in {result[1] for _, result in results}

    def test_what_hangs_or_crashes_is_lost_and_the_rest_is_done(self):
        jobs = ["a", "hang", "b", "crash", "slow", "crash", "c", "hang", "d"]
        results = dict(run_in_any_order(behave, jobs, num_workers=2, limit_seconds=2))
        assert [results[place] for place in (1, 7)] == [Lost(), Lost()]
        assert [results[place] for place in (3, 5)] == [Lost(exit_code=7), Lost(exit_code=7)]
        assert [results[place][0] for place in (0, 2, 4, 6, 8)] == ["a", "b", "slow", "c", "d"]

    def test_the_limit_is_of_each_job(self):
        results = dict(run_in_any_order(behave, ["slow"] * 50, num_workers=1, limit_seconds=2))  # 2.5 s together
        assert not any(isinstance(result, Lost) for result in results.values())

    def test_no_jobs_no_results(self):
        assert list(run_in_any_order(behave, [], num_workers=2)) == []


def test_stopping_early_leaves_no_process():
    jobs = run_in_any_order(behave, ["a", "hang", "hang"], num_workers=3)
    _, (_, pid) = next(jobs)
    jobs.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_workers": 0}, "num_workers is 0 but must be at least 1"),
        ({"num_workers": 1, "limit_seconds": 0}, "limit_seconds is 0 but must be above 0"),
    ],
)
@pytest.mark.parametrize("run", [run_jobs, run_in_any_order])
def test_settings_out_of_range(run, settings, message):
    with pytest.raises(ValueError, match=message):
        list(run(behave, ["a"], **settings))


def run_and_wait(folder) -> None:
    results = run_jobs(note_process, [folder] * 9, num_workers=2)
    next(results)
    time.sleep(60)


def test_workers_end_when_their_parent_is_killed(tmp_path):
    parent = multiprocessing.get_context("fork").Process(target=run_and_wait, args=(tmp_path,))
    parent.start()
    deadline = time.monotonic() + 60
    while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert parent.pid is not None
    os.kill(parent.pid, signal.SIGKILL)
    parent.join()
    workers = [int(file.name) for file in tmp_path.iterdir()]
    assert workers
    while any(map(is_running, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_running, workers))


def is_running(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"  # ended, if nobody asked after it yet
    except FileNotFoundError:
        return False
