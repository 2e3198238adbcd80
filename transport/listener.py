"""One port: Socket.IO upgrades go to our own endpoint, everything else to hypercorn's HTTP/1.1 and ASGI.

All that this project knows of hypercorn is in this file. A subclass of its `H11Protocol` raises from `_create_stream`
to hand an upgrade over, trailing bytes included, so no WebSocket ever runs inside hypercorn, and h2 is refused. Each
connection is guarded: none can take the server down. The seam is held by tests/transport/test_hypercorn_seam.py.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from math import inf
from typing import Any, cast

import attrs
import h11
import orjson
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, RawData
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState

from transport.doorway import SLOW_BODY, SLOW_HEAD, UNUSED, Doorway
from transport.engineio.endpoint import Upgrade
from transport.engineio.handshake import NO_ROOM
from transport.engineio.limits import Limits, Share
from transport.engineio.polling import refuse
from transport.guard import connection_guard
from transport.heads import HEAD_BYTES_MAX, head_objection, request_objection
from transport.stream import GuardedStream

__all__ = ["serve"]

KEEP_ALIVE_SECONDS = 75.0
"""Above 60: pollers pause between two GETs, and a close race looks like a transport error to them (A29)."""

DRAIN_SECONDS = 3.0
"""How long requests under way may take when the server stops."""

Upgrader = Callable[[trio.SocketStream, Upgrade], Awaitable[None]]


class _HandedOver(Exception):
    """An upgrade request: hypercorn is done with this connection."""

    def __init__(self, request: h11.Request, trailing: bytes) -> None:
        super().__init__("upgrade")
        self.request = request
        self.trailing = trailing


class _StrictConnection(h11.Connection):
    """Looks at a head before it is read."""

    def next_event(self) -> Any:
        if self.their_state is h11.IDLE:
            status = head_objection(self.trailing_data[0])
            if status is not None:
                raise h11.RemoteProtocolError("a head that is not read", error_status_hint=status)
        return super().next_event()


class _Protocol(H11Protocol):
    """HTTP/1.1 without upgrades, with read deadlines."""

    guarded: GuardedStream
    doorway: Doorway

    async def initiate(self) -> None:
        """Who connects has something to ask. Browsers also connect to be ready: those are ended without a word."""
        self.guarded.expect(trio.current_time() + self.doorway.limits.options.head_timeout_seconds, UNUSED)
        self.doorway.expect_head(self.guarded)

    async def handle(self, event: Any) -> None:
        connection = cast("h11.Connection", self.connection)
        if isinstance(event, RawData) and connection.their_state is h11.IDLE:
            self._expect_head()
        await super().handle(event)
        if connection.their_state is h11.IDLE and connection.trailing_data[0]:
            self._expect_head()  # which may have come behind another request
        elif connection.their_state is not h11.SEND_BODY:
            self.guarded.expect(inf)

    def _expect_head(self) -> None:
        head_timeout_seconds = self.doorway.limits.options.head_timeout_seconds
        self.guarded.expect(min(self.guarded.read_deadline, trio.current_time() + head_timeout_seconds), SLOW_HEAD)

    async def _create_stream(self, request: h11.Request) -> None:
        self.doorway.head_came(self.guarded)
        connection = cast("h11.Connection", self.connection)
        headers = dict(request.headers)
        objection = request_objection(request.http_version, headers)
        if objection is not None:
            await self._send_error_response(objection)
            await self.send(Closed())
            return
        if b"upgrade" in headers:
            raise _HandedOver(request, connection.trailing_data[0])
        self.guarded.expect(trio.current_time() + self.doorway.limits.options.body_timeout_seconds, SLOW_BODY)
        await super()._create_stream(request)

    async def _send_error_response(self, status_code: int) -> None:
        """Theirs has no body, which says nothing to whoever tries with curl."""
        body = orjson.dumps({"message": HTTPStatus(status_code).phrase})
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
            *self.config.response_headers("h11"),
        ]
        answer = (h11.Response(status_code=status_code, headers=headers), h11.Data(data=body), h11.EndOfMessage())
        # In one piece: an app that answers meanwhile must not get in between.
        await self.send(RawData(b"".join(self.connection.send(event) or b"" for event in answer)))

    async def _check_protocol(self, event: h11.Request) -> None:
        """h2 and h2c are surface without use here: `PRI` is an unknown method, `Upgrade: h2c` a refused upgrade."""


class _Connection(TCPServer):
    """One connection of hypercorn's, ending early when an upgrade is handed over."""

    handed_over: _HandedOver | None = None
    doorway: Doorway

    async def run(self) -> None:
        socket = self.stream.socket
        try:
            client, server = socket.getpeername()[:2], socket.getsockname()[:2]
        except OSError:
            return  # gone before it was looked at
        try:
            async with TaskGroup() as task_group:
                self._task_group = task_group
                protocol = _Protocol(
                    self.app,
                    self.config,
                    self.context,
                    task_group,
                    ConnectionState(self.state),
                    False,  # noqa: FBT003 - hypercorn's signature
                    client,
                    server,
                    self.protocol_send,
                )
                protocol.connection = _StrictConnection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES_MAX)
                protocol.guarded, protocol.doorway = cast("GuardedStream", self.stream), self.doorway
                self.protocol = cast("Any", protocol)
                await protocol.initiate()
                await self.idle_task.restart(task_group, self._idle_timeout)
                try:
                    await self._read_data()
                except _HandedOver as handed_over:
                    self.handed_over = handed_over
                await self.idle_task.stop()
        finally:
            if self.handed_over is None:
                with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
                    await self._close()

    async def protocol_send(self, event: Any) -> None:
        """A connection that ends before its request is whole ends in `_read_data`, which throws away the rest."""
        connection = cast("h11.Connection", cast("_Protocol", self.protocol).connection)
        if isinstance(event, Closed) and connection.their_state in (h11.IDLE, h11.SEND_BODY, h11.ERROR):
            await cast("GuardedStream", self.stream).linger()
        else:
            await super().protocol_send(event)


def _config() -> Config:
    config = Config()
    config.keep_alive_timeout = KEEP_ALIVE_SECONDS
    config.include_server_header = False
    config.accesslog = None
    config.errorlog = None
    return config


async def serve(
    listeners: list[trio.SocketListener],
    app: Callable[..., Awaitable[None]],
    upgrader: Upgrader,
    stopping: trio.Event,
    doorway: Doorway,
) -> None:
    """Serve until `stopping` is set, then let requests under way finish within their grace."""
    config, context = _config(), WorkerContext(None)
    room = _Room(ASGIWrapper(cast("Any", _counting(app, doorway.limits))), config, context, upgrader, doorway)
    async with trio.open_nursery() as connections:
        async with trio.open_nursery() as accepting:
            accepting.start_soon(partial(trio.serve_listeners, room.receive, listeners, handler_nursery=connections))
            await stopping.wait()
            accepting.cancel_scope.cancel()
        await context.terminated.set()
        connections.cancel_scope.deadline = trio.current_time() + DRAIN_SECONDS


@attrs.define
class _Exchange:
    """One request and its answer, as the application has them.

    An app is cancelled when its client is gone, which is also how a finished answer looks to it: without a shield the
    close that follows `Connection: close` would be cancelled with it. Our stream bounds what is shielded.
    """

    theirs: Callable[[], Awaitable[Any]]
    answer: Callable[[Any], Awaitable[None]]
    body: Share
    has_begun: bool = False
    is_over: bool = False

    async def send(self, message: Any) -> None:
        """Nothing is said any more when it is over."""
        if not self.is_over:
            self.has_begun = True
            await self._say(message)

    async def _say(self, message: Any) -> None:
        with trio.CancelScope(shield=True):
            await self.answer(message)

    async def receive(self) -> Any:
        """What of a body is here is counted, but where it is answered already and so not kept. When there is no room
        for it, the client is told, and gone for the app."""
        message = await self.theirs()
        size = len(message.get("body", b""))
        if size and not (self.has_begun or self.is_over or self.body.keep(self.body.kept + size)):
            self.body.keep(0)  # at once, or all that are under way would be refused for the room of one
            self.is_over = True
            await refuse(self._say, NO_ROOM)
        return {"type": "http.disconnect"} if self.is_over else message


def _counting(app: Callable[..., Awaitable[None]], limits: Limits) -> Callable[..., Awaitable[None]]:
    async def counted(scope: Any, receive: Any, send: Any) -> None:
        exchange = _Exchange(receive, send, limits.share_of_bytes())
        # hypercorn would drop the error in silence; an app that ends without an answer is answered 500 by it.
        with connection_guard("request_crashed", {"path": scope["path"]}):
            try:
                await app(scope, exchange.receive, exchange.send)
            finally:
                exchange.body.keep(0)

    return counted


@attrs.frozen
class _Room:
    """What every connection of one port needs."""

    app: ASGIWrapper
    config: Config
    context: WorkerContext
    upgrader: Upgrader
    doorway: Doorway

    async def receive(self, stream: trio.SocketStream) -> None:
        """A connection from its beginning to its end."""
        address, port = _remote(stream)
        with connection_guard("connection_crashed", {"remote": f"{address} port {port}"}):
            async with stream:
                refusal = self.doorway.enter(address)
                if refusal is not None:
                    await self.doorway.turn_away(stream, refusal)
                    return
                try:
                    # What hypercorn and h11 keep goes with that call, the request with this list: a WebSocket lives for
                    # hours.
                    upgrades = await self._speak_http(stream, address)
                    if upgrades:
                        await self.upgrader(stream, upgrades.pop())
                finally:
                    self.doorway.leave(address)

    async def _speak_http(self, stream: trio.SocketStream, remote: str) -> list[Upgrade]:
        """At most one."""
        guarded = GuardedStream(stream, self.doorway.limits)
        connection = _Connection(
            cast("Any", self.app), self.config, self.context, cast("Any", {}), cast("Any", guarded)
        )
        connection.doorway = self.doorway
        try:
            await connection.run()
        finally:
            self.doorway.head_came(guarded)
        handed_over = connection.handed_over
        return [] if handed_over is None else [_upgrade(handed_over, remote)]


def _remote(stream: trio.SocketStream) -> tuple[str, int]:
    """Address and port, by which the log has it until it is a Socket.IO connection with a name."""
    try:
        address, port = stream.socket.getpeername()[:2]
    except OSError:
        return "gone", 0  # before it was looked at
    return str(address), int(port)


def _upgrade(handed_over: _HandedOver, remote: str) -> Upgrade:
    request = handed_over.request
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers]
    return Upgrade(request.target.decode("latin-1"), headers, handed_over.trailing, remote, request.method.decode())
