"""The clients of a crash campaign: they act under keys, and try again what was not acknowledged (K11, K13).

What lives here: what each has sent, what it was told and shown. What must not: the kill, or a judgement.
"""

import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import orjson

from bench.checkers import Event, Violation
from bench.client import Client, open_client
from transport.socketio import codec

__all__ = ["Founder", "Voice"]

IN_FLIGHT_MAX = 8
"""Messages of one voice without an answer yet: so that a kill finds some at every stage."""

FOUNDING_PAUSE_SECONDS = 0.05
"""Each conversation opens a run-time: the load shall be of messages."""


@attrs.define
class Voice:
    """One client over all rounds. The key of its n-th note is `name-n`."""

    name: str
    conversation_id: str
    sent: int = 0
    acknowledged: list[str] = attrs.field(factory=list)
    event_ids: dict[str, int] = attrs.field(factory=dict)
    replayed: int = 0
    view: list[Event] = attrs.field(factory=list)
    in_flight: set[int] = attrs.field(factory=set)

    @property
    def last_id(self) -> int:
        return self.view[-1]["id"] if self.view else -1

    async def talk(self, url: str) -> None:
        """Until the connection is gone, which raises `ClientError`."""
        async with self._joined(url) as client:
            while True:
                while len(self.in_flight) < IN_FLIGHT_MAX:
                    self.sent += 1
                    await self._say(client, self.sent)
                await self._hear(client)

    async def settle(self, url: str) -> None:
        """Until everything that was ever sent is acknowledged."""
        async with self._joined(url) as client:
            while self.in_flight:
                await self._hear(client)

    @asynccontextmanager
    async def _joined(self, url: str) -> AsyncIterator[Client]:
        query: dict[str, str | int] = {"conversation_id": self.conversation_id, "latest_event_id": self.last_id}
        async with open_client(url, query) as client:
            if client.greeting.get("recovered") is not True:
                raise Violation(f"{self.name}: what it was shown is not there any more: {client.greeting}")
            for number in sorted(self.in_flight):
                await self._say(client, number)
            yield client

    @property
    def texts(self) -> dict[str, str]:
        """All that it ever sent, by key."""
        return {self.key(number): self.text(number) for number in range(1, self.sent + 1)}

    def text(self, number: int) -> str:
        return f"/note {self.name} {number}"

    def key(self, number: int) -> str:
        return f"{self.name}-{number}"

    async def _say(self, client: Client, number: int) -> None:
        self.in_flight.add(number)
        action = {"action": "message", "args": {"content": self.text(number)}, "idempotency_key": self.key(number)}
        await client.send(codec.event("oh_user_action", action, ack_id=number))

    async def _hear(self, client: Client) -> None:
        for packet in await client.receive():
            self._take(packet)

    def _take(self, packet: codec.Packet) -> None:
        match packet:
            case codec.Packet(
                type=codec.PacketType.ACK, id=int(number), data=[{"event_id": int(event_id), "replayed": replayed}]
            ):
                self.in_flight.remove(number)
                self.acknowledged.append(self.text(number))
                self.event_ids[self.key(number)] = event_id
                self.replayed += bool(replayed)
            case codec.Packet(type=codec.PacketType.ACK, id=int(number), data=data):
                raise Violation(f"{self.name}: {self.text(number)!r} was refused: {data}")
            case codec.Packet(type=codec.PacketType.EVENT, data=["oh_event", {"id": int()} as event]):
                self.view.append(event)


@attrs.define
class Founder:
    """Creates conversations one after the other, over all rounds. The key of the n-th is `founder-n`."""

    ids: dict[str, str] = attrs.field(factory=dict)
    replayed: int = 0

    def found(self, url: str) -> None:
        """Until the server is gone, which raises `OSError` or `HTTPException`."""
        while True:
            self.found_next(url)
            time.sleep(FOUNDING_PAUSE_SECONDS)

    def found_next(self, url: str) -> None:
        """One more, the last one anew if it was not acknowledged."""
        key = f"founder-{len(self.ids)}"
        request = urllib.request.Request(  # noqa: S310 - our own server
            f"{url}/api/conversations",
            orjson.dumps({"initial_user_msg": f"/note {key}"}),
            {"Content-Type": "application/json", "Idempotency-Key": key},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
            self.replayed += answer.headers.get("Idempotency-Replayed") == "true"
            self.ids[key] = orjson.loads(answer.read())["conversation_id"]
