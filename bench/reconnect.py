"""P13, everybody comes back at once: a thousand clients, each with the id of the last event that it has.

Twice: all connections are lost while the server lives, and the server is killed and started again. Before they come
back each conversation gets events that they have missed, and more while they do. Each must have all, once, in order.
"""

import argparse
import itertools
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
import trio

from bench.baseline import machine
from bench.client import ClientError
from bench.crowd import Crowd, Listener, open_crowd
from bench.phases import spread_over
from bench.replay import visible_ids
from bench.report import nearest_rank
from bench.rest import Rest
from bench.servers import Server, greenroom, python_socketio

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "A reconnect storm (P13): everybody comes back at once, with an offset."

SETTLE_SECONDS = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clients", type=int, default=1000, help="that come back at once (1000, as P13 says)")
    parser.add_argument("--conversations", type=int, default=50, help="over which they are spread (50)")
    parser.add_argument("--missed", type=int, default=20, help="messages in each while they were away (20)")
    parser.add_argument("--rounds", type=int, default=3, help="of each kind, interleaved (3)")


@attrs.frozen
class Storm:
    """One turn. `waits`: after how many seconds each was back and had what it missed."""

    kind: str
    waits: Sequence[float]
    cpu_seconds: float


async def run(arguments: argparse.Namespace, folder: Path) -> None:
    print(
        f"P13 reconnect storm: {arguments.clients:,} clients in {arguments.conversations} conversations, "
        f"{arguments.missed} messages missed in each, one more while they come, {arguments.rounds} rounds interleaved\n"
        f"{machine(folder)}; durability: sync; the peer python-socketio lets them in and has nothing to tell them\n\n"
        f"{'':36}{'p50 s':>8}{'p99 s':>8}{'all s':>8}{'server CPU-ms each':>20}",
        flush=True,
    )
    for _ in range(arguments.rounds):
        data = folder / f"{time.time_ns()}"
        for storm in (*await _ours(arguments, data), await trio.to_thread.run_sync(_theirs, arguments, folder)):
            _tell(storm)


def _tell(storm: Storm) -> None:
    p50, p99, longest = (nearest_rank(storm.waits, share) for share in (0.5, 0.99, 1.0))
    each = storm.cpu_seconds / len(storm.waits) * 1e3
    print(f"{storm.kind:36}{p50:8.2f}{p99:8.2f}{longest:8.2f}{each:20.2f}", flush=True)


async def _ours(arguments: argparse.Namespace, data: Path) -> list[Storm]:
    with open_crowd() as crowd:
        with greenroom(data) as server:
            ids = [await trio.to_thread.run_sync(server.create_conversation) for _ in range(arguments.conversations)]
            homes = list(itertools.islice(itertools.cycle(ids), arguments.clients))
            queries = [{"conversation_id": home} for home in homes]
            people = await trio.to_thread.run_sync(crowd.join, server.url, queries)
            await trio.to_thread.run_sync(crowd.settle, SETTLE_SECONDS)
            away = list(zip(homes, people, strict=True))
            lost, away = await _come_back("connections lost", server, crowd, away, arguments.missed)
            assert server.pid is not None  # noqa: S101 - it was started here; tells mypy
            os.kill(server.pid, signal.SIGKILL)
        with greenroom(data) as server:
            killed, _ = await _come_back("server killed and started again", server, crowd, away, arguments.missed)
    return [lost, killed]


async def _come_back(
    kind: str, server: Server, crowd: Crowd, before: Sequence[tuple[str, Listener]], missed: int
) -> tuple[Storm, list[tuple[str, Listener]]]:
    """Raises `ClientError` unless everybody has every event, once."""
    crowd.leave(person for _, person in before)
    homes = {home for home, _ in before}
    await spread_over(server.url, [home for home in homes for _ in range(missed)], _say)
    last = {home: (await trio.to_thread.run_sync(visible_ids, server, home))[-1] for home in homes}
    cpu_before = server.cpu_seconds() or 0.0
    after: list[tuple[str, Listener]] = []
    waits: list[float] = []

    def storm() -> None:
        after.extend((home, _again(crowd, server, home, person)) for home, person in before)
        waits.extend(_wait(crowd, after, last))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, storm)
        nursery.start_soon(spread_over, server.url, homes, _say)
    cpu = (server.cpu_seconds() or 0.0) - cpu_before
    await trio.to_thread.run_sync(crowd.settle, SETTLE_SECONDS)
    for home in homes:
        _check(await trio.to_thread.run_sync(visible_ids, server, home), home, before, after)
    return Storm(kind, waits, cpu), after


def _again(crowd: Crowd, server: Server, home: str, person: Listener) -> Listener:
    query: dict[str, str | int] = {"conversation_id": home, "latest_event_id": person.last_id}
    again = crowd.dial(server.url, query)
    again.last_id = person.last_id
    return again


def _wait(crowd: Crowd, after: Sequence[tuple[str, Listener]], last: Mapping[str, int]) -> list[float]:
    home_of = {person: home for home, person in after}
    return crowd.wait(list(home_of), lambda person: person.last_id >= last[home_of[person]])


def _check(
    ids: Sequence[int], home: str, before: Sequence[tuple[str, Listener]], after: Sequence[tuple[str, Listener]]
) -> None:
    for (its_home, earlier), (_, later) in zip(before, after, strict=True):
        wanted = [event_id for event_id in ids if event_id > earlier.last_id]
        if its_home == home and (not later.in_order or later.count != len(wanted) or later.last_id != ids[-1]):
            raise ClientError(f"{later.count} events up to {later.last_id}, not {len(wanted)} up to {ids[-1]}")


async def _say(rest: Rest, conversation_id: str) -> None:
    await rest.ask("POST", f"/api/conversations/{conversation_id}/message", {"message": "/note ".ljust(100, "x")})


def _theirs(arguments: argparse.Namespace, folder: Path) -> Storm:
    with python_socketio(folder / "peer.log") as server, open_crowd() as crowd:
        queries: Sequence[Mapping[str, str]] = [{}] * arguments.clients
        crowd.leave(crowd.join(server.url, queries))
        crowd.settle(SETTLE_SECONDS)
        cpu_before = server.cpu_seconds() or 0.0
        people = [crowd.dial(server.url, query) for query in queries]
        waits = crowd.wait(people, lambda person: person.joined)
        return Storm("python-socketio, connections lost", waits, (server.cpu_seconds() or 0.0) - cpu_before)
