"""The stream that hypercorn gets: ours, so that its shield cannot hold what we bound.

Every write has a deadline, and reading has one while a request head or body is under way. On either, the socket is
closed, which ends that connection and no other. A stream whose answer came before its request was whole lingers: many
clients send all of a body before they read, and closing at once would take the answer from them (RFC 9112 §9.6).
"""

from contextlib import suppress
from math import inf

import attrs
import trio

from transport.engineio.limits import Limits

__all__ = ["Ending", "GuardedStream"]

RECEIVE_BYTES = 16 * 1024
"""At a time: what a client can put into so many bytes is dealt with before others have their turn."""

WRITE_BYTES = 256 * 1024
"""Of an answer, for which a client has the write timeout: with its default 100 kbit/s are enough for any length."""

LINGER_SECONDS = 5.0
"""For what was on its way when the answer left; whoever sends longer does not read."""

LAST_WORDS_SECONDS = 1.0
"""They fit into any send buffer; whoever cannot take them goes without."""

GONE = (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError)
"""Nothing can be said any more, or somebody else is still saying something."""


@attrs.frozen
class Ending:
    """How this side ends a connection whose time is up: `words` are the answer that is still given, if any, and under
    which name the timeout is `counted`, if it is one."""

    words: bytes = b""
    counted: str = ""


class GuardedStream(trio.abc.HalfCloseableStream):
    """`expect` is called by whoever knows the state of the protocol; without a deadline the client may pause."""

    def __init__(self, stream: trio.SocketStream, limits: Limits) -> None:
        self.transport = stream
        self.socket = stream.socket
        self._limits = limits
        self._is_over = False
        self._reading = trio.CancelScope()
        self._read_deadline = inf
        self._otherwise: Ending | None = None
        self._lingers = False

    @property
    def read_deadline(self) -> float:
        return self._read_deadline

    def expect(self, deadline: float, otherwise: Ending | None = None) -> None:
        """The end of what is being received comes by then, or else the connection ends so. Holds for whoever reads
        already, too."""
        self._otherwise = otherwise
        self._read_deadline = self._reading.deadline = deadline

    async def linger(self) -> None:
        """Nothing more will be sent, and what is still received is thrown away, up to its end or `LINGER_SECONDS`."""
        self._lingers = True
        self.expect(trio.current_time() + LINGER_SECONDS)
        with suppress(*GONE):
            await self.send_eof()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if self._is_over:
            raise trio.BrokenResourceError("the last word has been said")
        if self._otherwise is not None:
            self._otherwise = Ending(
                counted=self._otherwise.counted
            )  # an answer has begun, and there is no room for another
        with memoryview(data) as whole:
            for start in range(0, len(whole), WRITE_BYTES):
                await self._send_piece(whole[start : start + WRITE_BYTES])

    async def _send_piece(self, piece: memoryview) -> None:
        with trio.move_on_after(self._limits.options.write_timeout_seconds):
            await self.transport.send_all(piece)
            return
        self._limits.timeouts["answer"] += 1
        self.transport.socket.close()
        raise trio.BrokenResourceError("the client reads nothing")

    async def wait_send_all_might_not_block(self) -> None:
        await self.transport.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        await self.transport.send_eof()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:  # noqa: ARG002 - hypercorn's is 64 KiB
        with trio.CancelScope(deadline=self.read_deadline) as self._reading:
            data = await self.transport.receive_some(RECEIVE_BYTES)
            while self._lingers and data:
                data = await self.transport.receive_some(RECEIVE_BYTES)
            return data
        if self._otherwise is not None:
            await self._end(self._otherwise)
        raise trio.BrokenResourceError("the request came too slowly")

    async def _end(self, ending: Ending) -> None:
        self._is_over = True
        if ending.counted:
            self._limits.timeouts[ending.counted] += 1
        with (
            trio.move_on_after(LAST_WORDS_SECONDS),
            suppress(*GONE),
        ):
            await self.transport.send_all(ending.words)
            await self.transport.send_eof()

    async def aclose(self) -> None:
        await self.transport.aclose()
