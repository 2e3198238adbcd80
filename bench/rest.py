"""One connection to a server's REST API, kept open as long as the server likes: a question costs its answer alone.

What lives here: HTTP as a client speaks it, out of h11, and how long a server takes to answer while it does other
things. What must not: what is asked of it.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import h11
import orjson
import trio

from bench.servers import ServerError

__all__ = ["Rest", "beating", "open_rest"]

RECEIVE_BYTES = 65_536

ANSWER_SECONDS_MAX = 60.0
"""Longer than anything a bench asks for; who waits longer has lost the server."""

BEAT_SECONDS = 0.02
"""Fifty a second tell a stall of a tenth of a second, and cost next to nothing."""


class Rest:
    """Made by `open_rest`. One task at a time may ask."""

    def __init__(self, stream: trio.SocketStream, host: str, port: int) -> None:
        self._stream = stream
        self._address = (host, port)
        self._connection = h11.Connection(h11.CLIENT)

    async def ask(self, method: str, path: str, body: object = None) -> bytes:
        """The body of the answer. Raises `ServerError` when it is no success, or the connection is lost."""
        data = b"" if body is None else orjson.dumps(body)
        if self._connection.our_state is h11.MUST_CLOSE:
            await self._reconnect()
        headers = [("Host", self._address[0]), ("Content-Type", "application/json"), ("Content-Length", str(len(data)))]
        await self._send(h11.Request(method=method, target=path, headers=headers))
        await self._send(h11.Data(data=data))
        await self._send(h11.EndOfMessage())
        with trio.fail_after(ANSWER_SECONDS_MAX):
            status, answer = await self._answer()
        if status >= 300:
            raise ServerError(f"{method} {path}: {status} {answer[:200]!r}")
        return answer

    async def _reconnect(self) -> None:
        """Servers want that after so many questions; ours, which is hypercorn there, after a thousand."""
        await self._stream.aclose()
        self._stream, self._connection = await trio.open_tcp_stream(*self._address), h11.Connection(h11.CLIENT)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def _send(self, event: h11.Event) -> None:
        try:
            await self._stream.send_all(self._connection.send(event) or b"")
        except trio.BrokenResourceError as failure:
            raise ServerError(f"connection lost: {failure}") from failure

    async def _answer(self) -> tuple[int, bytes]:
        status, parts = 0, bytearray()
        while not isinstance(event := await self._event(), h11.EndOfMessage):
            match event:
                case h11.Response(status_code=status):
                    pass
                case h11.Data(data=data):
                    parts += data
                case h11.ConnectionClosed():
                    raise ServerError("the server closed the connection")
        if self._connection.our_state is not h11.MUST_CLOSE:
            self._connection.start_next_cycle()
        return status, bytes(parts)

    async def _event(self) -> object:
        while (event := self._connection.next_event()) is h11.NEED_DATA:
            try:
                self._connection.receive_data(await self._stream.receive_some(RECEIVE_BYTES))
            except (trio.BrokenResourceError, h11.RemoteProtocolError) as failure:
                raise ServerError(f"connection lost: {failure}") from failure
        return event


@asynccontextmanager
async def open_rest(url: str) -> AsyncIterator[Rest]:
    """A connection for the block. Raises `OSError`."""
    parts = urlsplit(url)
    address = parts.hostname or "", parts.port or 80
    rest = Rest(await trio.open_tcp_stream(*address), *address)
    try:
        yield rest
    finally:
        await rest.aclose()


@asynccontextmanager
async def beating(url: str) -> AsyncIterator[list[float]]:
    """How long `/alive` took, in seconds, fifty times a second during the block: as long as the server's loop does not
    come round, nobody else is answered either. Counted from when a question was due, so that a stall counts in full."""
    waits: list[float] = []
    async with open_rest(url) as rest, trio.open_nursery() as nursery:

        async def beat() -> None:
            due = time.perf_counter()
            while True:
                await rest.ask("GET", "/alive")
                waits.append(time.perf_counter() - due)
                due += BEAT_SECONDS
                await trio.sleep(max(due - time.perf_counter(), 0))

        nursery.start_soon(beat)
        yield waits
        nursery.cancel_scope.cancel()
