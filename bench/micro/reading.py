"""The bench of reading a long history (P9): any page costs the same, and what verifying every event costs.

What lives here: reads through a view of a cold log, against a reading of the same bytes that checks nothing. What must
not: a server.
"""

import argparse
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from statistics import median

import trio

from bench.baseline import machine
from bench.micro.histories import describe, fill
from bench.report import nearest_rank, spread
from storage.event_log import LogView
from storage.event_log.files import LogFiles
from storage.local_disk import LocalDisk
from storage.store import open_store

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "Reading a long history (P9): the first page, the middle one and the last; all of it, verified and not."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--events", type=int, default=60_000, help="in the conversation (60000)")
    parser.add_argument("--page", type=int, default=20, help="events of a page (20)")
    parser.add_argument("--rounds", type=int, default=200, help="of each page; a tenth of them of the whole (200)")


async def run(arguments: argparse.Namespace, folder: Path) -> None:
    events, page, rounds = arguments.events, arguments.page, arguments.rounds
    print(f"P9 reading: {events:,} events, pages of {page}; {rounds} rounds, interleaved")
    print(f"{machine(folder)}, in the page cache")
    data = folder / "data"
    async with open_store(LocalDisk(data), describe) as store:
        await fill(data, store, "long", events)
        view = await store.view("long")
        pages = {"first": 0, "middle": events // 2, "last": events - page}
        waits: dict[str, list[float]] = {name: [] for name in pages}
        for _ in range(rounds):
            for name, start in pages.items():
                waits[name].append(await _timed(partial(view.read, start, start + page)))
        print(f"{'page':>8}{'p50 ms':>9}{'p99 ms':>9}   of the first")
        for name, mine in waits.items():
            ratios = [own / first for own, first in zip(mine, waits["first"], strict=True)]
            print(f"{name:>8}{median(mine) * 1e3:9.3f}{nearest_rank(mine, 0.99) * 1e3:9.3f}   {median(ratios):.2f}")
        verified: list[float] = []
        bare: list[float] = []
        for _ in range(max(rounds // 10, 1)):
            bare.append(await _timed(partial(trio.to_thread.run_sync, _read_unverified, data), time.process_time))
            verified.append(await _timed(partial(_read_all, view), time.process_time))
    ratios = [mine / raw for mine, raw in zip(verified, bare, strict=True)]
    print(
        f"all of it: {median(verified) / events * 1e6:.2f} CPU-µs an event; cut out of the same lines unverified, "
        f"{median(bare) / events * 1e6:.2f}; {spread(ratios)} times as much"
    )


async def _read_all(view: LogView) -> None:
    start = 0
    while piece := await view.read(start, view.next_id):
        start += len(piece)


def _read_unverified(data: Path) -> None:
    """The events of all lines, cut out by where they begin."""
    path = "conversations/long/events.jsonl"
    disk = LocalDisk(data)
    for line in LogFiles(disk, path).lines(0, disk.size(path)):
        line[line.index(b'"event":') + len(b'"event":') : -1]


async def _timed(work: Callable[[], Awaitable[object]], clock: Callable[[], float] = time.perf_counter) -> float:
    began = clock()
    await work()
    return clock() - began
