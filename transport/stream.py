"""The stream that hypercorn gets: ours, so that its shield cannot hold what we bound.

Every write has a deadline, and reading has one while a request head or body is under way. On either, the socket is
closed, which ends that connection and no other. A stream whose answer came before its request was whole lingers: many
clients send all of a body before they read, and closing at once would take the answer from them (RFC 9112 §9.6).
"""

from contextlib import suppress
from math import inf

import trio

__all__ = ["GuardedStream"]

WRITE_TIMEOUT_SECONDS = 20.0
"""No answer of ours takes a reading client that long."""


LINGER_SECONDS = 5.0
"""For what was on its way when the answer left; whoever sends longer does not read."""


class GuardedStream(trio.abc.HalfCloseableStream):
    """`read_deadline` is set by whoever knows the state of the protocol; infinity means the client may pause."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.transport = stream
        self.socket = stream.socket
        self._reading = trio.CancelScope()
        self._read_deadline = inf
        self._lingers = False

    @property
    def read_deadline(self) -> float:
        return self._read_deadline

    @read_deadline.setter
    def read_deadline(self, deadline: float) -> None:
        """Holds for whoever reads already, too."""
        self._read_deadline = self._reading.deadline = deadline

    async def linger(self) -> None:
        """Nothing more will be sent, and what is still received is thrown away, up to its end or `LINGER_SECONDS`."""
        self._lingers = True
        self.read_deadline = trio.current_time() + LINGER_SECONDS
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self.send_eof()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        with trio.move_on_after(WRITE_TIMEOUT_SECONDS) as scope:
            await self.transport.send_all(data)
        if scope.cancelled_caught:
            self.transport.socket.close()
            raise trio.BrokenResourceError("the client reads nothing")

    async def wait_send_all_might_not_block(self) -> None:
        await self.transport.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        await self.transport.send_eof()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        with trio.CancelScope(deadline=self.read_deadline) as self._reading:
            data = await self.transport.receive_some(max_bytes)
            while self._lingers and data:
                data = await self.transport.receive_some(max_bytes)
            return data
        raise trio.BrokenResourceError("the request came too slowly")

    async def aclose(self) -> None:
        await self.transport.aclose()
