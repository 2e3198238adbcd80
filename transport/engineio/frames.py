"""RFC 6455 frames as clients send them: bytes in, whole messages and control frames out. Pure.

What lives here: framing, masks, fragments, and which close code a breach is worth. What must not: sockets, answers to
control frames, and the handshake, which is `websockets`'. That library's protocol did this as well and cost four times
as much a message (docs/decisions/0018); its unmasking, in C, is still used.
"""

from collections.abc import Iterator

import attrs
from websockets.exceptions import ProtocolError
from websockets.frames import Close

from transport.errors import BrokenFrame

try:
    from websockets.speedups import apply_mask
except ImportError:  # no wheel for this machine
    from websockets.utils import apply_mask

__all__ = ["CLOSE", "PING", "Control", "FrameDecoder"]

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

_FINAL = 0x80
_MASKED = 0x80
_WHOLE_TEXT = _FINAL | TEXT
_WHOLE = frozenset({_WHOLE_TEXT, _FINAL | BINARY})

_CONTROL_BYTES_MAX = 125

PROTOCOL_ERROR, NOT_UTF8, TOO_LARGE = 1002, 1007, 1009


@attrs.frozen(slots=True)
class Control:
    """A ping, a pong or a close frame."""

    opcode: int
    data: bytes


class FrameDecoder:
    """`max_message_bytes` bounds one message, all of its fragments together, and what is kept of a frame under way."""

    __slots__ = ("_is_text", "_kept", "_max_message_bytes", "_message", "_wanted", "frames")

    def __init__(self, max_message_bytes: int) -> None:
        self._max_message_bytes = max_message_bytes
        self._kept = bytearray()
        """The beginning of a frame; it is looked at again when `_wanted` bytes of it are there."""
        self._wanted = 0
        # Not a list of parts: empty fragments would let it grow without ever counting as bytes.
        self._message: bytearray | None = None
        self._is_text = True
        self.frames = 0
        """How many were whole so far."""

    def forget(self) -> None:
        """What is under way."""
        self._kept, self._message = bytearray(), None

    @property
    def under_way(self) -> bool:
        """Whether a frame or a message has begun and is not whole."""
        return self._message is not None or bool(self._kept)

    @property
    def kept_bytes(self) -> int:
        """Of what is under way."""
        return len(self._kept) + len(self._message or b"")

    def feed(self, data: bytes) -> Iterator[str | bytes | Control]:
        """What these bytes complete, in order. Exhaust it before the next call.

        Raises `BrokenFrame` where the peer breaks the protocol, as soon as the head of a frame shows it (B7, B8);
        nothing may be fed afterwards.
        """
        if self._kept:
            self._kept += data
            if len(self._kept) < self._wanted:
                return
            data, self._kept = bytes(self._kept), bytearray()
        start, there = 0, len(data)
        while there - start >= 2:
            first, second = data[start], data[start + 1]
            size, mask_at = second & 0x7F, start + 2
            if size > _CONTROL_BYTES_MAX:
                mask_at += 2 if size == 126 else 8
                if mask_at > there:
                    self._wanted = mask_at - start
                    break
                size = int.from_bytes(data[start + 2 : mask_at], "big")
            if first not in _WHOLE or self._message is not None or size > self._max_message_bytes or second < _MASKED:
                self._check(first, second, size)
            body_at = mask_at + 4
            end = body_at + size
            if end > there:
                self._wanted = end - start
                break
            self.frames += 1
            body, start = apply_mask(data[body_at:end], data[mask_at:body_at]), end
            if first == _WHOLE_TEXT:
                yield _text(body)
            elif (found := self._found(first, body)) is not None:
                yield found
        self._kept += data[start:]

    def _check(self, first: int, second: int, size: int) -> None:
        """The head of a frame that is not plainly a whole message within the limit."""
        opcode = first & 0x0F
        if second < _MASKED:
            raise BrokenFrame(PROTOCOL_ERROR, "a frame without a mask")
        if opcode in (CLOSE, PING, PONG):
            if first < _FINAL or second & 0x7F > _CONTROL_BYTES_MAX:
                raise BrokenFrame(PROTOCOL_ERROR, "a control frame in parts, or too long")
        elif opcode not in (CONTINUATION, TEXT, BINARY):
            raise BrokenFrame(PROTOCOL_ERROR, "an unknown opcode")
        elif size + len(self._message or b"") > self._max_message_bytes:
            raise BrokenFrame(TOO_LARGE, f"a message of more than {self._max_message_bytes} bytes")
        elif (opcode == CONTINUATION) != (self._message is not None):
            raise BrokenFrame(PROTOCOL_ERROR, "a fragment out of its order")
        if first & 0x70:
            raise BrokenFrame(PROTOCOL_ERROR, "reserved bits are set")

    def _found(self, first: int, body: bytes) -> str | bytes | Control | None:
        if first & 0x0F >= CLOSE:
            return _control(first & 0x0F, body)
        if self._message is None:
            self._message, self._is_text = bytearray(), first == TEXT
        self._message += body
        if first < _FINAL:
            return None
        whole, self._message = bytes(self._message), None
        return _text(whole) if self._is_text else whole

    def __repr__(self) -> str:
        return f"<FrameDecoder {self.kept_bytes} bytes kept>"


def _control(opcode: int, body: bytes) -> Control:
    if opcode == CLOSE:
        try:
            Close.parse(body)
        except ProtocolError as failure:
            raise BrokenFrame(PROTOCOL_ERROR, str(failure)) from None
        except UnicodeDecodeError:
            raise BrokenFrame(NOT_UTF8, "a close reason that is not UTF-8") from None
    return Control(opcode, body)


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise BrokenFrame(NOT_UTF8, "a text that is not UTF-8") from None
