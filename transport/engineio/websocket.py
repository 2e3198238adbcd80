"""One WebSocket on a trio stream, without tasks of its own: `frames`, and an outbox.

Writing tries the kernel at once and keeps what it refuses; a writer is asked for only then. What must not live here:
Engine.IO's sessions. There is no deflate (B4), messages are bounded in bytes (B7), and no write waits for ever.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from math import inf

import trio
from websockets.frames import CloseCode
from websockets.http11 import Request
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from transport.engineio.codec import websocket_header
from transport.engineio.frames import CLOSE, PING, Control, FrameDecoder
from transport.engineio.limits import Limits
from transport.errors import BrokenFrame, ConnectionClosed, TransportError, WriteTimeout

__all__ = ["WebSocket"]

RECEIVE_BYTES = 65_536

PIECE_BYTES = 4096
"""Taken apart before others have their turn: seven hundred of the smallest frames, and a few milliseconds."""

_CLOSE_FRAME, _PONG_FRAME = 0x88, 0x8A

CONTROL_BYTES_MAX = 64 * 1024
"""What may wait for the peer beyond all that was sent to it: pongs, for whoever asks and does not read."""

HEAD_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def _first(_: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """As the reference does (B5): a browser that offers some and is answered with none closes."""
    return offered[0] if offered else None


class WebSocket:
    """The server's end. `write` is synchronous; `falls_behind` is called when the kernel did not take all of it, and
    sees to it that `write_rest` is run."""

    def __init__(self, stream: trio.SocketStream, limits: Limits) -> None:
        self._stream = stream
        self._options = options = limits.options
        self._limits = limits
        self._frames = FrameDecoder(options.max_payload_bytes)
        self._unread = b""
        """What has come and was not looked at."""
        self._owes_turn = False
        self._whole_by = inf
        """When what is unfinished must be whole."""
        self._end: TransportError | None = None
        """Why nothing more is received."""
        self._said_close = False
        self._buffer = bytearray()
        self.outbox = limits.share_of_bytes()
        self._inbox = limits.share_of_bytes()
        self._work = trio.lowlevel.ParkingLot()
        self.broken = False
        """Nothing that is written arrives any more."""
        self.closing = False
        self.falls_behind: Callable[[], object] = lambda: None
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
        self.write(b"".join(handshake.data_to_send()))
        self._unread = trailing
        return handshake.state is OPEN

    @property
    def buffered_bytes(self) -> int:
        return len(self._buffer)

    def write(self, data: bytes) -> None:
        """Hand bytes to the kernel, or keep what it does not take now."""
        if self.closing:
            return
        if self._buffer:
            self._keep(data)
        elif rest := data[self._push(data) :]:
            self._keep(rest)
            self.falls_behind()

    def _keep(self, data: bytes) -> None:
        self._buffer += data
        self.outbox.keep(len(self._buffer))
        if len(self._buffer) > self._options.outbox_hard_bytes + CONTROL_BYTES_MAX:
            self._limits.outbox_bytes.refuse()
            self._break()

    def _break(self) -> None:
        """Nothing more is of any use to the peer."""
        self.broken = self.closing = True
        self._buffer.clear()
        self.reading.cancel()
        self._work.unpark_all()

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
            self.broken = self.closing = True
            return len(data)

    async def write_rest(self) -> None:
        """Write what was kept. Raises `WriteTimeout` when the peer takes nothing for too long (K33)."""
        while self._buffer and not self.broken:
            with trio.move_on_after(self._options.write_timeout_seconds) as scope:
                try:
                    await trio.lowlevel.wait_writable(self._stream.socket)
                except trio.ClosedResourceError:
                    return
            if scope.cancelled_caught:
                self._break()
                raise WriteTimeout(f"no byte taken for {self._options.write_timeout_seconds} s")
            del self._buffer[: self._push(self._buffer)]
            self.outbox.keep(len(self._buffer))
            self._work.unpark_all()

    async def wait_flushed(self) -> None:
        """Return when nothing is kept any more."""
        while self._buffer and not self.broken:
            await self._work.park()

    async def wait_below(self, low_bytes: int) -> None:
        """Return when at most `low_bytes` are kept. Raises `ConnectionClosed` when they will never be."""
        while len(self._buffer) > low_bytes:
            if self.closing:
                raise ConnectionClosed("the WebSocket is closing")
            await self._work.park()

    async def receive(self) -> list[str | bytes]:
        """The next whole messages, in order; cancelled, none is lost.

        Raises `ConnectionClosed` at the end of the stream, `ProtocolViolation` once the peer has broken RFC 6455 or
        the limit of bytes and has been told so by a close frame (B7, B8), or has left a message unfinished.
        """
        while self._end is None:
            if self._unread and self._owes_turn:
                self._owes_turn = False
                await trio.lowlevel.checkpoint()
            data = self._unread or await self._read()
            self._unread = data[PIECE_BYTES:]
            messages = self._take(data[:PIECE_BYTES])
            if self._frames.under_way or self._whole_by != inf:
                self._note_unfinished(begins=bool(messages))
            if messages:
                return messages
        raise self._end

    async def _read(self) -> bytes:
        socket = self._stream.socket
        while True:
            # Not `receive_some`, which asks the kernel twice: who has just been answered has sent nothing yet.
            try:
                if self._whole_by == inf:
                    await trio.lowlevel.wait_readable(socket)
                else:
                    await self._wait_for_rest()
                data = os.read(socket.fileno(), RECEIVE_BYTES)
            except BlockingIOError:
                continue
            except (OSError, trio.ClosedResourceError) as failure:
                raise ConnectionClosed(str(failure)) from failure
            if not data:
                raise ConnectionClosed("end of stream")
            return data

    async def _wait_for_rest(self) -> None:
        with trio.CancelScope(deadline=self._whole_by):
            await trio.lowlevel.wait_readable(self._stream.socket)
            return
        self._limits.timeouts["message"] += 1
        breach = BrokenFrame(CloseCode.POLICY_VIOLATION, "a message was not whole in time")
        self._stop(breach, breach.told)
        raise breach

    def _take(self, data: bytes) -> list[str | bytes]:
        messages: list[str | bytes] = []
        pongs: list[bytes] = []
        end: tuple[TransportError, bytes] | None = None
        frames_before = self._frames.frames
        try:
            for part in self._frames.feed(data):
                if not isinstance(part, Control):
                    messages.append(part)
                elif part.opcode == PING:
                    pongs += (websocket_header(_PONG_FRAME, len(part.data)), part.data)
                elif part.opcode == CLOSE:
                    end = ConnectionClosed("the WebSocket is closing"), part.data
                    break
        except BrokenFrame as breach:
            end = breach, breach.told
            if breach.code == CloseCode.MESSAGE_TOO_BIG:
                self._limits.payload_bytes.refuse()
        self._owes_turn |= self._frames.frames != frames_before  # what only adds to a large one costs nothing
        if pongs:
            self.write(b"".join(pongs))
        if end is not None:
            self._stop(*end)
        return messages

    def _note_unfinished(self, *, begins: bool) -> None:
        """Something is, or no longer is. `begins`: it came behind a message that was whole."""
        if not self._frames.under_way:
            self._whole_by = inf
        elif begins or self._whole_by == inf:
            self._whole_by = trio.current_time() + self._options.body_timeout_seconds
        if not self._inbox.keep(self._frames.kept_bytes):
            self._frames.forget()
            self._inbox.keep(0)  # at once, or all that are under way would be refused for the room of one
            breach = BrokenFrame(CloseCode.TRY_AGAIN_LATER, "too much is unfinished at present")
            self._stop(breach, breach.told)

    def _stop(self, why: TransportError, told: bytes) -> None:
        """Receive nothing more, and tell the peer so by a close frame."""
        self._end = why
        self._send_close(told)

    def close(self) -> None:
        """Send a close frame without status (B14); nothing can be written afterwards."""
        self._send_close(b"")
        self.closing = True
        self.reading.cancel()
        self._work.unpark_all()

    def _send_close(self, data: bytes) -> None:
        if not self._said_close:
            self._said_close = True
            self.write(websocket_header(_CLOSE_FRAME, len(data)) + data)

    async def linger(self) -> None:
        """Read what still comes until the peer closes: closing over unread bytes would reset the connection, and the
        close frame with it. The caller sets the time that this may take."""
        try:
            await self._stream.send_eof()
            while await self._stream.receive_some(RECEIVE_BYTES):
                pass
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
