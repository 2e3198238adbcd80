"""One port: Socket.IO upgrades go to our own endpoint, everything else to hypercorn's HTTP/1.1 and ASGI.

All that this project knows of hypercorn is in this file. A subclass of its `H11Protocol` raises from `_create_stream`
to hand an upgrade over, trailing bytes included, so no WebSocket ever runs inside hypercorn, and h2 is refused. Each
connection is guarded: none can take the server down. The seam is held by tests/transport/test_hypercorn_seam.py.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast

import h11
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, RawData
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState

from transport.engineio.endpoint import Upgrade
from transport.guard import connection_guard
from transport.stream import GuardedStream

__all__ = ["serve"]

HEAD_DEADLINE_SECONDS = 10.0
"""From the first byte of a request head to its last."""

BODY_DEADLINE_SECONDS = 60.0
"""For a request body; the polling endpoint has its own, shorter one."""

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


class _Protocol(H11Protocol):
    """HTTP/1.1 without upgrades, with read deadlines."""

    guarded: GuardedStream

    async def handle(self, event: Any) -> None:
        connection = cast("h11.Connection", self.connection)
        if (
            isinstance(event, RawData)
            and connection.their_state is h11.IDLE
            and self.guarded.read_deadline == float("inf")
        ):
            self.guarded.read_deadline = trio.current_time() + HEAD_DEADLINE_SECONDS
        await super().handle(event)
        if connection.their_state not in (h11.IDLE, h11.SEND_BODY) or (
            connection.their_state is h11.IDLE and not connection.trailing_data[0]
        ):
            self.guarded.read_deadline = float("inf")

    async def _create_stream(self, request: h11.Request) -> None:
        connection = cast("h11.Connection", self.connection)
        if any(name == b"upgrade" for name, _ in request.headers):
            raise _HandedOver(request, connection.trailing_data[0])
        self.guarded.read_deadline = trio.current_time() + BODY_DEADLINE_SECONDS
        await super()._create_stream(request)

    async def _check_protocol(self, event: h11.Request) -> None:
        """h2 and h2c are surface without use here: `PRI` is an unknown method, `Upgrade: h2c` a refused upgrade."""


class _Connection(TCPServer):
    """One connection of hypercorn's, ending early when an upgrade is handed over."""

    handed_over: _HandedOver | None = None
    remote = ""

    async def run(self) -> None:
        socket = self.stream.socket
        try:
            client, server = socket.getpeername()[:2], socket.getsockname()[:2]
        except OSError:
            return  # gone before it was looked at
        self.remote = str(client[0])
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
                protocol.guarded = cast("GuardedStream", self.stream)
                self.protocol = cast("Any", protocol)
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
        if isinstance(event, Closed) and connection.their_state is h11.SEND_BODY:
            await cast("GuardedStream", self.stream).linger()
        else:
            await super().protocol_send(event)


def _config() -> Config:
    config = Config()
    config.keep_alive_timeout = KEEP_ALIVE_SECONDS
    config.include_server_header = False
    config.accesslog = None
    config.errorlog = None
    config.h11_max_incomplete_size = 64 * 1024  # a head larger than this is no browser's
    return config


async def serve(
    listeners: list[trio.SocketListener],
    app: Callable[..., Awaitable[None]],
    upgrader: Upgrader,
    stopping: trio.Event,
) -> None:
    """Serve until `stopping` is set, then let requests under way finish within their grace."""
    config, context = _config(), WorkerContext(None)
    connect = partial(
        _guarded, app=ASGIWrapper(cast("Any", _shielding(app))), config=config, context=context, upgrader=upgrader
    )
    async with trio.open_nursery() as connections:
        async with trio.open_nursery() as accepting:
            accepting.start_soon(partial(trio.serve_listeners, connect, listeners, handler_nursery=connections))
            await stopping.wait()
            accepting.cancel_scope.cancel()
        await context.terminated.set()
        connections.cancel_scope.deadline = trio.current_time() + DRAIN_SECONDS


def _shielding(app: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """An app is cancelled when its client is gone, which is also how a finished answer looks to it: without a shield
    the close that follows `Connection: close` would be cancelled with it. Our stream bounds what is shielded."""

    async def shielded(scope: Any, receive: Any, send: Any) -> None:
        async def send_whole(message: Any) -> None:
            with trio.CancelScope(shield=True):
                await send(message)

        # hypercorn would drop the error in silence; an app that ends without an answer is answered 500 by it.
        with connection_guard("request_crashed", {"path": scope["path"]}):
            await app(scope, receive, send_whole)

    return shielded


async def _guarded(
    stream: trio.SocketStream, *, app: ASGIWrapper, config: Config, context: WorkerContext, upgrader: Upgrader
) -> None:
    with connection_guard("connection_crashed", {"remote": _remote(stream)}):
        async with stream:
            # What hypercorn and h11 keep goes with that call: a WebSocket lives for hours.
            upgrade = await _speak_http(stream, app, config, context)
            if upgrade is not None:
                await upgrader(stream, upgrade)


def _remote(stream: trio.SocketStream) -> str:
    """Address and port, by which the log has it until it is a Socket.IO connection with a name."""
    try:
        address, port = stream.socket.getpeername()[:2]
    except OSError:
        return "gone"  # before it was looked at
    return f"{address} port {port}"


async def _speak_http(
    stream: trio.SocketStream, app: ASGIWrapper, config: Config, context: WorkerContext
) -> Upgrade | None:
    guarded = GuardedStream(stream)
    connection = _Connection(cast("Any", app), config, context, cast("Any", {}), cast("Any", guarded))
    await connection.run()
    handed_over = connection.handed_over
    return None if handed_over is None else _upgrade(handed_over, connection.remote)


def _upgrade(handed_over: _HandedOver, remote: str) -> Upgrade:
    request = handed_over.request
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers]
    return Upgrade(request.target.decode("latin-1"), headers, handed_over.trailing, remote, request.method.decode())
