"""Worker processes that a single bad job can neither stop nor bring down.

Video decoders are C: on a damaged file they may loop for ever or crash the process. Each job has a time limit; a worker
that passes it is killed, one that dies is noticed, and both are replaced. `concurrent.futures` can do neither.
"""

import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from typing import Any

LIMIT_SECONDS = 30.0


@dataclass(frozen=True)
class Lost:
    """A job that gave no result: it passed the limit, or its process died with this exit code."""

    exit_code: int | None = None

    @property
    def hung(self) -> bool:
        """Whether the limit was passed."""
        return self.exit_code is None


def run_jobs(
    function: Callable[[Any], Any],
    jobs: Sequence[Any],
    *,
    num_workers: int,
    limit_seconds: float = LIMIT_SECONDS,
) -> Iterator[tuple[int, Any]]:
    """(place of the job, result or `Lost`) of every job, as they finish.

    Args:
        function: called with a job in another process; it must not raise.
        jobs: what to call it with.
        num_workers: processes.
        limit_seconds: after which a job's process is killed.

    Raises:
        ValueError: no worker, or no time.
    """
    if num_workers < 1:
        raise ValueError(f"num_workers is {num_workers} but must be at least 1: give for example the number of cores")
    if not limit_seconds > 0:
        raise ValueError(f"limit_seconds is {limit_seconds} but must be above 0: give for example 30")
    # Forked workers start at once and know this process's modules; they only read and decode, and use no thread.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
    pool = _Pool(context, function, limit_seconds=limit_seconds)
    waiting = iter(enumerate(jobs))
    try:
        for job in (next(waiting, None) for _ in range(min(num_workers, len(jobs)))):
            if job is not None:
                pool.start(job)
        while pool.workers:
            yield from pool.collect(waiting)
    finally:
        pool.end()


@dataclass
class _Worker:
    process: Any
    connection: Connection
    job: int
    deadline: float


class _Pool:
    def __init__(self, context: BaseContext, function: Callable[[Any], Any], *, limit_seconds: float):
        self.context, self.function, self.limit_seconds = context, function, limit_seconds
        self.workers: list[_Worker] = []

    def start(self, job: tuple[int, Any]) -> None:
        """Begin a process with its first job."""
        ours, theirs = self.context.Pipe()
        process = self.context.Process(target=_serve, args=(theirs, ours, self.function), daemon=True)  # pyrefly: ignore
        process.start()
        theirs.close()  # so that its death ends the pipe
        worker = _Worker(process, ours, job[0], 0.0)
        self.workers.append(worker)
        self._give(worker, job)

    def collect(self, waiting: Iterator[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
        """Wait for something to happen; give out results, and new jobs to those who are free."""
        left = max(0.0, min(worker.deadline for worker in self.workers) - time.monotonic())
        ready = set(wait([worker.connection for worker in self.workers], timeout=left))
        for worker in list(self.workers):
            job, result = worker.job, None
            if worker.connection in ready:
                try:
                    result = worker.connection.recv()
                except (EOFError, ConnectionResetError):
                    result = Lost(exit_code=self._drop(worker, is_dying=True))
            elif time.monotonic() > worker.deadline:
                self._drop(worker)
                result = Lost()
            else:
                continue
            follower = next(waiting, None)
            if worker in self.workers and follower is not None:
                self._give(worker, follower)
            elif worker in self.workers:
                self._drop(worker)
            elif follower is not None:
                self.start(follower)
            yield job, result

    def _give(self, worker: _Worker, job: tuple[int, Any]) -> None:
        worker.job, worker.deadline = job[0], time.monotonic() + self.limit_seconds
        with suppress(BrokenPipeError, ConnectionResetError):  # it has just died: `collect` will see the pipe's end
            worker.connection.send(job[1])

    def _drop(self, worker: _Worker, *, is_dying: bool = False) -> int | None:
        """End a worker, whatever it does; its exit code."""
        self.workers.remove(worker)
        if is_dying:
            worker.process.join(timeout=1)  # its own exit code is wanted
        worker.process.kill()  # no other has anything to lose: it waits for work, or is to be stopped
        worker.process.join()
        worker.connection.close()
        return worker.process.exitcode

    def end(self) -> None:
        """Kill all that are left."""
        for worker in list(self.workers):
            self._drop(worker)


def _serve(connection: Connection, others: Connection, function: Callable[[Any], Any]) -> None:
    others.close()  # a fork holds both ends: the pipe would not end with the parent
    with suppress(EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt):  # there is no more to do
        while True:
            connection.send(function(connection.recv()))
