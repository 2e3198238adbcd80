"""Serving Socket.IO and nothing else: a port, a path, and which pages may talk to it.

What must not live here: anything that a larger application has of its own. Such a one takes `Server.endpoint` and
mounts it in its own front, as `transport.front` does.
"""

from collections.abc import Callable, Collection, Mapping, MutableMapping
from typing import Any

import attrs
import trio

from transport.doorway import Doorway, everyone
from transport.engineio.endpoint import Endpoint, Upgrade, refuse_upgrade
from transport.engineio.handshake import FORBIDDEN
from transport.engineio.polling import JSON, TEXT, answer
from transport.heads import asgi_headers, folded
from transport.origins import OriginPolicy, is_loopback
from transport.socketio.server import Server

__all__ = ["serve", "with_headers"]

PATH = "/socket.io/"

STAGGER_SECONDS = 1.0
"""Over which the clients of a server that stops are sent away; they come back after a second or more (E35)."""


async def serve(
    server: Server,
    host: str,
    port: int,
    *,
    path: str = PATH,
    permitted_origins: Collection[str] = (),
    permitted_hosts: Collection[str] = (),
    whom: Callable[[str], str | None] = everyone,
    stopping: trio.Event | None = None,
    task_status: trio.TaskStatus[list[trio.SocketListener]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until `stopping` is set, then send everybody away so that they come back; or until cancelled, at once.

    `port` 0 takes a free one; the listeners are told by `task_status`. Browsers' pages of this very origin are served,
    and those of `permitted_origins` (whole origins, such as `http://localhost:5173`); on loopback the Host header must
    name this machine or one of `permitted_hosts`. There is no TLS: a proxy's business; `whom` tells for an address for
    whom its connections count, None for a proxy's. Raises `OSError` when it cannot listen.
    """
    # hypercorn: a quarter of a second that no client waits for
    from transport.listener import serve as serve_port

    stopping = trio.Event() if stopping is None else stopping
    doorway = Doorway(server.endpoint.limits, whom)
    policy = OriginPolicy(is_loopback(host), tuple(permitted_origins), tuple(permitted_hosts))
    door = _Door(server.endpoint, path, policy)
    listeners = await trio.open_tcp_listeners(port, host=host)
    deaf = trio.Event()
    async with trio.open_nursery() as sessions:
        await sessions.start(server.endpoint.run)
        async with trio.open_nursery() as connections:
            connections.start_soon(serve_port, listeners, door.app, door.upgrade, deaf, doorway)
            task_status.started(listeners)
            await stopping.wait()
            # While it still listens: whoever polls is told by its next request.
            await server.endpoint.close_all(STAGGER_SECONDS)
            deaf.set()
        sessions.cancel_scope.cancel()


@attrs.frozen
class _Door:
    """What is not below the path is not here."""

    endpoint: Endpoint
    path: str
    policy: OriginPolicy

    async def app(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """The ASGI application for polling."""
        if scope["type"] != "http":
            return
        headers = asgi_headers(scope["headers"])
        origin = headers.get("origin")
        if not scope["path"].startswith(self.path):
            await answer(send, 404, b"", TEXT)
        elif self.policy.objection([headers.get("host", "")], origin) is not None:
            await answer(send, FORBIDDEN.status, FORBIDDEN.body, JSON)
        else:
            asked = headers.get("access-control-request-headers", "")
            permitting = with_headers(send, self.policy.cors_headers(origin, asked))
            if scope["method"] == "OPTIONS":
                await answer(permitting, 204, b"", TEXT)
            else:
                await self.endpoint.polling(scope, receive, permitting)

    async def upgrade(self, stream: trio.SocketStream, asked: Upgrade) -> None:
        """A page's WebSocket is held back by no browser, so its Origin is looked at here (A25)."""
        headers = folded(asked.headers)
        if not asked.target.startswith(self.path):
            await refuse_upgrade(stream, "404 Not Found")
        elif self.policy.objection([headers.get("host", "")], headers.get("origin")) is not None:
            await refuse_upgrade(stream, "403 Forbidden", FORBIDDEN.words)
        else:
            await self.endpoint.websocket(stream, asked)


def with_headers(send: Any, headers: Mapping[str, str]) -> Any:
    """An ASGI `send` that adds these headers to the answer."""
    if not headers:
        return send
    more = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]

    async def send_with_headers(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *more]
        await send(message)

    return send_with_headers
