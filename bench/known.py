"""Many conversations on disk and few in memory (P8, P9, P14): what the others cost a server that knows them.

A conversation is made by a server, told as many things as are wanted, and copied under other ids: so every folder is
what a server left behind. Starts on it and on an empty folder take turns with imports of the libraries alone and with
reads of the first page of every log, below which no start can come.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from uuid import UUID

import attrs
import orjson
import trio

from bench.baseline import machine
from bench.phases import HEAD, Watch, ask_again, drain, spread_over
from bench.rest import Rest, open_rest
from bench.servers import Server, greenroom

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "Many conversations known, few hot (P8, P9, P14): starts, memory, listings."

LIBRARIES = "import trio, structlog, orjson, cattrs, yaml, quart_trio, hypercorn.trio, websockets, cryptography.fernet"
"""What a server of ours must import before it imports itself."""

PAGE = 100
"""As many conversations as one page may have."""

FIRST = 50
"""So many are woken before those that are counted: with them comes memory that a server takes only once."""

FIRST_PAGE_BYTES = 4096

TIMES = 10
"""A question is asked in a row."""

SETTINGS = {"SANDBOX_CLOSE_DELAY": "0", "GREENROOM_HIBERNATE_AFTER": "0", "GREENROOM_SANDBOX": "local"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--known", type=int, default=10_000, help="conversations on disk (10000, as P8 says)")
    parser.add_argument("--events", type=int, default=10, help="of each; P8 says 100, which take 0.3 GB (10)")
    parser.add_argument("--hot", type=int, default=200, help="of them woken at the end (200)")
    parser.add_argument("--rounds", type=int, default=3, help="starts of each kind, interleaved (3)")


async def run(arguments: argparse.Namespace, folder: Path) -> None:
    print(
        f"P8, P9, P14: {arguments.known:,} conversations of {arguments.events} events, {arguments.rounds} rounds "
        f"interleaved\n{machine(folder)}, in the page cache",
        flush=True,
    )
    data, empty = folder / "known", folder / "empty"
    ids = await _fill(data, arguments.known, arguments.events)
    print(await _starts(data, empty, arguments.rounds), flush=True)
    print(f"\n{HEAD}")
    with greenroom(data, settings=SETTINGS | {"MAX_CONCURRENT_CONVERSATIONS": str(arguments.hot + FIRST)}) as server:
        await _use(server, ids, arguments.hot)
        print(await drain(server, data), flush=True)


async def _fill(data: Path, known: int, events: int) -> list[str]:
    with greenroom(data, settings=SETTINGS) as server:
        async with open_rest(server.url) as rest:
            first = str(orjson.loads(await rest.ask("POST", "/api/conversations", {}))["conversation_id"])
            while await _events_of(rest, first) < events:
                await _say(rest, first)
    conversations = data / "conversations"
    return [first, *await trio.to_thread.run_sync(_copy, conversations, first, known - 1)]


async def _events_of(rest: Rest, conversation_id: str) -> int:
    found = orjson.loads(await rest.ask("GET", f"/api/conversations/{conversation_id}"))
    return int(found["lifecycle"]["last_event_id"]) + 1


def _copy(conversations: Path, first: str, count: int) -> list[str]:
    files = {path.name: path.read_bytes() for path in (conversations / first).iterdir() if path.is_file()}
    ids = [UUID(int=number).hex for number in range(count)]
    for conversation_id in ids:
        folder = conversations / conversation_id
        (folder / "files").mkdir(parents=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
    return ids


async def _say(rest: Rest, conversation_id: str) -> None:
    await rest.ask("POST", f"/api/conversations/{conversation_id}/message", {"message": "/note ".ljust(60, "x")})


# --- starts ----------------------------------------------------------------------------------------------------------


@attrs.frozen
class Start:
    """From the start of the process until it says that it is ready; what it has in memory then."""

    seconds: float
    cpu_seconds: float
    memory_bytes: int = 0


async def _starts(data: Path, empty: Path, rounds: int) -> str:
    kinds: dict[str, Callable[[], Start]] = {
        "the libraries alone": _import_libraries,
        "a server that knows nobody": partial(_start, empty),
        "the first page of every log, read": partial(_read_first_pages, data),
        "a server that knows them": partial(_start, data),
    }
    found: dict[str, list[Start]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, kind in kinds.items():
            found[name].append(await trio.to_thread.run_sync(kind))
    lines = [f"\n{'':36}{'seconds':>10}{'least':>8}{'CPU-s':>8}{'MB':>8}"]
    for name, starts in found.items():
        seconds = [start.seconds for start in starts]
        memory = median(start.memory_bytes for start in starts)
        lines.append(
            f"{name:36}{median(seconds):10.2f}{min(seconds):8.2f}{median(start.cpu_seconds for start in starts):8.2f}"
            + (f"{memory / 1e6:8.1f}" if memory else "")
        )
    *_, nobody, _, all_of_them = (median(start.memory_bytes for start in starts) for starts in found.values())
    known = sum(1 for _ in (data / "conversations").iterdir())
    lines.append(f"memory for each conversation that is known: {(all_of_them - nobody) / known:,.0f} bytes")
    return "\n".join(lines)


def _start(data: Path) -> Start:
    began = time.perf_counter()
    with greenroom(data, settings=SETTINGS) as server:
        return Start(time.perf_counter() - began, server.cpu_seconds() or 0.0, server.memory_bytes())


def _import_libraries() -> Start:
    began, cpu_before = time.perf_counter(), _children_seconds()
    subprocess.run([sys.executable, "-c", LIBRARIES], check=True)
    return Start(time.perf_counter() - began, _children_seconds() - cpu_before)


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _read_first_pages(data: Path) -> Start:
    began, cpu_before = time.perf_counter(), time.thread_time()
    for folder in (data / "conversations").iterdir():
        with (folder / "events.jsonl").open("rb", buffering=0) as file:
            file.read(FIRST_PAGE_BYTES)
    return Start(time.perf_counter() - began, time.thread_time() - cpu_before)


# --- a server that knows them ----------------------------------------------------------------------------------------


async def _use(server: Server, ids: list[str], hot: int) -> None:
    watch, pages = Watch(server), [f"/api/conversations?limit={PAGE}"]
    await watch.phase("at rest", 1, partial(trio.sleep, 2))
    await watch.phase("every page of a listing", -(-len(ids) // PAGE), partial(_walk, server.url, pages))
    for what, page in (("the first page again", pages[0]), ("the last page again", pages[-1])):
        await watch.phase(what, TIMES, partial(ask_again, server.url, page, TIMES))
    first, others = ids[:FIRST], ids[FIRST : FIRST + hot]
    await watch.phase("the first woken", len(first), partial(spread_over, server.url, first, _say))
    await watch.phase("woken by a message", len(others), partial(spread_over, server.url, others, _say))
    for path in ("/metrics", "/api/admin/actors"):
        await watch.phase(f"GET {path}", TIMES, partial(ask_again, server.url, path, TIMES))


async def _walk(url: str, pages: list[str]) -> None:
    """Adds the addresses of all pages but the first."""
    first = pages[0]
    async with open_rest(url) as rest:
        while (following := orjson.loads(await rest.ask("GET", pages[-1]))["next_page_id"]) is not None:
            pages.append(f"{first}&page_id={following}")
