"""Engine.IO 4 packets as bytes and back, for both transports and for both ends of the wire.

What lives here: the seven packet types, parsing of one text or binary WebSocket message and of one polling body,
and `Encoded`, a run of packets that is serialised once and shared by everyone it is sent to. What must not: any
knowledge of sessions, sockets or time. A packet's text stays `str` inside and becomes bytes only on its way out;
whatever arrives yields packets or exactly one error, `PacketError`.
"""

import base64
import binascii
import struct
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

import attrs
import orjson

from transport.errors import PacketError

__all__ = [
    "CLOSE",
    "NOOP",
    "PING",
    "PONG_PROBE",
    "SEPARATOR",
    "UPGRADE",
    "Encoded",
    "Frame",
    "Packet",
    "PacketType",
    "decode_binary",
    "decode_open",
    "decode_text",
    "encode_open",
    "encode_payload",
    "iter_payload",
    "message",
    "text_packet",
    "websocket_header",
]

# Between the packets of a polling body. It cannot be escaped, which is why raw sends refuse it (A19).
SEPARATOR = "\x1e"

_TEXT_FRAME = 0x81
_BINARY_FRAME = 0x82


class PacketType(Enum):
    OPEN = "0"
    CLOSE = "1"
    PING = "2"
    PONG = "3"
    MESSAGE = "4"
    UPGRADE = "5"
    NOOP = "6"


_TYPES: Mapping[str, PacketType] = {kind.value: kind for kind in PacketType}


@attrs.frozen(slots=True)
class Packet:
    """One received packet. `data` is `bytes` only for a binary message."""

    type: PacketType
    data: str | bytes = ""


def decode_text(text: str) -> Packet:
    """Parse one text message of a WebSocket, or one packet of a polling body.

    Raises PacketError for an empty text, an unknown type (B12) or bad base64 (A18: strict).
    """
    kind = _TYPES.get(text[:1])
    if kind is not None:
        return Packet(kind, text[1:])
    if text[:1] == "b":
        return Packet(PacketType.MESSAGE, _base64(text[1:]))
    raise PacketError("empty packet" if not text else "unknown packet type")


def decode_binary(data: bytes) -> Packet:
    """Parse one binary message of a WebSocket: always a message, and it may be empty (B6)."""
    return Packet(PacketType.MESSAGE, data)


def iter_payload(body: bytes) -> Iterator[Packet]:
    """Parse a polling body packet by packet, so that the good ones before a bad one count (A14).

    Raises PacketError at the first bad packet; an empty body and a trailing separator are bad packets (A13), and
    so is text that is not UTF-8 (A20: strict).
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise PacketError("not UTF-8") from None
    return map(decode_text, _parts(text))


def _parts(text: str) -> Iterator[str]:
    # Not split(): a body of separators would be a list of a million texts before the first of them is looked at.
    start = 0
    while (end := text.find(SEPARATOR, start)) >= 0:
        yield text[start:end]
        start = end + 1
    yield text[start:]


def _base64(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:  # binascii.Error, and non-ASCII text
        raise PacketError("bad base64") from None


def decode_open(packet: Packet) -> Mapping[str, Any]:
    """The handshake data of an OPEN packet, for the client side. Raises PacketError unless it is a JSON object."""
    if packet.type is not PacketType.OPEN:
        raise PacketError("not an open packet")
    try:
        handshake = orjson.loads(packet.data)
    except orjson.JSONDecodeError:
        raise PacketError("bad handshake data") from None
    if not isinstance(handshake, dict):
        raise PacketError("handshake data is not an object")
    return handshake


def websocket_header(opcode_byte: int, body_bytes: int) -> bytes:
    """The head of an unmasked frame, as servers send them: the same for every receiver."""
    if body_bytes < 126:  # the length's encodings are RFC 6455, 5.2
        return bytes((opcode_byte, body_bytes))
    if body_bytes < 65_536:
        return struct.pack("!BBH", opcode_byte, 126, body_bytes)
    return struct.pack("!BBQ", opcode_byte, 127, body_bytes)


@attrs.frozen(slots=True)
class Frame:
    """One packet ready to leave: text including its type digit, or the bytes of a binary message."""

    data: bytes
    is_binary: bool = False

    @property
    def websocket(self) -> bytes:
        """This packet as one unmasked WebSocket frame."""
        opcode_byte = _BINARY_FRAME if self.is_binary else _TEXT_FRAME
        return websocket_header(opcode_byte, len(self.data)) + self.data

    @property
    def polling(self) -> bytes:
        """This packet as it stands in a polling body (binary as `b` and base64)."""
        return b"b" + base64.b64encode(self.data) if self.is_binary else self.data


class Encoded:
    """Packets that travel together, encoded once and shared by all who get them.

    Usually one packet; a Socket.IO header with attachments is several, which nothing may separate (E21), and so is a
    `row`. `text` is the first packet including its type digit, `size` the bytes of all of them.
    """

    __slots__ = ("_attachments", "_texts", "_websocket_frame", "size")

    def __init__(self, text: bytes, attachments: Sequence[bytes] = ()) -> None:
        self._texts: Sequence[bytes] = (text,)
        self._attachments = attachments
        self.size = len(text) + sum(map(len, attachments))
        self._websocket_frame: bytes | None = None

    @classmethod
    def row(cls, texts: Sequence[bytes]) -> "Encoded":
        """Text packets, one at least, that are written at once."""
        found = cls(texts[0])
        found._texts, found.size = texts, sum(map(len, texts))
        return found

    @property
    def text(self) -> bytes:
        return self._texts[0]

    @property
    def frames(self) -> list[Frame]:
        """Each packet on its own, as polling takes them."""
        return [*map(Frame, self._texts), *(Frame(data, is_binary=True) for data in self._attachments)]

    @property
    def websocket_frame(self) -> bytes:
        """All packets as WebSocket frames in a row; built at the first asking."""
        if self._websocket_frame is None:
            parts: list[bytes] = []
            for text in self._texts:
                parts += (websocket_header(_TEXT_FRAME, len(text)), text)
            for data in self._attachments:
                parts += (websocket_header(_BINARY_FRAME, len(data)), data)
            self._websocket_frame = b"".join(parts)
        return self._websocket_frame

    def __repr__(self) -> str:
        first = (*self._texts, *self._attachments)[0]
        return f"<Encoded {first[:40]!r} {self.size} bytes in {len(self.frames)} packets>"


def text_packet(kind: PacketType, data: bytes = b"") -> Encoded:
    """One packet of any type. Raises ValueError for a raw separator, which polling could not carry (A19)."""
    if b"\x1e" in data:
        raise ValueError("a packet cannot carry U+001E unescaped")
    return Encoded(kind.value.encode() + data)


def message(data: str | bytes) -> Encoded:
    """A MESSAGE of plain Engine.IO: text for `str`, binary for `bytes`."""
    if isinstance(data, str):
        return text_packet(PacketType.MESSAGE, data.encode())
    return _BinaryMessage(data)


class _BinaryMessage(Encoded):
    """A binary message on its own, without a text header before it."""

    __slots__ = ()

    def __init__(self, data: bytes) -> None:
        super().__init__(b"", (data,))
        self._texts = ()


def encode_open(handshake: Mapping[str, Any]) -> Encoded:
    """The OPEN packet: sid, upgrades, pingInterval and pingTimeout in milliseconds, maxPayload in bytes."""
    return text_packet(PacketType.OPEN, orjson.dumps(handshake))


def encode_payload(frames: Sequence[Frame]) -> bytes:
    """A polling body out of packets that are ready to leave."""
    return b"\x1e".join(frame.polling for frame in frames)


CLOSE = text_packet(PacketType.CLOSE)
PING = text_packet(PacketType.PING)
NOOP = text_packet(PacketType.NOOP)
UPGRADE = text_packet(PacketType.UPGRADE)
PONG_PROBE = text_packet(PacketType.PONG, b"probe")
