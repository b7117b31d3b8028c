"""A function mapped over jobs by worker processes, in order, that outlives a worker's death.

FFmpeg can crash on a hostile file, and the system may kill a worker for its memory. `concurrent.futures` then gives
up all jobs; here those under way are done again one by one, and the one that kills its process again is named.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

JOBS_AHEAD = 4  # jobs a worker may be ahead of the one that the caller waits for


def run_jobs(
    work: Callable, jobs: Iterable[tuple], *, num_workers: int, on_crash: Callable[..., Any]
) -> Generator[Any]:
    """`work(*job)` of every job, in the order of the jobs.

    Args:
        work: a function of a module, with picklable arguments and results. What it raises is raised here.
        jobs: tuples of arguments; taken as they are needed.
        num_workers: processes; 1 works in this process.
        on_crash: called with the arguments of a job whose process died; its result stands for the job's.
    """
    if num_workers == 1:
        for job in jobs:
            yield work(*job)
        return
    left, waiting, pool = iter(jobs), deque(), _start(num_workers)
    try:
        while True:
            while len(waiting) < JOBS_AHEAD * num_workers and (job := next(left, None)) is not None:
                waiting.append((job, _submit(pool, work, job)))
            if not waiting:
                return
            job, future = waiting.popleft()
            try:
                yield future.result()
            except BrokenProcessPool:
                pool.shutdown(wait=True, cancel_futures=True)
                suspects = [job, *(job for job, _ in waiting)]
                waiting.clear()
                for suspect in suspects:
                    yield _run_alone(work, suspect, on_crash=on_crash)
                pool = _start(num_workers)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)  # without it the block would first finish all that is waiting


def _submit(pool: ProcessPoolExecutor, work: Callable, job: tuple) -> Future:
    try:
        return pool.submit(work, *job)
    except BrokenProcessPool as error:
        failed: Future = Future()
        failed.set_exception(error)
        return failed


def _run_alone(work: Callable, job: tuple, *, on_crash: Callable[..., Any]) -> Any:
    with _start(1) as pool:
        try:
            return pool.submit(work, *job).result()
        except BrokenProcessPool:
            return on_crash(*job)


def _start(num_workers: int) -> ProcessPoolExecutor:
    # Forked workers start at once; spawned ones would import the caller's main module, torch and all, each anew.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
    return ProcessPoolExecutor(num_workers, mp_context=context, initializer=_begin, initargs=(os.getpid(),))


def _begin(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends the pool
    threading.Thread(target=_die_with, args=(parent,), daemon=True).start()


def _die_with(parent: int) -> None:
    """A killed parent tells nobody: without this its workers would wait for jobs for ever."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
