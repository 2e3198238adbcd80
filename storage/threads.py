"""Threads for blocking work, with a short way there and back: every durable append takes it.

What lives here: handing work to a thread and waking the task that waits. trio's own way (`to_thread.run_sync`) takes
about 100 µs, more than a good disk's sync; this one takes 20 to 30: the work goes through a queue, and the answer is a
byte in a pipe that the task itself waits for, instead of a callback that wakes trio to wake the task. What must not:
knowing what the work is. Threads are started when needed and end with their owner.
"""

import os
import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

import attrs
import outcome
import trio

__all__ = ["Threads"]

T = TypeVar("T")


@attrs.define
class _Job(Generic[T]):
    work: Callable[[], T]
    ended: outcome.Outcome[T] | None = None


_Jobs = SimpleQueue[_Job[Any] | None]


class _Thread:
    """One thread, one job at a time."""

    def __init__(self, name: str) -> None:
        self._jobs: _Jobs = SimpleQueue()
        self._ended, ended = os.pipe()
        # Neither holds this object, so that it can be given up with its owner.
        threading.Thread(target=_work, args=(self._jobs, ended), name=name, daemon=True).start()
        weakref.finalize(self, _dismiss, self._jobs, self._ended)

    async def run(self, work: Callable[[], T]) -> outcome.Outcome[T]:
        job = _Job(work)
        self._jobs.put(job)
        try:
            await trio.lowlevel.wait_readable(self._ended)
        except trio.Cancelled:
            # Raised again at the next checkpoint. Shielded from the beginning, each job would take a third longer.
            with trio.CancelScope(shield=True):
                await trio.lowlevel.wait_readable(self._ended)
        os.read(self._ended, 1)
        assert job.ended is not None  # noqa: S101 - the byte says so
        return job.ended


def _work(jobs: _Jobs, ended: int) -> None:
    while (job := jobs.get()) is not None:
        job.ended = outcome.capture(job.work)
        os.write(ended, b".")
        del job  # while waiting for the next, what the last one held is held no longer
    os.close(ended)


def _dismiss(jobs: _Jobs, ended: int) -> None:
    jobs.put(None)
    os.close(ended)


class Threads:
    """At most `threads_max` of them."""

    def __init__(self, name: str, threads_max: int) -> None:
        self._name = name
        self._threads_max = threads_max
        self._started = 0
        self._idle: list[_Thread] = []
        self._freed = trio.lowlevel.ParkingLot()

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises. Once it has begun it is waited for, cancelled or not."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self._idle and self._started >= self._threads_max:
            await self._freed.park()
        thread = self._idle.pop() if self._idle else self._start()
        ended = await thread.run(work)
        # Not in a `finally`: a thread whose byte was not waited for would answer the next one too early.
        self._idle.append(thread)
        self._freed.unpark()
        return ended.unwrap()

    def _start(self) -> _Thread:
        self._started += 1
        return _Thread(f"{self._name}-{self._started}")

    def __repr__(self) -> str:
        return f"<Threads {self._name} {self._started - len(self._idle)} of {self._started} at work>"
