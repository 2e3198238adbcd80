"""The bench of a revival (P6): a conversation of 100 and one of 60,000 events wake equally fast.

What lives here: opening logs through the store as the actors do, against the raw reading of the same bytes; and the
first message to a cold conversation of a real server, against one to the same conversation when it is awake.
"""

import argparse
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median

import attrs
import trio

from bench.baseline import machine
from bench.micro.histories import describe, fill
from bench.report import nearest_rank
from bench.servers import Server, greenroom
from storage.local_disk import LocalDisk
from storage.store import Store, open_store

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "A revival (P6): histories of different lengths, from the snapshot on, against raw reads and a full replay."

COLD_SECONDS_MAX = 10.0
"""A conversation that was stopped is cold long before."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--events", type=int, nargs="+", default=[100, 1_000, 10_000, 60_000], help="lengths of histories (as P6 says)"
    )
    parser.add_argument("--tail", type=int, default=50, help="events younger than the snapshot, at most 999 (50)")
    parser.add_argument("--rounds", type=int, default=200, help="openings of each, interleaved (200)")
    parser.add_argument("--wire-rounds", type=int, default=50, help="revivals of each on a server, interleaved (50)")


async def run(arguments: argparse.Namespace, folder: Path) -> None:
    print(
        f"P6 revival: {arguments.tail} events younger than the snapshot; {arguments.rounds} rounds and "
        f"{arguments.wire_rounds} over the wire, interleaved\n"
        f"{machine(folder)}, in the page cache; durability: sync",
        flush=True,
    )
    data = folder / "data"
    histories = {f"h{events}": events for events in arguments.events}
    async with open_store(LocalDisk(data), describe) as store:
        for name, events in histories.items():
            await fill(data, store, name, events, min(arguments.tail, events - 1))
        waits = {events: await _openings(store, data, name) for name, events in histories.items()}
        for _ in range(arguments.rounds):
            for name, events in histories.items():
                await _open_once(store, data, name, waits[events])
    print(_table("opening a log for writing, and reading what follows its snapshot", "raw read", waits))
    with greenroom(data) as server:
        woken = {events: Waits() for events in histories.values()}
        for place in range(arguments.wire_rounds + 1):
            for name, events in histories.items():
                # The first time there is no state in the snapshot yet.
                await _wake_once(server, name, woken[events] if place else Waits())
    print(_table("a message to a cold conversation, by REST, until it is durable", "awake", woken))


@attrs.frozen
class Waits:
    """In seconds. `plain` is what the same takes without a revival; `replay` is one opening without a snapshot."""

    plain: list[float] = attrs.field(factory=list)
    ours: list[float] = attrs.field(factory=list)
    replay: float | None = None


async def _openings(store: Store, data: Path, name: str) -> Waits:
    waits = Waits(replay=await _timed(partial(store.view_to_damage, name)))
    await _open_once(store, data, name, Waits())
    return waits


async def _open_once(store: Store, data: Path, name: str, waits: Waits) -> None:
    folder = data / "conversations" / name
    snapshot = (await store.view(name)).snapshot
    assert snapshot is not None  # noqa: S101 - it was made just now
    assert snapshot.anchor is not None  # noqa: S101 - as above
    start = snapshot.anchor.start

    def read_raw() -> None:
        (folder / "state.json").read_bytes()
        with (folder / "events.jsonl").open("rb") as file:
            file.seek(start)
            file.read()

    async def open_log() -> None:
        log = await store.open_log(name)
        async for _ in log.events(snapshot.position + 1):
            pass
        await log.close()

    waits.plain.append(await _timed(partial(trio.to_thread.run_sync, read_raw)))
    waits.ours.append(await _timed(open_log))


async def _wake_once(server: Server, name: str, waits: Waits) -> None:
    path = f"/api/conversations/{name}"

    async def ask(method: str, path: str, body: object = None) -> object:
        return await trio.to_thread.run_sync(server.request, method, path, body)

    await ask("POST", f"{path}/stop", {})
    with trio.fail_after(COLD_SECONDS_MAX):
        while not _is_cold(await ask("GET", path)):  # noqa: ASYNC110 - it is another process that becomes cold
            await trio.sleep(0.005)
    for kept in (waits.ours, waits.plain):
        kept.append(await _timed(partial(ask, "POST", f"{path}/message", {"message": "/note on"})))


def _is_cold(answer: object) -> bool:
    match answer:
        case {"lifecycle": {"residency": "cold"}}:
            return True
    return False


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


def _table(what: str, plain: str, waits: Mapping[int, Waits]) -> str:
    lines = [
        f"\n{what}",
        f"{'events':>8}{plain + ' p50':>14}{'p50 ms':>9}{'p99 ms':>9}{'of the first':>14}{'all read':>12}",
    ]
    first = median(next(iter(waits.values())).ours)
    for events, mine in waits.items():
        replay = "" if mine.replay is None else f"{mine.replay * 1e3:9.1f} ms"
        lines.append(
            f"{events:8,}{median(mine.plain) * 1e3:14.2f}{median(mine.ours) * 1e3:9.2f}"
            f"{nearest_rank(mine.ours, 0.99) * 1e3:9.2f}{median(mine.ours) / first:14.2f}{replay:>12}"
        )
    return "\n".join(lines)
