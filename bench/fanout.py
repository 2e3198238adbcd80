"""P2, fan-out: what one message costs a server that has hundreds of clients to tell it to.

Two loads, both closed. *One*: the next message is sent when the last client has got the one before. *Many*: so are
bursts of messages, which a server may send on together. The clients are on the same machine, so look at CPU first.
"""

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median

import attrs
import trio

from bench.baseline import machine, raw_writes
from bench.crowd import Crowd, Listener, open_crowd
from bench.report import nearest_rank, spread
from bench.servers import Server, greenroom, python_socketio

__all__ = ["SUMMARY", "Audience", "FanOut", "add_arguments", "fan_out", "gather", "run"]

SUMMARY = "Fan-out (P2): one event to everybody in a conversation."

SETTLE_SECONDS = 0.3
"""Between two turns, so that the work that one left behind is not counted with the next."""

FRAME_BYTES = 400
"""About an event of a short message on the wire, for the raw baseline."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--listeners", type=int, default=500, help="in one conversation (500, as P2 says)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of every server, interleaved (5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of one turn (2)")
    parser.add_argument("--burst", type=int, default=20, help="messages that are sent at once (20)")
    parser.add_argument("--bytes", type=int, default=100, help="of one message's text (100)")


@attrs.frozen
class Audience:
    """Everybody who listens to one conversation; the first of them speaks. By `query` one more would join."""

    server: Server
    crowd: Crowd
    query: Mapping[str, str]
    listeners: Sequence[Listener]


@attrs.frozen
class FanOut:
    """One turn. `waits` are from when a burst was sent until the last listener had all of it, in seconds."""

    waits: Sequence[float]
    deliveries: int
    seconds: float
    cpu_seconds: float

    @property
    def per_second(self) -> float:
        return self.deliveries / self.seconds

    @property
    def cpu_microseconds(self) -> float:
        """Server CPU a delivery."""
        return self.cpu_seconds * 1e6 / self.deliveries


async def run(arguments: argparse.Namespace, folder: Path) -> None:
    print(
        f"P2 fan-out: {arguments.listeners} clients in one conversation, a message of {arguments.bytes} bytes to "
        f"all of them, {arguments.rounds} rounds of {arguments.seconds} s, turns interleaved\n"
        f"{machine(folder)}; durability: sync (every message durable before it goes out); "
        "the peer python-socketio (uvicorn, uvloop, websockets) stores nothing",
        flush=True,
    )
    await trio.to_thread.run_sync(_measure, arguments, folder)


def _measure(arguments: argparse.Namespace, folder: Path) -> None:
    with _audiences(folder, arguments.listeners) as audiences:
        for name, burst in (("one at a time", 1), (f"{arguments.burst} at a time", arguments.burst)):
            turns: dict[str, list[FanOut]] = {audience.server.name: [] for audience in audiences}
            raws = []
            for _ in range(arguments.rounds):
                raws.append(raw_writes(arguments.listeners, FRAME_BYTES))
                for audience in audiences:
                    audience.crowd.settle(SETTLE_SECONDS)
                    turns[audience.server.name].append(fan_out(audience, arguments.seconds, burst, arguments.bytes))
            print(f"\n{name}\n{_table(raws, turns)}", flush=True)


@contextmanager
def _audiences(folder: Path, count: int) -> Iterator[list[Audience]]:
    with ExitStack() as stack:
        ours = stack.enter_context(greenroom(folder / "data"))
        theirs = stack.enter_context(python_socketio(folder / "peer.log", "--to-all"))
        yield [gather(server, stack.enter_context(open_crowd()), count) for server in (ours, theirs)]


def gather(server: Server, crowd: Crowd, count: int) -> Audience:
    """So many in a conversation of their own, past its history and its first message."""
    query = {"conversation_id": server.create_conversation()} if server.has_conversations else {}
    audience = Audience(server, crowd, query, crowd.join(server.url, [query] * count))
    crowd.settle(1.0)
    fan_out(audience, 0.0, 1, 0)
    return audience


def fan_out(audience: Audience, seconds: float, burst: int, text_bytes: int) -> FanOut:
    """Speak for so long. Raises `ClientError`, also when somebody's events are not in order."""
    crowd, listeners, waits = audience.crowd, audience.listeners, list[float]()
    before = {listener: listener.count for listener in listeners}
    cpu_before, began, sent = audience.server.cpu_seconds() or 0.0, time.perf_counter(), 0
    while not waits or time.perf_counter() - began < seconds:
        texts = [f"/note {sent + number} ".ljust(text_bytes, ".") for number in range(burst)]
        sent += burst
        sent_at = time.perf_counter()
        listeners[0].say(texts)
        crowd.wait(listeners, partial(_has_heard, before, sent))
        waits.append(time.perf_counter() - sent_at)
    took, cpu = time.perf_counter() - began, (audience.server.cpu_seconds() or 0.0) - cpu_before
    return FanOut(waits, sent * len(listeners), took, cpu)


def _has_heard(before: Mapping[Listener, int], sent: int, listener: Listener) -> bool:
    return listener.count - before[listener] >= sent


def _table(raws: Sequence[float], turns: Mapping[str, Sequence[FanOut]]) -> str:
    lines = [
        f"a bare write to a socket whose reader waits: {spread([raw * 1e6 for raw in raws])} CPU-µs",
        f"{'':18}{'deliveries/s':>14}{'server CPU-µs':>15}{'p50 ms':>9}{'p99 ms':>9}",
    ]
    for name, measured in turns.items():
        waits = [median(nearest_rank(turn.waits, share) for turn in measured) * 1e3 for share in (0.5, 0.99)]
        cpu = median(turn.cpu_microseconds for turn in measured)
        rate = median(turn.per_second for turn in measured)
        lines.append(f"{name:18}{rate:14,.0f}{cpu:15.1f}" + "".join(f"{wait:9.2f}" for wait in waits))
    ours, theirs = turns.values()
    cpu_ratios = [peer.cpu_microseconds / own.cpu_microseconds for own, peer in zip(ours, theirs, strict=True)]
    rate_ratios = [own.per_second / peer.per_second for own, peer in zip(ours, theirs, strict=True)]
    lines.append(f"peer / ours: CPU a delivery {spread(cpu_ratios)}; ours / peer: deliveries/s {spread(rate_ratios)}")
    return "\n".join(lines)
