"""The kernel alone: actors that do nothing, started, left idle, asked and ended, beside bare tasks of the same run.

What lives here: a behaviour that costs nothing of its own, so that what is seen is the mailbox, the cell and their
task. What must not: a conversation; `idle` has those.
"""

import argparse
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from statistics import median

import attrs
import trio
import trio.testing

from actors.runtime import Context, Envelope, open_registry
from bench.baseline import machine

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "The actor kernel: what a hot idle actor costs, beside a bare task."

TURNS = 100
"""Of the loop, while all are idle."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--actors", type=int, default=10_000, help="how many (10000)")
    parser.add_argument("--rounds", type=int, default=3, help="of everything, interleaved (3)")


Kind = Callable[[int], AbstractAsyncContextManager[Callable[[], None] | None]]
"""So many of them for the block; what is given, if anything, sends each a message."""


async def run(arguments: argparse.Namespace, folder: Path) -> None:
    count = arguments.actors
    print(f"the kernel: {count:,} at once, {arguments.rounds} rounds, interleaved\n{machine(folder)}\n", flush=True)
    kinds: dict[str, Kind] = {"a bare task": _tasks, "an actor": _actors}
    costs: dict[str, list[Cost]] = {name: [] for name in kinds}
    for _ in range(arguments.rounds):
        for name, kind in kinds.items():
            costs[name].append(await _timed(kind, count))
    memory = {name: await _memory_bytes(kind, count) for name, kind in kinds.items()}
    print(_table(costs, memory))


@attrs.frozen
class Cost:
    """CPU seconds for each; `loop` is one turn of the loop while all are idle, in seconds."""

    start: float
    message: float | None
    end: float
    loop: float


async def _timed(kind: Kind, count: int) -> Cost:
    began = time.process_time()
    async with kind(count) as send_all:
        await trio.testing.wait_all_tasks_blocked()
        started = time.process_time()
        for _ in range(TURNS):
            await trio.lowlevel.checkpoint()
        turned = time.process_time()
        if send_all is not None:
            send_all()
            await trio.testing.wait_all_tasks_blocked()
        ending = time.process_time()
    ended = time.process_time()
    message = None if send_all is None else (ending - turned) / count
    return Cost((started - began) / count, message, (ended - ending) / count, (turned - started) / TURNS)


async def _memory_bytes(kind: Kind, count: int) -> float:
    """Of each, as Python's allocator is asked for them."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        async with kind(count):
            await trio.testing.wait_all_tasks_blocked()
            after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return (after - before) / count


@asynccontextmanager
async def _tasks(count: int) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(trio.sleep_forever)
        yield
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def _actors(count: int) -> AsyncIterator[Callable[[], None]]:
    async with open_registry(_Idler) as registry:

        def send_all() -> None:
            for number in range(count):
                registry.ref(str(number)).tell(number)

        send_all()
        yield send_all


class _Idler:
    """A behaviour that answers and does nothing else."""

    def __init__(self, _: Context) -> None:
        pass

    async def activate(self) -> None:
        await trio.lowlevel.checkpoint()

    async def turn(self, batch: Sequence[Envelope[int]]) -> None:
        for envelope in batch:
            envelope.succeed(envelope.message)

    async def passivate(self) -> None:
        await trio.lowlevel.checkpoint()

    def abandon(self) -> None:
        pass


def _table(costs: Mapping[str, Sequence[Cost]], memory: Mapping[str, float]) -> str:
    lines = [f"{'':14}{'bytes':>8}{'start µs':>10}{'message µs':>12}{'end µs':>9}{'an idle loop turn µs':>22}"]
    for name, mine in costs.items():
        messages = [cost.message for cost in mine if cost.message is not None]
        message = f"{median(messages) * 1e6:.1f}" if messages else "-"
        start, end, loop = (median(getattr(cost, part) for cost in mine) * 1e6 for part in ("start", "end", "loop"))
        lines.append(f"{name:14}{memory[name]:8,.0f}{start:10.1f}{message:>12}{end:9.1f}{loop:22.1f}")
    bare, actor = memory.values()
    lines.append(f"an actor takes {actor / bare:.1f} times the memory of a bare task")
    return "\n".join(lines)
