"""The stream that hypercorn gets: ours, so that its shield cannot hold what we bound.

Every write has a deadline, and reading has one while a request head or body is under way. On either, the socket is
closed, which ends that connection and no other.
"""

from math import inf

import trio

__all__ = ["GuardedStream"]

WRITE_TIMEOUT_SECONDS = 20.0
"""No answer of ours takes a reading client that long."""


class GuardedStream(trio.abc.HalfCloseableStream):
    """`read_deadline` is set by whoever knows the state of the protocol; infinity means the client may pause."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.transport = stream
        self.socket = stream.socket
        self.read_deadline = inf

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
        with trio.move_on_at(self.read_deadline):
            return await self.transport.receive_some(max_bytes)
        raise trio.BrokenResourceError("the request came too slowly")

    async def aclose(self) -> None:
        await self.transport.aclose()
