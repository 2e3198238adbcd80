"""A WebSocket of the chat's, opened by its address.

What lives here: the way from an address to an open socket, and back to one bare exception. What must not: what is said
on it. trio-websocket would do it all, but it names an IPv6 host without brackets, where no port can be told from it.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import SplitResult, urlsplit

import trio
import trio_websocket

__all__ = ["open_websocket"]

CONNECT_SECONDS = 60.0
"""For a server that is busy, as trio-websocket has it."""

CLOSE_SECONDS = 1.0
"""For the other's half of the goodbye; whoever leaves waits for it."""


@asynccontextmanager
async def open_websocket(
    url: str, resource: str, headers: Mapping[str, str], message_bytes_max: int
) -> AsyncIterator[trio_websocket.WebSocketConnection]:
    """The socket at `resource` of the server at `url`, closed at the end of the block.

    Raises `OSError` and `trio_websocket.HandshakeError`, and whatever the block raises, bare.
    """
    try:
        async with trio.open_nursery() as nursery:
            socket = await _connect(nursery, urlsplit(url), resource, headers, message_bytes_max)
            try:
                yield socket
            finally:
                with trio.move_on_after(CLOSE_SECONDS):
                    await socket.aclose()
    except BaseExceptionGroup as group:
        raise _one(group.subgroup(KeyboardInterrupt) or group) from group


async def _connect(
    nursery: trio.Nursery, server: SplitResult, resource: str, headers: Mapping[str, str], message_bytes_max: int
) -> trio_websocket.WebSocketConnection:
    try:
        with trio.fail_after(CONNECT_SECONDS):
            return await trio_websocket.wrap_client_stream(
                nursery,
                await _open_stream(server),
                server.netloc.rpartition("@")[2],
                resource,
                extra_headers=[(name.encode(), value.encode()) for name, value in headers.items()],
                max_message_size=message_bytes_max,
            )
    except trio.TooSlowError:
        raise TimeoutError(f"no answer within {CONNECT_SECONDS:.0f} s") from None


async def _open_stream(server: SplitResult) -> trio.SocketStream | trio.SSLStream[trio.SocketStream]:
    host = server.hostname or ""
    if server.scheme == "https":
        return await trio.open_ssl_over_tcp_stream(host, server.port or 443, https_compatible=True)
    return await trio.open_tcp_stream(host, server.port or 80)


def _one(failure: BaseException) -> BaseException:
    """The reader and the block may both say that the connection is gone; either will do."""
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure
