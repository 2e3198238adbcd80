"""The bench of the live round trip (P1): our server and a peer as processes, in turns, beside raw syncs."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path

import trio

from bench.baseline import RawSyncs, machine, raw_syncs
from bench.client import Client
from bench.report import comparison, raw_line, table
from bench.round_trip import Load, Measured, measure, open_seats
from bench.servers import Server, greenroom, python_socketio

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "The live round trip (P1): one message in, durable, event back to its sender."

SETTLE_SECONDS = 0.3
"""Between two turns, so that the work that one left behind is not counted with the next."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--connections", type=int, default=50, help="each in a conversation of its own (50)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of every server, interleaved (5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of one turn (2)")
    parser.add_argument("--rate", type=float, default=500.0, help="messages/s over all connections when paced (500)")
    parser.add_argument("--bytes", type=int, default=100, help="of one message's text (100)")
    parser.add_argument("--url", help="measure the server at this URL instead of starting ours")
    parser.add_argument("--pid", type=int, help="of that server, if it runs here: for its CPU time")


@contextmanager
def _servers(arguments: argparse.Namespace, folder: Path) -> Iterator[list[Server]]:
    with ExitStack() as stack:
        if arguments.url:
            ours = Server("that server", arguments.url.rstrip("/"), arguments.pid)
        else:
            ours = stack.enter_context(greenroom(folder / "data"))
        yield [ours, stack.enter_context(python_socketio(folder / "peer.log"))]


async def run(arguments: argparse.Namespace, folder: Path) -> None:
    with _servers(arguments, folder) as servers:
        _print_settings(arguments, folder)
        async with AsyncExitStack() as stack:
            seats = {
                server: await stack.enter_async_context(open_seats(server, arguments.connections)) for server in servers
            }
            for name, rate in (("closed loop", None), (f"paced at {arguments.rate:.0f}/s", arguments.rate)):
                load = Load(arguments.seconds, arguments.bytes, rate)
                print(f"\n{name}\n{await _interleaved(seats, load, arguments.rounds, folder)}", flush=True)


async def _interleaved(seats: Mapping[Server, Sequence[Client]], load: Load, rounds: int, folder: Path) -> str:
    """Baseline, ours, theirs; and again, so that a noisy minute hits all of them."""
    turns: dict[str, list[Measured]] = {server.name: [] for server in seats}
    raws: list[RawSyncs] = []
    for _ in range(rounds):
        raws.append(await trio.to_thread.run_sync(raw_syncs, folder))
        for server, clients in seats.items():
            await trio.sleep(SETTLE_SECONDS)
            turns[server.name].append(await measure(server, clients, load))
    return f"{raw_line(raws)}\n{table(turns)}\n{comparison(*turns.values())}"


def _print_settings(arguments: argparse.Namespace, folder: Path) -> None:
    durability = "as that server is set" if arguments.url else "sync (every message durable before it comes back)"
    print(
        f"P1 live round trip: {arguments.connections} connections, a message of {arguments.bytes} bytes each way, "
        f"{arguments.rounds} rounds of {arguments.seconds} s, turns interleaved\n"
        f"{machine(folder)}; durability: {durability}; "
        "the peer python-socketio (uvicorn, uvloop, websockets) echoes and stores nothing",
        flush=True,
    )
