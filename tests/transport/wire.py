"""A whole wire for tests: the real listener and front, hypercorn included, and an echo server behind them.

`Raw` is a client of bytes: it can be as rude as a test needs. Its WebSocket half frames and unmasks by hand, so that
no library's good manners stand between the test and the server.
"""

import os
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import attrs
import orjson
import trio

from transport.admission import Admission
from transport.doorway import Doorway
from transport.engineio.connection import Peer
from transport.engineio.endpoint import Endpoint
from transport.engineio.options import Options
from transport.front import Front
from transport.listener import serve
from transport.origins import OriginPolicy
from transport.ratelimit import RateLimiter
from transport.socketio.server import Accept, Ack, Connection, Refuse, Server

__all__ = ["PATIENCE_SECONDS", "Echo", "Raw", "Wire", "open_wire"]

# Longer than any honest wait of these tests, on a machine with other work to do.
PATIENCE_SECONDS = 20.0

LOOPBACK = OriginPolicy(on_loopback=True)


@attrs.define
class Echo:
    """A namespace that sends back what it gets and remembers who came and went."""

    joined: list[Connection] = attrs.field(factory=list)
    reasons: list[str] = attrs.field(factory=list)
    heard: list[tuple[str, list[Any]]] = attrs.field(factory=list)
    sizes: list[int] = attrs.field(factory=list)

    async def connect(self, connection: Connection, auth: Mapping[str, Any] | None) -> Accept | Refuse:
        await trio.lowlevel.checkpoint()
        if auth and auth.get("crash"):
            raise RuntimeError("a bug in the handler")
        if auth and auth.get("refuse"):
            return Refuse("no", {"why": "asked for"})
        assert connection.query.get("EIO") == "4"
        return Accept({"auth": dict(auth or {})})

    def connected(self, connection: Connection) -> None:
        self.joined.append(connection)

    def received(self, connection: Connection, name: str, args: list[Any], ack: Ack | None, *, size_bytes: int) -> None:
        self.heard.append((name, args))
        self.sizes.append(size_bytes)
        if name == "crash":
            raise RuntimeError("a bug in the handler")
        if name == "leave":
            connection.disconnect(close_transport=bool(args and args[0]))
        elif ack is not None:
            ack(*args)
            ack("twice")  # E15: only the first counts
        else:
            connection.send(codec_event(name, *args, namespace=connection.namespace))

    def disconnected(self, connection: Connection, reason: str) -> None:
        self.joined.remove(connection)
        self.reasons.append(reason)


def codec_event(name: str, *args: Any, namespace: str) -> Any:
    from transport.socketio.codec import event

    return event(name, *args, namespace=namespace)


@attrs.frozen
class Wire:
    """A running server: its port, its echo, and clients by the asking."""

    port: int
    echo: Echo
    endpoint: Endpoint
    stopping: trio.Event
    nursery: trio.Nursery
    clients: list[trio.SocketStream] = attrs.field(factory=list)

    async def raw(self, source: str | None = None) -> "Raw":
        """A connection, from this address of the loopback."""
        stream = await trio.open_tcp_stream("127.0.0.1", self.port, local_address=source)
        self.clients.append(stream)
        return Raw(stream)

    async def websocket(self, query: str = "") -> "Raw":
        """A client that is through the Engine.IO handshake by WebSocket."""
        raw = await self.raw()
        await raw.upgrade(query)
        assert (await raw.frame())[1].startswith(b"0{")
        return raw

    async def joined(self, namespace: str = "") -> "Raw":
        raw = await self.websocket()
        await raw.text(f"40{namespace}")
        assert (await raw.frame())[1].startswith(b"40")
        return raw

    async def polling(self) -> str:
        """The sid of a new session by polling."""
        status, body = await self.get("")
        assert status == 200
        return str(orjson.loads(body[1:])["sid"])

    async def get(self, sid: str) -> tuple[int, bytes]:
        return await self.request("GET", sid)

    async def post(self, sid: str, body: bytes, *headers: str) -> tuple[int, bytes]:
        return await self.request("POST", sid, body, *headers)

    async def request(self, method: str, sid: str, body: bytes = b"", *headers: str) -> tuple[int, bytes]:
        raw = await self.raw()
        async with raw.stream:
            query = "EIO=4&transport=polling" + (f"&sid={sid}" if sid else "")
            await raw.send_request(method, f"/socket.io/?{query}", body, *headers)
            return await raw.answer()


@attrs.define
class Raw:
    """One TCP connection. `frame` and `answer` fail after PATIENCE_SECONDS rather than hang."""

    stream: trio.SocketStream
    buffer: bytearray = attrs.field(factory=bytearray)

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def _read(self) -> bool:
        with trio.fail_after(PATIENCE_SECONDS):
            data = await self.stream.receive_some(65_536)
        self.buffer += data
        return bool(data)

    async def exactly(self, count: int) -> bytes:
        while len(self.buffer) < count:
            if not await self._read():
                raise EOFError(bytes(self.buffer))
        taken = bytes(self.buffer[:count])
        del self.buffer[:count]
        return taken

    async def until_eof(self) -> bytes:
        """What comes until the server closes; a reset counts as closing."""
        try:
            while await self._read():
                pass
        except trio.BrokenResourceError:
            pass
        return bytes(self.buffer)

    # -- HTTP

    async def send_request(self, method: str, target: str, body: bytes = b"", *headers: str) -> None:
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost", *headers]
        if body or method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        await self.send("\r\n".join([*lines, "", ""]).encode() + body)

    async def head(self) -> tuple[int, dict[str, str]]:
        while b"\r\n\r\n" not in self.buffer:
            if not await self._read():
                raise EOFError(bytes(self.buffer))
        head, _, rest = bytes(self.buffer).partition(b"\r\n\r\n")
        self.buffer = bytearray(rest)
        first, *lines = head.decode("latin-1").split("\r\n")
        fields = (line.partition(": ") for line in lines)
        return int(first.split()[1]), {name.lower(): value for name, _, value in fields}

    async def answer(self) -> tuple[int, bytes]:
        status, headers = await self.head()
        return status, await self.exactly(int(headers["content-length"]))

    # -- WebSocket

    async def upgrade(self, query: str = "", trailing: bytes = b"", *headers: str) -> None:
        await self.send(upgrade_request(query, *headers) + trailing)
        status, _ = await self.head()
        assert status == 101

    async def text(self, text: str | bytes) -> None:
        await self.send(masked(0x81, text.encode() if isinstance(text, str) else text))

    async def binary(self, data: bytes) -> None:
        await self.send(masked(0x82, data))

    async def frame(self) -> tuple[int, bytes]:
        """The next frame: opcode and payload. Raises EOFError when the server has closed."""
        first, length = await self.exactly(2)
        if length == 126:
            (length,) = struct.unpack("!H", await self.exactly(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", await self.exactly(8))
        return first & 0x0F, await self.exactly(length)

    async def frames_until_eof(self) -> list[tuple[int, bytes]]:
        frames = []
        while True:
            try:
                frames.append(await self.frame())
            except (EOFError, trio.BrokenResourceError):
                return frames

    async def says(self, text: str) -> None:
        """The next text frame is this one."""
        assert await self.frame() == (1, text.encode())


def masked(first: int, data: bytes) -> bytes:
    mask = os.urandom(4)
    if len(data) < 126:
        head = bytes((first, 0x80 | len(data)))
    elif len(data) < 65_536:
        head = struct.pack("!BBH", first, 0xFE, len(data))
    else:
        head = struct.pack("!BBQ", first, 0xFF, len(data))
    # One big integer instead of a loop over bytes: these messages go up to megabytes.
    repeated = (mask * (len(data) // 4 + 1))[: len(data)]
    body = int.from_bytes(data, "big") ^ int.from_bytes(repeated, "big")
    return head + mask + body.to_bytes(len(data), "big")


def upgrade_request(query: str = "", *headers: str) -> bytes:
    lines = [
        f"GET /socket.io/?EIO=4&transport=websocket{query} HTTP/1.1",
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


async def _rest(scope: Any, _receive: Any, send: Any) -> None:
    """Whatever is not Socket.IO: answers with its method and path."""
    body = f"{scope['method']} {scope['path']}".encode()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def open_wire(
    policy: OriginPolicy = LOOPBACK, admission: Admission | None = None, **options: Any
) -> AsyncIterator[Wire]:
    """A server with an echo at `/` and at `/custom`; other keyword arguments are those of `Options`."""
    echo, custom, stopping = Echo(), Echo(), trio.Event()
    admission = admission or Admission(None, RateLimiter(0, 1))

    def whose(peer: Peer) -> str:
        return admission.address(peer.headers, peer.remote)

    endpoint = Server({"/": echo, "/custom": custom}, Options(**options), whose=whose).endpoint
    front = Front(_rest, endpoint, policy, admission)
    doorway = Doorway(endpoint.limits, admission.proxies.owner)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        await nursery.start(endpoint.run)
        nursery.start_soon(serve, listeners, front.app, front.upgrade, stopping, doorway)
        wire = Wire(listeners[0].socket.getsockname()[1], echo, endpoint, stopping, nursery)
        try:
            yield wire
        finally:
            for client in wire.clients:
                client.socket.close()
            nursery.cancel_scope.cancel()
