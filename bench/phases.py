"""What a server does in one phase of its life: time, CPU, memory, and whether it goes on answering.

What lives here: the measuring, and the line for each phase. What must not: what is done meanwhile.
"""

import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TypeVar

import trio

from bench.report import nearest_rank
from bench.rest import Rest, beating, open_rest
from bench.servers import Server, ServerError

__all__ = ["HEAD", "Watch", "drain", "spread_over"]

T = TypeVar("T")

VOICES = 4
"""Connections that ask at once: with more, `/alive` waits for the others' turns rather than for a stall."""

HEAD = (
    f"{'':34}{'':>8}{'':>10}{'server':>10}{'RSS':>9}{'grown by':>10}{'/alive, ms':>19}\n"
    f"{'':34}{'count':>8}{'seconds':>10}{'CPU-ms':>10}{'MB':>9}{'KB each':>10}{'p50':>7}{'p99':>6}{'max':>6}"
)
"""CPU is for each, too."""


class Watch:
    """Of one server that runs here. It prints a line for each phase."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._memory_bytes = server.memory_bytes()

    async def phase(self, what: str, count: int, work: Callable[[], Awaitable[object]]) -> None:
        """Do the work, which is that of `count`. Raises what it raises, and `ServerError`."""
        cpu_before, began = self._server.cpu_seconds() or 0.0, time.perf_counter()
        async with beating(self._server.url) as waits:
            await work()
        seconds, cpu = time.perf_counter() - began, (self._server.cpu_seconds() or 0.0) - cpu_before
        before, self._memory_bytes = self._memory_bytes, self._server.memory_bytes()
        p50, p99, longest = (nearest_rank(waits, share) * 1e3 for share in (0.5, 0.99, 1.0))
        print(
            f"{what:34}{count:8,}{seconds:10.2f}{cpu / count * 1e3:10.2f}{self._memory_bytes / 1e6:9.1f}"
            f"{(self._memory_bytes - before) / count / 1e3:10.1f}{p50:7.1f}{p99:6.0f}{longest:6.0f}",
            flush=True,
        )


async def drain(server: Server, data: Path) -> str:
    """Send SIGTERM, and say how long it takes until the process has gone, and its CPU time for that. Raises
    `ServerError` when it was cut short, which a server of ours sees to itself after 25 s (K35)."""
    assert server.pid is not None  # noqa: S101 - it was started here; tells mypy
    cpu_before, began = server.cpu_seconds() or 0.0, time.perf_counter()
    os.kill(server.pid, signal.SIGTERM)
    # Not reaped by this: whoever started it does that, and until then its CPU time can be read.
    await trio.to_thread.run_sync(os.waitid, os.P_PID, server.pid, os.WEXITED | os.WNOWAIT)
    seconds, cpu = time.perf_counter() - began, (server.cpu_seconds() or 0.0) - cpu_before
    if "cut_short=False" not in data.with_suffix(".log").read_text():
        raise ServerError(f"{server.name}: it did not go by itself")
    return f"{'SIGTERM, until the process is gone':42}{seconds:10.2f}{cpu:10.2f} CPU-s in all"


async def spread_over(url: str, jobs: Iterable[T], work: Callable[[Rest, T], Awaitable[None]]) -> None:
    """Do the work for each job, some at once, each of them with a connection. Raises what it raises."""
    pending = iter(jobs)

    async def voice() -> None:
        async with open_rest(url) as rest:
            for job in pending:
                await work(rest, job)

    async with trio.open_nursery() as nursery:
        for _ in range(VOICES):
            nursery.start_soon(voice)


async def ask_again(url: str, path: str, times: int) -> None:
    """GET it so many times, one after the other. Raises `ServerError`."""
    async with open_rest(url) as rest:
        for _ in range(times):
            await rest.ask("GET", path)
