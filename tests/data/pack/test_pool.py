import multiprocessing
import os
import signal
import time

import pytest

from w3action.data.pack.pool import run_jobs


def double(number: int, folder=None) -> int:
    if folder is not None:
        (folder / str(os.getpid())).touch()
    return 2 * number


def die_at_five(number: int) -> int:
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number


def fail_at_three(number: int) -> int:
    if number == 3:
        raise ValueError("three")
    return 2 * number


@pytest.mark.parametrize("num_workers", [1, 3])
def test_results_come_in_the_order_of_the_jobs(num_workers):
    results = run_jobs(double, ((number,) for number in range(50)), num_workers=num_workers, on_crash=str)
    assert list(results) == [2 * number for number in range(50)]


def test_work_is_done_in_other_processes(tmp_path):
    list(run_jobs(double, [(number, tmp_path) for number in range(4)], num_workers=2, on_crash=str))
    assert str(os.getpid()) not in {file.name for file in tmp_path.iterdir()}


def test_jobs_are_taken_as_they_are_needed():
    taken = []

    def jobs():
        for number in range(1000):
            taken.append(number)
            yield (number,)

    results = run_jobs(double, jobs(), num_workers=2, on_crash=str)
    assert [next(results) for _ in range(3)] == [0, 2, 4]
    results.close()
    assert len(taken) < 20


def test_a_job_that_kills_its_process_is_named_and_the_others_are_done():
    results = run_jobs(
        die_at_five, ((number,) for number in range(30)), num_workers=2, on_crash=lambda number: f"crash {number}"
    )
    assert list(results) == [f"crash {number}" if number == 5 else 2 * number for number in range(30)]


@pytest.mark.parametrize("num_workers", [1, 2])
def test_what_a_job_raises_is_raised(num_workers):
    with pytest.raises(ValueError, match="three"):
        list(run_jobs(fail_at_three, ((number,) for number in range(9)), num_workers=num_workers, on_crash=str))


def run_and_wait(folder) -> None:
    results = run_jobs(double, ((number, folder) for number in range(9)), num_workers=2, on_crash=str)
    next(results)
    time.sleep(60)


def test_workers_end_when_their_parent_is_killed(tmp_path):
    parent = multiprocessing.get_context("fork").Process(target=run_and_wait, args=(tmp_path,))
    parent.start()
    deadline = time.monotonic() + 20
    while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.02)
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
