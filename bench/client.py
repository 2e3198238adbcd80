"""A Socket.IO client for load: one WebSocket, no tasks of its own, no callbacks.

What lives here: the wire, seen from the other side, out of the codecs that the server's transport has for clients.
What must not: a workload, or a guess at what a server means by an event.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode, urlsplit

import trio
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.uri import parse_uri

from transport.engineio.codec import Encoded
from transport.errors import TransportError
from transport.socketio import codec
from transport.socketio.client import ClientSession

__all__ = ["Client", "ClientError", "open_client"]

RECEIVE_BYTES = 65_536

PAYLOAD_BYTES_MAX = 4 * 1024 * 1024
"""What V0 announces (contract §2.1)."""

CONNECT_SECONDS_MAX = 30.0
"""A server under load may be slow to take a client; beyond this it is not there."""


class ClientError(Exception):
    """The server refused, left, or does not speak the protocol; the text says which."""


class Client:
    """Made by `open_client`. One task at a time may wait in `receive`."""

    def __init__(self, stream: trio.SocketStream, protocol: ClientProtocol) -> None:
        self._stream = stream
        self._protocol = protocol
        self._session = ClientSession(PAYLOAD_BYTES_MAX)
        self._waiting: list[codec.Packet] = []
        self.greeting: dict[str, Any] = {}
        """What the server said to CONNECT: its sid, and whether a position was taken up again."""

    async def send(self, packet: Encoded) -> None:
        """Raises `ClientError` when the connection is gone. Attachments are not for load."""
        self._protocol.send_text(packet.text)
        await self._flush()

    async def receive(self) -> list[codec.Packet]:
        """The next Socket.IO packets, at least one; pings are answered on the way. Raises `ClientError`."""
        while True:
            packets = self._waiting
            packets += [packet for message in self._messages() if (packet := self._decoded(message)) is not None]
            self._waiting = []
            await self._flush()
            if packets:
                return packets
            await self._read()

    async def _read(self) -> None:
        try:
            data = await self._stream.receive_some(RECEIVE_BYTES)
        except trio.BrokenResourceError as failure:
            raise ClientError(f"connection lost: {failure}") from failure
        if not data:
            raise ClientError("the server closed the connection")
        self._protocol.receive_data(data)

    def _messages(self) -> list[str]:
        frames = self._protocol.events_received()
        # Fragments are not expected: no server worth measuring splits a message below its own limit.
        texts = [frame.data for frame in frames if isinstance(frame, Frame) and frame.opcode is Opcode.TEXT]
        return [bytes(text).decode() for text in texts]

    def _decoded(self, message: str) -> codec.Packet | None:
        try:
            found = self._session.received(message)
        except TransportError as failure:
            raise ClientError(f"the server left or does not speak Socket.IO: {failure}") from failure
        if isinstance(found, Encoded):
            self._protocol.send_text(found.text)
            return None
        return found

    async def shake_hands(self) -> None:
        """The WebSocket's handshake, then Socket.IO's. Raises `ClientError`."""
        self._protocol.send_request(self._protocol.connect())
        await self._flush()
        while not isinstance(answer := next(iter(self._protocol.events_received()), None), Response):
            await self._read()
            if self._protocol.handshake_exc is not None:
                raise ClientError(f"no WebSocket: {self._protocol.handshake_exc}")
        if answer.status_code != 101:
            raise ClientError(f"no WebSocket: HTTP {answer.status_code}")
        await self.send(codec.connect())
        first, *self._waiting = await self.receive()
        if first.type is not codec.PacketType.CONNECT:
            raise ClientError(f"refused: {first.data}")
        self.greeting = first.data or {}

    async def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            try:
                await self._stream.send_all(data)
            except trio.BrokenResourceError as failure:
                raise ClientError(f"connection lost: {failure}") from failure


@asynccontextmanager
async def open_client(url: str, query: Mapping[str, str | int]) -> AsyncIterator[Client]:
    """A client that has joined namespace `/` of the server at `url`. Raises `ClientError`."""
    parts = urlsplit(url)
    target = urlencode({"EIO": 4, "transport": "websocket", **query})
    try:
        stream = await trio.open_tcp_stream(parts.hostname or "", parts.port or 80)
    except OSError as failure:
        raise ClientError(f"no connection to {url}: {failure}") from failure
    async with stream:
        protocol = ClientProtocol(
            parse_uri(f"ws://{parts.netloc}{parts.path}/socket.io/?{target}"), max_size=PAYLOAD_BYTES_MAX
        )
        client = Client(stream, protocol)
        with trio.fail_after(CONNECT_SECONDS_MAX):
            await client.shake_hands()
        yield client


def event_arguments(packets: list[codec.Packet], name: str) -> list[Any]:
    """The first argument of each of these packets that is an event of this name."""
    return [
        packet.data[1]
        for packet in packets
        if packet.type is codec.PacketType.EVENT and packet.data[0] == name and len(packet.data) > 1
    ]
