"""P1, the live round trip: one message in, durable, event back to its sender.

Two loads. *Closed*: every connection waits for its echo before it sends again, so the server is busy all the time and
what a message costs is seen best. *Paced*: messages leave by the clock whatever comes back (open loop), so waiting is
counted from when a message was due and a slow server cannot slow its own load down.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import attrs
import trio

from bench.client import Client, event_arguments, open_client
from bench.servers import Server
from transport.socketio import codec

__all__ = ["Load", "Measured", "measure", "open_seats"]

ECHO_SECONDS_MAX = 30.0
"""A message that has not come back by then will not."""


@attrs.frozen
class Load:
    """`rate` in messages per second over all connections; None for the closed loop."""

    seconds: float
    content_bytes: int
    rate: float | None = None


@attrs.frozen
class Measured:
    """One turn of one server. `latencies` in seconds, sorted; `cpu_seconds` None where they cannot be read."""

    latencies: tuple[float, ...]
    seconds: float
    cpu_seconds: float | None

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds

    @property
    def cpu_microseconds(self) -> float | None:
        """Server CPU a message."""
        return None if self.cpu_seconds is None else self.cpu_seconds * 1e6 / len(self.latencies)

    def percentile(self, share: float) -> float:
        """Seconds; `share` from 0 to 1, nearest rank."""
        return self.latencies[min(int(share * len(self.latencies)), len(self.latencies) - 1)]


@asynccontextmanager
async def open_seats(server: Server, count: int) -> AsyncIterator[list[Client]]:
    """`count` connections, each to a conversation of its own where the server has such, and past its history."""
    async with AsyncExitStack() as stack:
        clients: list[Client] = []
        for _ in range(count):
            query: dict[str, str | int] = {}
            if server.has_conversations:
                query["conversation_id"] = await trio.to_thread.run_sync(server.create_conversation)
            clients.append(await stack.enter_async_context(open_client(server.url, query)))
        for client in clients:
            await _round_trip(client, "/note warm")
        yield clients


async def measure(server: Server, clients: Sequence[Client], load: Load) -> Measured:
    """Put the load on the connections for its time. Raises `ClientError`, `trio.TooSlowError`."""
    latencies: list[float] = []
    cpu_before, began = server.cpu_seconds(), time.perf_counter()
    async with trio.open_nursery() as nursery:
        for place, client in enumerate(clients):
            if load.rate is None:
                nursery.start_soon(_closed, client, load, latencies)
            else:
                period = len(clients) / load.rate
                nursery.start_soon(_paced, client, load, latencies, period, period * place / len(clients))
    took, cpu_after = time.perf_counter() - began, server.cpu_seconds()
    cpu = None if cpu_before is None or cpu_after is None else cpu_after - cpu_before
    return Measured(tuple(sorted(latencies)), took, cpu)


async def _closed(client: Client, load: Load, latencies: list[float]) -> None:
    began, count = time.perf_counter(), 0
    while (sent_at := time.perf_counter()) - began < load.seconds:
        count += 1
        await _round_trip(client, _content(load, count))
        latencies.append(time.perf_counter() - sent_at)


async def _paced(client: Client, load: Load, latencies: list[float], period: float, phase: float) -> None:
    began = time.perf_counter() + phase
    for count in range(max(int(load.seconds / period), 1)):
        due = began + count * period
        await trio.sleep(max(due - time.perf_counter(), 0))
        await _round_trip(client, _content(load, count))
        latencies.append(time.perf_counter() - due)


def _content(load: Load, count: int) -> str:
    return f"/note {count} ".ljust(load.content_bytes, ".")


async def _round_trip(client: Client, content: str) -> None:
    await client.send(codec.event("oh_user_action", {"action": "message", "args": {"content": content}}))
    with trio.fail_after(ECHO_SECONDS_MAX):
        while not any(_is_echo(event, content) for event in event_arguments(await client.receive(), "oh_event")):
            pass


def _is_echo(event: object, content: str) -> bool:
    match event:
        case {"action": "message", "args": {"content": str(found)}}:
            return found == content
        case _:
            return False
