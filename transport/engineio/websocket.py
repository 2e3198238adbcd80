"""One WebSocket on a trio stream, without tasks of its own: websockets' sans-IO protocol, and an outbox.

Writing tries the kernel at once and keeps what it refuses; the writer is woken only then. What must not live here:
Engine.IO's sessions. There is no deflate (B4), messages are bounded in bytes (B7), and no write waits for ever.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf

import trio
from websockets.exceptions import PayloadTooBig
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import OPEN, Event, Protocol, Side
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from transport.engineio.limits import Limits
from transport.errors import ConnectionClosed, ProtocolViolation, WriteTimeout

__all__ = ["WebSocket"]

RECEIVE_BYTES = 65_536

PIECE_BYTES = 4096
"""Taken apart before others have their turn: seven hundred of the smallest frames, and a few milliseconds."""

CONTROL_BYTES_MAX = 64 * 1024
"""What may wait for the peer beyond all that was sent to it: pongs, for whoever asks and does not read."""

HEAD_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def _first(_: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """As the reference does (B5): a browser that offers some and is answered with none closes."""
    return offered[0] if offered else None


class WebSocket:
    """The server's end. `write` is synchronous; `run_writer` must be alive for what the kernel did not take."""

    def __init__(self, stream: trio.SocketStream, limits: Limits) -> None:
        self._stream = stream
        self._options = options = limits.options
        self._limits = limits
        # What the handshake keeps, its headers among it, goes with a protocol of its own: a WebSocket lives for hours.
        self._protocol = Protocol(Side.SERVER, max_size=options.max_payload_bytes)
        self._buffer = bytearray()
        self.outbox = limits.share_of_bytes()
        self._inbox = limits.share_of_bytes()
        self._work = trio.lowlevel.ParkingLot()
        # Not a list of parts: empty fragments would let it grow without ever counting as bytes.
        self._message = bytearray()
        # What has come and was not looked at.
        self._unread = b""
        self._owes_turn = False
        self._is_text = True
        self._broken = False
        self.closing = False
        # What the log says of whose it is.
        self.facts: Mapping[str, object] = {}
        # Whoever loops over `receive` does so inside this scope, so that `close` ends a reader that waits.
        self.reading = trio.CancelScope()

    def accept(self, target: str, headers: list[tuple[str, str]], trailing: bytes) -> bool:
        """Answer the upgrade request that somebody else has parsed; False when it was refused."""
        # The protocol's parser begins with a request, so it gets one, put together again.
        lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
        handshake = ServerProtocol(select_subprotocol=_first)
        handshake.receive_data("\r\n".join(lines).encode("latin-1"))
        requests = handshake.events_received()
        if not requests or not isinstance(requests[0], Request):
            # More or longer headers than websockets takes, though h11 took them.
            self.write(HEAD_TOO_LARGE)
            return False
        handshake.send_response(handshake.accept(requests[0]))
        self._flush(handshake)
        if handshake.state is not OPEN:
            return False
        if trailing:
            self._protocol.receive_data(trailing)
            self._flush(self._protocol)
        return True

    @property
    def buffered_bytes(self) -> int:
        return len(self._buffer)

    def write(self, data: bytes) -> None:
        """Hand bytes to the kernel, or keep what it does not take now."""
        if self.closing:
            return
        if not self._buffer:
            data = data[self._push(data) :]
        if data:
            self._buffer += data
            self.outbox.keep(len(self._buffer))
            if len(self._buffer) > self._options.outbox_hard_bytes + CONTROL_BYTES_MAX:
                self._limits.outbox_bytes.refuse()
                self._break()
            self._work.unpark_all()

    def _break(self) -> None:
        """Nothing more is of any use to the peer."""
        self._broken = self.closing = True
        self._buffer.clear()
        self.reading.cancel()

    def forget(self) -> None:
        """Nothing is kept for it any more, or of it."""
        self.outbox.keep(0)
        self._inbox.keep(0)

    def _push(self, data: bytes | bytearray) -> int:
        try:
            # The number is asked for each time: a closed socket says -1, where a remembered one may be somebody else's.
            return os.write(self._stream.socket.fileno(), data)
        except BlockingIOError:
            return 0
        except OSError:
            self._broken = self.closing = True
            return len(data)

    async def run_writer(self) -> None:
        """Write what was kept. Raises `WriteTimeout` when the peer takes nothing for too long (K33)."""
        while True:
            while not self._buffer:
                await self._work.park()
            with trio.move_on_after(self._options.write_timeout_seconds) as scope:
                await trio.lowlevel.wait_writable(self._stream.socket)
            if scope.cancelled_caught:
                raise WriteTimeout(f"no byte taken for {self._options.write_timeout_seconds} s")
            del self._buffer[: self._push(self._buffer)]
            self.outbox.keep(len(self._buffer))
            self._work.unpark_all()

    async def wait_flushed(self) -> None:
        """Return when nothing is kept any more."""
        while self._buffer and not self._broken:
            await self._work.park()

    async def wait_below(self, low_bytes: int) -> None:
        """Return when at most `low_bytes` are kept. Raises `ConnectionClosed` when they will never be."""
        while len(self._buffer) > low_bytes:
            if self.closing:
                raise ConnectionClosed("the WebSocket is closing")
            await self._work.park()

    async def receive(self) -> list[str | bytes]:
        """The next whole messages, in order.

        Raises `ConnectionClosed` at the end of the stream, `ProtocolViolation` once the peer has broken RFC 6455 or
        the limit of bytes and has been told so by a close frame (B7, B8), or has left a message unfinished.
        """
        whole_by = inf
        while True:
            frames = self._protocol.events_received()
            self._owes_turn |= bool(frames)  # what only adds to a large one costs nothing
            messages = list(self._messages(frames))
            self._flush(self._protocol)
            if messages:
                return messages
            if self._protocol.parser_exc is not None:
                self._note_too_large()
                raise ProtocolViolation(str(self._protocol.parser_exc))
            if self._protocol.close_expected():
                raise ConnectionClosed("the WebSocket is closing")
            unfinished_bytes = len(self._message) + len(self._protocol.reader.buffer)
            if not unfinished_bytes:
                whole_by = inf
            elif whole_by == inf:
                whole_by = trio.current_time() + self._options.body_timeout_seconds
            if unfinished_bytes or self._inbox.kept:
                self._keep_unfinished(unfinished_bytes)
            if self._unread and self._owes_turn:
                self._owes_turn = False
                await trio.lowlevel.checkpoint()
            data = self._unread or await self._receive_some(whole_by)
            self._unread = data[PIECE_BYTES:]
            self._protocol.receive_data(data[:PIECE_BYTES])

    async def _receive_some(self, whole_by: float) -> bytes:
        try:
            if whole_by == inf:
                data = await self._stream.receive_some(RECEIVE_BYTES)
            else:
                data = await self._receive_rest(whole_by)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as failure:
            raise ConnectionClosed(str(failure)) from failure
        if not data:
            raise ConnectionClosed("end of stream")
        return data

    def _note_too_large(self) -> None:
        if isinstance(self._protocol.parser_exc, PayloadTooBig):
            self._limits.payload_bytes.refuse()

    def _keep_unfinished(self, unfinished_bytes: int) -> None:
        if not self._inbox.keep(unfinished_bytes):
            self._message.clear()
            self._inbox.keep(0)  # at once, or all that are under way would be refused for the room of one
            raise self._failed(CloseCode.TRY_AGAIN_LATER, "too much is unfinished at present")

    async def _receive_rest(self, whole_by: float) -> bytes:
        with trio.CancelScope(deadline=whole_by):
            return await self._stream.receive_some(RECEIVE_BYTES)
        self._limits.timeouts["message"] += 1
        raise self._failed(CloseCode.POLICY_VIOLATION, "a message was not whole in time")

    def _failed(self, code: int, why: str) -> ProtocolViolation:
        """Tell the peer, and what to raise."""
        self._protocol.fail(code, why)
        self._flush(self._protocol)
        return ProtocolViolation(why)

    def _messages(self, events: Iterable[Event]) -> Iterator[str | bytes]:
        for event in events:
            if isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                if event.opcode is not Opcode.CONT:
                    self._is_text = event.opcode is Opcode.TEXT
                self._message += event.data
                if event.fin:
                    yield self._assembled()

    def _assembled(self) -> str | bytes:
        data = bytes(self._message)
        self._message.clear()
        if not self._is_text:
            return data
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise self._failed(CloseCode.INVALID_DATA, "not UTF-8") from None

    def close(self) -> None:
        """Send a close frame without status (B14); nothing can be written afterwards."""
        if self._protocol.state is OPEN:
            self._protocol.send_close()
            self._flush(self._protocol)
        self.closing = True
        self.reading.cancel()
        self._work.unpark_all()

    async def linger(self) -> None:
        """Read what still comes until the peer closes: closing over unread bytes would reset the connection, and the
        close frame with it. The caller sets the time that this may take."""
        try:
            await self._stream.send_eof()
            while await self._stream.receive_some(RECEIVE_BYTES):
                pass
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    def _flush(self, protocol: Protocol) -> None:
        data = b"".join(protocol.data_to_send())  # as many pongs as there were pings
        if data:
            self.write(data)
