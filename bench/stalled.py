"""P3, a stalled reader among hundreds: what the others notice of it, and what it costs the server.

Turns with one that takes nothing are held against turns without, and turns without against other turns without: a
difference is one only where it is larger than that between equals. At the end one stalls until the server ends it.
"""

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import median

import attrs
import trio

from bench.baseline import machine
from bench.crowd import open_crowd
from bench.fanout import Audience, FanOut, fan_out, gather
from bench.report import nearest_rank, spread
from bench.servers import ServerError, greenroom

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "A stalled reader among hundreds (P3): its memory, and what the others notice."

STALLED_BUFFER_BYTES = 4096
"""Of its socket: so it is behind after some hundred kilobytes, as whoever stalls for good is after all."""

ALONE, AGAIN, STALLED = "nobody stalls", "nobody stalls, again", "one stalls"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--listeners", type=int, default=500, help="who read, in one conversation (500, as P3 says)")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each kind, interleaved (7)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of one turn (2)")
    parser.add_argument("--bytes", type=int, default=4000, help="of one message's text (4000)")
    parser.add_argument(
        "--patience",
        type=float,
        default=60,
        help="seconds for the server to end who stalls for good; 0: no such turn (60)",
    )


async def run(arguments: argparse.Namespace, folder: Path) -> None:
    print(
        f"P3 a stalled reader among {arguments.listeners}: messages of {arguments.bytes} bytes, one at a time, "
        f"{arguments.rounds} rounds of {arguments.seconds} s, turns interleaved\n"
        f"{machine(folder)}; durability: sync",
        flush=True,
    )
    await trio.to_thread.run_sync(_measure, arguments, folder)


def _measure(arguments: argparse.Namespace, folder: Path) -> None:
    with greenroom(folder / "data") as server, open_crowd() as crowd:
        audience = gather(server, crowd, arguments.listeners)
        turns: dict[str, list[FanOut]] = {ALONE: [], STALLED: [], AGAIN: []}
        grown: dict[str, list[int]] = {kind: [] for kind in turns}
        for _ in range(arguments.rounds):
            for kind, measured in turns.items():
                with _one_more(audience) if kind is STALLED else nullcontext():
                    # In the same way for all kinds, until whoever stalls is behind.
                    fan_out(audience, arguments.seconds / 2, 1, arguments.bytes)
                    if kind is STALLED:
                        _require_behind(audience)
                    before = server.memory_bytes()
                    measured.append(fan_out(audience, arguments.seconds, 1, arguments.bytes))
                    grown[kind].append(server.memory_bytes() - before)
        print(_table(turns, grown), flush=True)
        if arguments.patience:
            print(_stall_until_closed(audience, arguments.bytes, arguments.patience), flush=True)


@contextmanager
def _one_more(audience: Audience) -> Iterator[None]:
    """Who joins, and then reads nothing."""
    crowd, server = audience.crowd, audience.server
    stalled = crowd.dial(server.url, audience.query, STALLED_BUFFER_BYTES)
    crowd.wait([stalled], lambda listener: listener.joined)
    crowd.ignore(stalled)
    try:
        yield
    finally:
        crowd.leave([stalled])


@attrs.frozen
class _Clients:
    there: int
    behind: int


def _clients(audience: Audience) -> _Clients:
    path = f"/api/admin/actors/{audience.query['conversation_id']}"
    match audience.server.request("GET", path):
        case {"actor": {"clients": int(there), "clients_behind": int(behind)}}:
            return _Clients(there, behind)
    raise ServerError("the server does not say who is behind")


def _require_behind(audience: Audience) -> None:
    if _clients(audience).behind == 0:
        raise ServerError("nobody is behind: more or longer messages are needed")


def _stall_until_closed(audience: Audience, text_bytes: int, seconds_max: float) -> str:
    server, began, sent = audience.server, time.perf_counter(), 0
    before = peak = server.memory_bytes()
    with _one_more(audience):
        while _clients(audience).there > len(audience.listeners):
            sent += fan_out(audience, 0.5, 1, text_bytes).deliveries // len(audience.listeners)
            peak = max(peak, server.memory_bytes())
            if time.perf_counter() - began > seconds_max:
                raise ServerError("the server keeps who takes nothing")
    return (
        f"one that goes on stalling: closed after {time.perf_counter() - began:.1f} s, "
        f"while {sent * text_bytes / 1e6:,.1f} MB of messages went by; "
        f"the server's memory grew by {(peak - before) / 1e6:.1f} MB"
    )


def _table(turns: Mapping[str, Sequence[FanOut]], grown: Mapping[str, Sequence[int]]) -> str:
    lines = [f"\n{'':22}{'p50 ms':>9}{'p99 ms':>9}{'server CPU-µs':>15}{'grown by, MB':>14}"]
    for kind, measured in turns.items():
        waits = [median(nearest_rank(turn.waits, share) for turn in measured) * 1e3 for share in (0.5, 0.99)]
        cpu = median(turn.cpu_microseconds for turn in measured)
        lines.append(
            f"{kind:22}" + "".join(f"{wait:9.2f}" for wait in waits) + f"{cpu:15.1f}{max(grown[kind]) / 1e6:14.1f}"
        )
    for kind in (AGAIN, STALLED):
        ratios = [
            nearest_rank(turn.waits, 0.5) / nearest_rank(alone.waits, 0.5)
            for turn, alone in zip(turns[kind], turns[ALONE], strict=True)
        ]
        lines.append(f"{kind} / {ALONE}: p50 {spread(ratios)}")
    return "\n".join(lines)
