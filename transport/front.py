"""The way in: whether a request is for REST, for polling or for an upgrade, and what is asked of it before.

What lives here: Origin and key, in front of both transports of Socket.IO. What must not: sessions, routes, and the
decisions themselves (`origins`, `admission`); REST asks the same ones on its own, where its answers are made.
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import attrs
import orjson
import trio

from transport.addresses import below
from transport.admission import Admission, Denial
from transport.engineio.endpoint import Endpoint, Upgrade, refuse_upgrade
from transport.engineio.handshake import parse_query
from transport.heads import asgi_headers, folded
from transport.origins import OriginPolicy
from transport.refusals import Refusals
from transport.socketio.serving import with_headers

__all__ = ["ASGIApp", "Front"]

SOCKET_IO_PATH = "/socket.io/"

ASGIApp = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]


@attrs.frozen
class Front:
    """`app` is for hypercorn, `upgrade` for what the listener hands over. Only here is the prefix taken from paths."""

    rest: ASGIApp
    endpoint: Endpoint
    policy: OriginPolicy
    admission: Admission
    refusals: Refusals = attrs.field(factory=Refusals)

    async def app(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """The ASGI application in front of polling and REST."""
        prefix = self.admission.path_prefix
        path = below(prefix, scope["path"])
        if scope["type"] == "http" and path.startswith(SOCKET_IO_PATH) and scope["method"] != "OPTIONS":
            headers, peer = asgi_headers(scope["headers"]), (scope.get("client") or ("",))[0]
            if self._objection(headers, peer) is None:
                send = with_headers(send, self.policy.cors_headers(headers.get("origin")))
                denied = self._denial(scope["query_string"], headers, peer)
                if denied is None:
                    await self.endpoint.polling(scope, receive, send)
                else:
                    self.refusals.count("rate_limited")
                    await _deny(denied, send)
                return
        # Refusals and preflights are the REST application's, whatever the path. The prefix is ASGI's root_path to it.
        await self.rest({**scope, "root_path": prefix, "path": prefix + path}, receive, send)

    def upgrade(self, stream: trio.SocketStream, asked: Upgrade) -> Awaitable[None]:
        """Serve or refuse one upgrade request; the caller closes the stream."""
        # No coroutine of its own, which would keep the request's headers for as long as the WebSocket lives.
        headers = folded(asked.headers)
        path, _, query = asked.target.partition("?")
        if not below(self.admission.path_prefix, path).startswith(SOCKET_IO_PATH):
            return refuse_upgrade(stream, "404 Not Found")
        if self._objection(headers, asked.remote) is not None:
            self.refusals.count("foreign_origin")
            return refuse_upgrade(stream, "403 Forbidden")
        denied = self._denial(query.encode("latin-1"), headers, asked.remote)
        if denied is not None:
            self.refusals.count("rate_limited")
            return refuse_upgrade(stream, "429 Too Many Requests", headers=denied.headers)
        return self.endpoint.websocket(stream, asked)

    def _objection(self, headers: Mapping[str, str], peer: str) -> str | None:
        return self.policy.objection(self.admission.hosts(headers, peer), headers.get("origin"))

    def _denial(self, raw_query: bytes, headers: Mapping[str, str], peer: str) -> Denial | None:
        """Only the first request of a session is asked: python-socketio's client shows its headers on that one alone.
        The sid of the others cannot be guessed and stands for it; without the key it leads to a `44`."""
        query = parse_query(raw_query)
        if query is None or "sid" in query.last:
            return None
        return self.admission.handshake(headers, query.last, peer)


async def _deny(denied: Denial, send: Any) -> None:
    body = orjson.dumps(denied.body)
    more = {"content-type": "application/json", "content-length": str(len(body)), "cache-control": "no-store"}
    headers = [(name.encode(), value.encode("latin-1")) for name, value in {**more, **denied.headers}.items()]
    await send({"type": "http.response.start", "status": denied.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
