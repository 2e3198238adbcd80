"""A WebSocket in memory, cut at whole messages: the server's end of it, and what a client does at the other.

The server's end is used like `transport.engineio.websocket.WebSocket`. A client that stalls takes nothing, and what was
written stays in the server's memory; one that vanishes is noticed by nobody but the heartbeat or the next write.
"""

from collections import deque

import trio
from websockets.frames import Frame as WireFrame
from websockets.streams import StreamReader

from transport.engineio.limits import Limits
from transport.engineio.options import Options
from transport.errors import ConnectionClosed

__all__ = ["Link"]


class Link:
    """`write`, `receive` and the like are the server's; `send`, `take`, `stall` and `cut` the client's."""

    def __init__(self) -> None:
        self.closing = False
        self.reading = trio.CancelScope()
        self.outbox = Limits(Options()).share_of_bytes()
        self._to_server: deque[str] = deque()
        self._to_client: deque[str] = deque()
        self._kept = bytearray()
        self._stalled = False
        self._vanished = False
        self._changed = trio.lowlevel.ParkingLot()

    # --- the server's end ----------------------------------------------------------------------------------------

    @property
    def buffered_bytes(self) -> int:
        return len(self._kept)

    def write(self, data: bytes) -> None:
        if self.closing:
            return
        self._kept += data
        self.outbox.keep(len(self._kept))
        self._pass_on()

    async def wait_below(self, low_bytes: int) -> None:
        while len(self._kept) > low_bytes:
            if self.closing:
                raise ConnectionClosed("the link is closing")
            await self._changed.park()

    async def receive(self) -> list[str | bytes]:
        while not self._to_server:
            if self.closing:
                raise ConnectionClosed("the client has left")
            await self._changed.park()
        messages: list[str | bytes] = list(self._to_server)
        self._to_server.clear()
        return messages

    def close(self) -> None:
        self.closing = True
        self.reading.cancel()
        self._changed.unpark_all()

    # --- the client's end ----------------------------------------------------------------------------------------

    def send(self, message: str) -> None:
        """Nothing arrives on a link that is gone."""
        if not self.closing and not self._vanished:
            self._to_server.append(message)
            self._changed.unpark_all()

    async def take(self) -> str:
        """The next message. Raises `EOFError` when the server has closed and nothing is left, or the link is cut."""
        while not self._to_client:
            if self.closing or self._vanished:
                raise EOFError
            await self._changed.park()
        return self._to_client.popleft()

    def stall(self) -> None:
        """Take nothing from now on."""
        self._stalled = True

    def go_on(self) -> None:
        """Take again."""
        self._stalled = False
        self._pass_on()

    def vanish(self) -> None:
        """The client is gone without a word."""
        self._stalled = self._vanished = True
        self._to_client.clear()
        self._changed.unpark_all()

    def cut(self) -> None:
        """Both ends see the end; what was on its way is lost."""
        self._to_client.clear()
        self._vanished = True
        self.close()

    def _pass_on(self) -> None:
        if not self._stalled:
            self._to_client.extend(_messages(bytes(self._kept)))
            self._kept.clear()
            self.outbox.keep(0)
        self._changed.unpark_all()


def _messages(data: bytes) -> list[str]:
    reader, found = StreamReader(), []
    reader.feed_data(data)
    while reader.buffer:
        parsing = WireFrame.parse(reader.read_exact, mask=False)
        try:
            next(parsing)
        except StopIteration as done:
            found.append(bytes(done.value.data).decode())
    return found
