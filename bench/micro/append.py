"""The bench of a durable append (P5): event logs of our store against raw syncs of as many files, in one run.

What lives here: the appends, through the store as the actors use it. What must not: a server; `round-trip` has one.
"""

import argparse
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from statistics import median

import trio

from bench.baseline import machine
from bench.micro.stages import WatchedDisk, stages
from bench.micro.turns import Contestant, Turn, open_files, rates_against, raw_lanes, take_turns
from bench.report import spread
from storage.catalogue import Entry
from storage.committer import Durability
from storage.event_log import EventLog
from storage.local_disk import LocalDisk
from storage.store import open_store

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "A durable append (P5): many conversations at once, and one alone, against raw syncs of the same run."

RAW_THREADS = 4
"""What P5 is held against."""

EVENT = (
    b'{"id":12345,"timestamp":"2026-01-01T00:00:00.000000Z","source":"user","message":"%b","action":"message",'
    b'"args":{"content":"hello"}}' % (b"x" * 110)
)
"""With its envelope a record of about `baseline.RECORD_BYTES`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--writers", type=int, default=64, help="conversations that append at once (64)")
    parser.add_argument("--rounds", type=int, default=11, help="turns of everything, interleaved (11)")
    parser.add_argument("--seconds", type=float, default=0.5, help="of one turn (0.5)")


async def run(arguments: argparse.Namespace, folder: Path) -> None:
    writers, seconds = arguments.writers, arguments.seconds
    print(
        f"P5 durable append: events of {len(EVENT)} bytes; {arguments.rounds} rounds of {seconds} s, interleaved\n"
        f"{machine(folder)}; raw: write + fdatasync from Python threads; durability: sync, and async for information",
        flush=True,
    )
    async with AsyncExitStack() as stack:
        files = stack.enter_context(open_files(folder / "raw", writers))
        durable = await stack.enter_async_context(_open_logs(LocalDisk(folder / "sync"), Durability.SYNC, writers))
        lazy = await stack.enter_async_context(_open_logs(LocalDisk(folder / "async"), Durability.ASYNC, writers))
        contestants: dict[str, Contestant] = {
            f"raw, {writers} files": partial(trio.to_thread.run_sync, raw_lanes, files, RAW_THREADS, seconds),
            f"{writers} writers": partial(_append, durable, seconds),
            "raw, one file": partial(trio.to_thread.run_sync, raw_lanes, files[:1], 1, seconds),
            "one writer alone": partial(_append, durable[:1], seconds),
            f"{writers} writers, async": partial(_append, lazy, seconds),
        }
        print(_table(await take_turns(contestants, arguments.rounds)))
        print(await _stages(folder / "watched", writers, seconds))


@asynccontextmanager
async def _open_logs(disk: LocalDisk, durability: Durability, count: int) -> AsyncIterator[list[EventLog]]:
    async with open_store(disk, lambda name, _: Entry(name, ""), durability) as store:
        logs: list[EventLog] = []
        for number in range(count):
            await store.create(Entry(f"c{number}", ""), [EVENT])
            logs.append(await store.open_log(f"c{number}"))
        yield logs


async def _append(logs: Sequence[EventLog], seconds: float) -> Turn:
    """Every log has one writer, which appends again as soon as it may."""
    waits: list[float] = []
    began = time.perf_counter()

    async def writer(log: EventLog) -> None:
        while (start := time.perf_counter()) - began < seconds:
            await log.append([[EVENT]])
            waits.append(time.perf_counter() - start)

    async with trio.open_nursery() as nursery:
        for log in logs:
            nursery.start_soon(writer, log)
    return Turn(len(waits), time.perf_counter() - began, tuple(waits))


async def _stages(folder: Path, writers: int, seconds: float) -> str:
    """Where the time goes, alone and together."""
    disk = WatchedDisk(folder)
    told = ["where the time goes, in µs"]
    async with _open_logs(disk, Durability.SYNC, writers) as logs:
        for those in (logs[:1], logs):
            disk.passages.clear()
            used = time.process_time()
            turn = await _append(those, seconds)
            cpu = (time.process_time() - used) * 1e6 / turn.appends
            told.append(f"{len(those):4} writers: {stages(disk.passages, turn.waits)}; CPU an append {cpu:.0f}")
    return "\n".join(told)


def _table(turns: dict[str, list[Turn]]) -> str:
    raw_many, many, raw_one, one, _ = turns.values()
    lines = [f"{'':22}{'appends/s':>11}{'p50 ms':>9}{'p99 ms':>9}"]
    for name, mine in turns.items():
        waits = "".join(f"{median(turn.wait(share) for turn in mine) * 1e3:9.3f}" for share in (0.5, 0.99))
        lines.append(f"{name:22}{median(turn.per_second for turn in mine):11,.0f}{waits}")
    lines.append(
        f"share of raw: at once {spread(rates_against(many, raw_many))}; alone {spread(rates_against(one, raw_one))}"
    )
    return "\n".join(lines)
