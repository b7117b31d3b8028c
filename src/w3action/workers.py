"""Worker processes that a single bad job can neither stop nor bring down.

Video decoders are C: on a damaged file they may loop for ever or crash the process. A worker has one job at a time, so
it is known which one it died of or hangs in; it is replaced, and the others go on. `concurrent.futures` gives up all
jobs when one worker dies, and cannot end one that hangs. Killed parents leave no workers behind.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

JOBS_AHEAD = 4  # jobs of each worker that may be done or under way beyond the one that the caller waits for


@dataclass(frozen=True)
class Lost:
    """A job that gave no result: it passed the limit, or its process died with this exit code, twice."""

    exit_code: int | None = None

    @property
    def hung(self) -> bool:
        """Whether the limit was passed."""
        return self.exit_code is None


def num_cores() -> int:
    """Return the number of cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def run_jobs(
    work: Callable[[Any], Any], jobs: Iterable[Any], *, num_workers: int | None, limit_seconds: float | None = None
) -> Generator[Any]:
    """Yield `work(job)` of every job, in the order of the jobs.

    Args:
        work: called in other processes, so it, jobs and results are picklable. What it raises is raised here.
        jobs: taken as they are needed, a few ahead.
        num_workers: processes; None is one for each core. 1 works in this process, if there is no limit.
        limit_seconds: after which a job's process is killed; None never.

    Yields:
        The result, or `Lost`. A job whose process dies is tried once more first: the system ends processes when
        memory is short.

    Raises:
        ValueError: no worker, or no time.
    """
    num_workers = num_cores() if num_workers is None else num_workers
    if num_workers == 1 and limit_seconds is None:
        yield from map(work, jobs)
        return
    given, done = 0, {}
    results = run_in_any_order(
        work,
        jobs,
        num_workers=num_workers,
        limit_seconds=limit_seconds,
        may_start=lambda place: place < given + JOBS_AHEAD * num_workers,
    )
    try:
        for place, result in results:
            done[place] = result
            while given in done:
                result = done.pop(given)
                given += 1
                yield result
    finally:
        results.close()


def run_in_any_order(
    work: Callable[[Any], Any],
    jobs: Iterable[Any],
    *,
    num_workers: int | None,
    limit_seconds: float | None = None,
    may_start: Callable[[int], bool] = lambda place: True,
) -> Generator[tuple[int, Any]]:
    """Yield (place of the job, result or `Lost`) of every job as it finishes; always in other processes.

    Args:
        work: as for `run_jobs`.
        jobs: as for `run_jobs`.
        num_workers: processes; None is one for each core.
        limit_seconds: after which a job's process is killed; None never.
        may_start: whether the job of a place may be begun; asked again after each result.

    Raises:
        ValueError: no worker, or no time.
    """
    num_workers = num_cores() if num_workers is None else num_workers
    if num_workers < 1:
        raise ValueError(f"num_workers is {num_workers} but must be at least 1: give for example the number of cores")
    if limit_seconds is not None and not limit_seconds > 0:
        raise ValueError(f"limit_seconds is {limit_seconds} but must be above 0: give for example 30")
    pool, left, place = _Pool(work, limit_seconds=limit_seconds), iter(jobs), 0
    ended = object()
    try:
        while True:
            while len(pool.busy) < num_workers and may_start(place) and (job := next(left, ended)) is not ended:
                pool.give(place, job)
                place += 1
            if not pool.busy:
                return
            yield from pool.collect()
    finally:
        pool.end()


@dataclass(eq=False)
class _Worker:
    process: Any
    connection: Connection
    place: int = 0
    job: Any = None
    deadline: float = float("inf")
    is_second_try: bool = False


class _Pool:
    def __init__(self, work: Callable[[Any], Any], *, limit_seconds: float | None):
        # Forked workers start at once; spawned ones would import the caller's main module, torch and all, each anew.
        self.context: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
        self.work, self.limit_seconds = work, float("inf") if limit_seconds is None else limit_seconds
        self.busy: list[_Worker] = []
        self.idle: list[_Worker] = []

    def give(self, place: int, job: Any, *, is_second_try: bool = False) -> None:
        """Begin a job, in a worker that waits or in a new one."""
        worker = self.idle.pop() if self.idle else self._start()
        worker.place, worker.job, worker.is_second_try = place, job, is_second_try
        worker.deadline = time.monotonic() + self.limit_seconds
        self.busy.append(worker)
        with suppress(BrokenPipeError, ConnectionResetError):  # it has just died: `collect` will see the pipe's end
            worker.connection.send(job)

    def collect(self) -> list[tuple[int, Any]]:
        """Wait until a job finishes or is lost; return all that did, as (place, result)."""
        left = min(worker.deadline for worker in self.busy) - time.monotonic()
        connections = [worker.connection for worker in self.busy]
        ready = set(wait(connections, timeout=None if left == float("inf") else max(0.0, left)))
        results: list[tuple[int, Any]] = []
        for worker in list(self.busy):
            if worker.connection in ready:
                try:
                    is_done, result = worker.connection.recv()
                except (EOFError, ConnectionResetError):
                    lost = Lost(exit_code=self._drop(worker, is_dying=True))
                    if worker.is_second_try:
                        results.append((worker.place, lost))
                    else:
                        self.give(worker.place, worker.job, is_second_try=True)
                    continue
                if not is_done:
                    raise result
                self.busy.remove(worker)
                self.idle.append(worker)
                results.append((worker.place, result))
            elif time.monotonic() > worker.deadline:
                self._drop(worker)
                results.append((worker.place, Lost()))
        return results

    def end(self) -> None:
        """Kill all workers."""
        for worker in [*self.busy, *self.idle]:
            self._drop(worker)

    def _start(self) -> _Worker:
        ours, theirs = self.context.Pipe()
        process = self.context.Process(target=_serve, args=(theirs, ours, self.work, os.getpid()), daemon=True)
        process.start()
        theirs.close()  # so that its death ends the pipe
        return _Worker(process, ours)

    def _drop(self, worker: _Worker, *, is_dying: bool = False) -> int | None:
        """End a worker, whatever it does, and return its exit code."""
        (self.busy if worker in self.busy else self.idle).remove(worker)
        if is_dying:
            worker.process.join(timeout=1)  # its own exit code is wanted
        worker.process.kill()
        worker.process.join()
        worker.connection.close()
        return worker.process.exitcode


def _serve(connection: Connection, others: Connection, work: Callable[[Any], Any], parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers
    threading.Thread(target=_die_with, args=(parent,), daemon=True).start()
    others.close()  # a fork holds both ends: the pipe would not end with the parent
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the parent is gone
        while True:
            job = connection.recv()
            try:
                answer = True, work(job)
            except Exception as error:
                answer = False, error
            connection.send(answer)


def _die_with(parent: int) -> None:
    """End this worker when its parent is gone: a killed one tells nobody, and the worker would wait for ever."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
