"""Conversations that nobody uses at the moment (P7, P12): what each keeps in memory, and how all of them come and go.

One server has many hot ones, with their run-times open, and is told to go; nothing that it acknowledged may be lost.
The next one knows them all and has none in memory, until all are woken. A third has clients that are connected to
conversations which have left memory. `/alive` is asked all the time, since it is what a loop that stalls answers late.
"""

import argparse
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

import orjson
import trio

from bench.baseline import machine
from bench.checkers import Violation, check_acknowledged, check_log
from bench.client import open_client
from bench.phases import HEAD, Watch, ask_again, drain, spread_over
from bench.rest import Rest, open_rest
from bench.servers import Server, ServerError, greenroom

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "Idle conversations (P7, P12): memory, answers meanwhile, and how long all of them take to come and to go."

QUIET_SECONDS = 2.0
"""Of nothing going on, so that what was begun ends."""

FIRST = 50
"""So many come before those that are counted: with the first ones a server takes memory that it takes only once."""

TIMES = 10
"""A question is asked in a row."""

HIBERNATE_AFTER = "1"
"""Seconds: so soon that few are hot at one time, and the next use the memory that they had."""

HIBERNATED_SECONDS_MAX = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--hot", type=int, default=500, help="conversations that are hot (500; P12 says 1000)")
    parser.add_argument("--connected", type=int, default=300, help="hibernated ones with a client each (300)")


async def run(arguments: argparse.Namespace, folder: Path) -> None:
    hot, connected = arguments.hot, arguments.connected
    print(
        f"P7, P12 idle conversations: {hot:,} hot, then {connected:,} hibernated with a client each\n"
        f"{machine(folder)}; durability: sync; sandbox: plain processes, none of which runs\n\n{HEAD}",
        flush=True,
    )
    try:
        said = await _hot(folder / "hot", hot)
        await _woken(folder / "hot", said)
        _check_all(folder / "hot", said)
    except Violation as violation:
        raise ServerError(f"what was acknowledged is lost: {violation}") from violation
    await _hibernated(folder / "hibernated", connected)


def _settings(places: int, hibernate_after: str = "0") -> Mapping[str, str]:
    """Nobody is closed for lack of use."""
    return {
        "MAX_CONCURRENT_CONVERSATIONS": str(places),
        "SANDBOX_CLOSE_DELAY": "0",
        "GREENROOM_HIBERNATE_AFTER": hibernate_after,
        "GREENROOM_SANDBOX": "local",
    }


async def _hot(data: Path, count: int) -> dict[str, list[str]]:
    """What each conversation has acknowledged."""
    said: dict[str, list[str]] = {}

    async def create(rest: Rest, number: int) -> None:
        conversation_id = str(orjson.loads(await rest.ask("POST", "/api/conversations", {}))["conversation_id"])
        said[conversation_id] = []
        await _say(rest, conversation_id, f"/note {number}", said)

    with greenroom(data, settings=_settings(count + FIRST)) as server:
        watch = Watch(server)
        await watch.phase("at rest", 1, partial(trio.sleep, QUIET_SECONDS))
        await watch.phase("the first", FIRST, partial(spread_over, server.url, range(FIRST), create))
        await watch.phase("created, each told a thing", count, partial(spread_over, server.url, range(count), create))
        await watch.phase("hot and idle", count, partial(trio.sleep, QUIET_SECONDS))
        for path in ("/metrics", "/api/admin/actors", "/api/admin/actors?limit=10000"):
            await watch.phase(f"GET {path}", TIMES, partial(ask_again, server.url, path, TIMES))
        print(await drain(server, data), flush=True)
    _check_all(data, said)
    return said


async def _woken(data: Path, said: dict[str, list[str]]) -> None:
    async def wake(rest: Rest, conversation_id: str) -> None:
        await _say(rest, conversation_id, "/note again", said)

    first, others = list(said)[:FIRST], list(said)[FIRST:]
    with greenroom(data, settings=_settings(len(said))) as server:
        watch = Watch(server)
        await watch.phase("at rest, all of them cold", 1, partial(trio.sleep, QUIET_SECONDS))
        await watch.phase("the first", len(first), partial(spread_over, server.url, first, wake))
        await watch.phase("woken by a message", len(others), partial(spread_over, server.url, others, wake))
        print(await drain(server, data), flush=True)


async def _say(rest: Rest, conversation_id: str, text: str, said: dict[str, list[str]]) -> None:
    await rest.ask("POST", f"/api/conversations/{conversation_id}/message", {"message": text})
    said[conversation_id].append(text)


def _check_all(data: Path, said: Mapping[str, list[str]]) -> None:
    """Raises `Violation`."""
    for conversation_id, acknowledged in said.items():
        log = check_log((data / "conversations" / conversation_id / "events.jsonl").read_bytes())
        check_acknowledged(
            [event["args"]["content"] for event in log if event.get("action") == "message"], acknowledged
        )
    print(f"{'':6}nothing acknowledged is lost: {len(said):,} logs whole", flush=True)


# --- hibernated ------------------------------------------------------------------------------------------------------


async def _hibernated(data: Path, count: int) -> None:
    with greenroom(data, settings=_settings(count + FIRST, HIBERNATE_AFTER)) as server:
        watch = Watch(server)
        await watch.phase("at rest", 1, partial(trio.sleep, QUIET_SECONDS))
        leave = trio.Event()
        async with trio.open_nursery() as clients:
            for what, begin, end in (("the first", 0, FIRST), ("joined and hibernated", FIRST, FIRST + count)):
                join = partial(_join, server, clients, leave)
                await watch.phase(what, end - begin, partial(_until_hibernated, server, range(begin, end), join))
            await watch.phase("hibernated, with a client each", count, partial(trio.sleep, QUIET_SECONDS))
            leave.set()


async def _until_hibernated(server: Server, numbers: range, join: Callable[[Rest, int], Awaitable[None]]) -> None:
    await spread_over(server.url, numbers, join)
    wanted = f'greenroom_conversations{{residency="hibernated"}} {float(numbers.stop)}'.encode()
    async with open_rest(server.url) as rest:
        with trio.fail_after(HIBERNATED_SECONDS_MAX):
            while wanted not in await rest.ask("GET", "/metrics"):  # noqa: ASYNC110 - it is another process
                await trio.sleep(0.2)


async def _join(server: Server, clients: trio.Nursery, leave: trio.Event, rest: Rest, _: int) -> None:
    conversation_id = str(orjson.loads(await rest.ask("POST", "/api/conversations", {}))["conversation_id"])
    await clients.start(_stay, server.url, conversation_id, leave)


async def _stay(
    url: str, conversation_id: str, leave: trio.Event, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """A client that answers pings and has nothing to say."""
    async with open_client(url, {"conversation_id": conversation_id}) as client, trio.open_nursery() as nursery:

        async def listen() -> None:
            while True:
                await client.receive()

        nursery.start_soon(listen)
        task_status.started()
        await leave.wait()
        nursery.cancel_scope.cancel()
