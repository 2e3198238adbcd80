"""Socket.IO 5 packets as Engine.IO messages and back, binary attachments included, for both ends of the wire.

What lives here: a strict parser, a decoder that gathers attachments, and encoders that return `Encoded`. What must
not: namespaces' states, acknowledgement bookkeeping, I/O. JSON is orjson throughout: it refuses NaN, infinities,
lone surrogates and deep nesting on its own (E32, E33). Any input yields packets or PacketError.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

import attrs
import orjson

from transport.engineio.codec import Encoded
from transport.errors import NotEncodable, PacketError
from transport.parsing import parse_json

__all__ = [
    "ATTACHMENTS_MAX",
    "RESERVED_EVENTS",
    "Decoder",
    "Encoded",
    "Packet",
    "PacketType",
    "ack",
    "connect",
    "connect_error",
    "disconnect",
    "event",
    "events_from_json",
]

# The reference's decoders take no more (E17), so a packet with more would cost its receiver the connection.
ATTACHMENTS_MAX = 10
# More digits than any counter reaches; int() of a 100 kB number would cost seconds (E14).
ACK_ID_DIGITS_MAX = 16
# Around the attachments of one event. Each is looked at for a placeholder, half a microsecond in which nobody else is
# served; who has so many numbers to send puts them into an attachment.
VALUES_MAX = 100_000
# A name beyond this is no name; it is echoed in every answer to it.
NAMESPACE_CHARACTERS_MAX = 512

RESERVED_EVENTS = frozenset(
    {"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}
)


class PacketType(Enum):
    CONNECT = "0"
    DISCONNECT = "1"
    EVENT = "2"
    ACK = "3"
    CONNECT_ERROR = "4"
    BINARY_EVENT = "5"
    BINARY_ACK = "6"


_TYPES: Mapping[str, PacketType] = {kind.value: kind for kind in PacketType}
_BINARY = {PacketType.BINARY_EVENT: PacketType.EVENT, PacketType.BINARY_ACK: PacketType.ACK}


@attrs.frozen(slots=True)
class Packet:
    """One packet, attachments in place. `type` is never one of the binary two: they are EVENT and ACK here.

    `data` is the array of an EVENT or ACK, the object (or None) of a CONNECT, any JSON of a CONNECT_ERROR.
    """

    type: PacketType
    namespace: str = "/"
    data: Any = None
    id: int | None = None


@attrs.define(slots=True)
class Decoder:
    """Turns the messages of one connection into packets.

    `feed` returns None while attachments are awaited. Raises PacketError for whatever is not a packet in its place
    (E10, E14, E16 to E19); the connection must then be closed.
    """

    attachments_max: int
    attachments_bytes_max: int
    _waiting: Packet | None = None
    _missing: int = 0
    _attachments: list[bytes] = attrs.field(factory=list)
    _attachments_bytes: int = 0

    def feed(self, message: str | bytes) -> Packet | None:
        if isinstance(message, bytes):
            return self._attach(message)
        if self._waiting is not None:
            raise PacketError("a text packet where an attachment was due")  # E18
        packet, count = _parse(message)
        if count is None:
            return packet
        if not 0 < count <= self.attachments_max:
            raise PacketError("number of attachments out of bounds")  # E17
        self._waiting, self._missing = packet, count
        return None

    def _attach(self, data: bytes) -> Packet | None:
        if self._waiting is None:
            raise PacketError("stray binary message")  # E18
        self._attachments.append(data)
        self._attachments_bytes += len(data)
        if self._attachments_bytes > self.attachments_bytes_max:
            raise PacketError("attachments too large together")  # E17
        if len(self._attachments) < self._missing:
            return None
        packet, attachments = self._waiting, self._attachments
        self._waiting, self._attachments, self._attachments_bytes = None, [], 0
        return attrs.evolve(packet, data=_checked(packet.type, _reconstruct(packet.data, attachments)))


def _parse(text: str) -> tuple[Packet, int | None]:
    """Split a packet; the number is that of the announced attachments, None for a packet without."""
    kind = _TYPES.get(text[:1])
    if kind is None:
        raise PacketError("empty packet" if not text else "unknown packet type")  # E16
    count, position = None, 1
    if kind in _BINARY:
        count, position = _attachment_count(text)
        kind = _BINARY[kind]
    namespace, position = _namespace(text, position)
    packet_id, position = _packet_id(text, position)
    has_payload = position < len(text)
    data = _json(text[position:]) if has_payload else None
    if data is None and has_payload and kind is not PacketType.CONNECT_ERROR:
        raise PacketError("null is no payload")  # E3, E16
    if count is None or data is None:  # attachments belong to something
        data = _checked(kind, data)
    return Packet(kind, namespace, data, packet_id), count


def _attachment_count(text: str) -> tuple[int, int]:
    dash = text.find("-", 1, 1 + ACK_ID_DIGITS_MAX)
    digits = text[1:dash] if dash > 0 else ""
    if not _is_number(digits):
        raise PacketError("number of attachments missing")  # E17
    return int(digits), dash + 1


def _namespace(text: str, start: int) -> tuple[str, int]:
    if text[start : start + 1] != "/":
        return "/", start
    comma = text.find(",", start)
    end = comma if comma >= 0 else len(text)
    namespace = text[start:end]
    if len(namespace) > NAMESPACE_CHARACTERS_MAX or not namespace.isprintable():
        raise PacketError("bad namespace")
    return namespace, min(end + 1, len(text))


def _packet_id(text: str, start: int) -> tuple[int | None, int]:
    end = start
    while end < len(text) and "0" <= text[end] <= "9":
        end += 1
        if end - start > ACK_ID_DIGITS_MAX:
            raise PacketError("packet id too long")  # E14
    return (int(text[start:end]), end) if end > start else (None, end)


def _is_number(digits: str) -> bool:
    return digits.isascii() and digits.isdigit()


def _json(text: str) -> Any:
    try:
        return parse_json(text)
    except orjson.JSONDecodeError as error:
        raise PacketError(f"bad JSON: {error.msg}") from None
    except UnicodeEncodeError:  # a str with a lone surrogate, which no decoder of ours lets through
        raise PacketError("bad JSON: lone surrogate") from None


def _checked(kind: PacketType, data: Any) -> Any:
    """The payload, if it is one that this type may carry (E3, E10, E11, E13, E16)."""
    match kind:
        case PacketType.EVENT:
            return _checked_event(data)
        case PacketType.ACK:
            legal = isinstance(data, list)
        case PacketType.CONNECT:
            legal = data is None or isinstance(data, dict)
        case PacketType.DISCONNECT:
            legal = data is None
        case _:
            legal = True
    if not legal:
        raise PacketError(f"illegal payload of {kind.name}")
    return data


def _checked_event(data: Any) -> list[Any]:
    if not isinstance(data, list) or not data:
        raise PacketError("the payload of an event is a non-empty array")  # E10
    name = data[0]
    if type(name) is int or type(name) is float:  # a number is a legal name in the reference; True is not
        data[0] = name = str(name)
    if not isinstance(name, str):
        raise PacketError("an event is named by a string")
    if name in RESERVED_EVENTS:
        raise PacketError("reserved event name")  # E11
    return data


def _reconstruct(data: Any, attachments: Sequence[bytes]) -> Any:
    """Put attachments where their placeholders are. Iterative, since depth is the sender's choice (E33)."""
    root = [data]
    pending: list[list[Any] | dict[str, Any]] = [root]
    values = 0
    while pending:
        container = pending.pop()
        values += len(container)
        if values > VALUES_MAX:
            raise PacketError("too many values around attachments")
        items = container.items() if isinstance(container, dict) else enumerate(container)
        for key, value in list(items):
            if isinstance(value, dict) and value.get("_placeholder") is True:
                container[key] = _attachment(value, attachments)  # type: ignore[index,call-overload]  # key fits its own container
            elif isinstance(value, dict | list):
                pending.append(value)
    return root[0]


def _attachment(placeholder: Mapping[str, Any], attachments: Sequence[bytes]) -> bytes:
    number = placeholder.get("num")
    if type(number) is not int or not 0 <= number < len(attachments):
        raise PacketError("placeholder out of range")  # E19: a negative one would index from the end
    return attachments[number]


# -- encoding


def event(name: str, *args: Any, namespace: str = "/", ack_id: int | None = None) -> Encoded:
    """An EVENT; `bytes` among the arguments become attachments. Raises NotEncodable, for a reserved name too (E11)."""
    if name in RESERVED_EVENTS:
        raise NotEncodable(f"{name!r} is a reserved event name")
    return _encode(PacketType.EVENT, namespace, ack_id, [name, *args])


def events_from_json(name: str, json_arguments: Sequence[bytes], *, namespace: str = "/") -> Encoded:
    """EVENTs in a row, one at least, each with one argument that is JSON already: its bytes go to the wire unchanged
    (K10)."""
    head = b"".join((b"42", _prefix(namespace), b"[", orjson.dumps(name), b","))
    return Encoded.row([b"%b%b]" % (head, argument) for argument in json_arguments])


def ack(packet_id: int, *args: Any, namespace: str = "/") -> Encoded:
    """The answer to an event that carried an id. Raises NotEncodable."""
    return _encode(PacketType.ACK, namespace, packet_id, list(args))


def connect(payload: Mapping[str, Any] | None = None, *, namespace: str = "/") -> Encoded:
    """CONNECT: a client's auth, or a server's answer with its sid."""
    if payload is None:
        return Encoded(b"40" + _prefix(namespace))
    return _encode(PacketType.CONNECT, namespace, None, payload)


def connect_error(body: Any, *, namespace: str = "/") -> Encoded:
    """CONNECT_ERROR with any JSON body (E8, E9)."""
    return _encode(PacketType.CONNECT_ERROR, namespace, None, body)


def disconnect(*, namespace: str = "/") -> Encoded:
    """DISCONNECT: after it clients do not come back by themselves (E25)."""
    return Encoded(b"41" + _prefix(namespace))


def _prefix(namespace: str) -> bytes:
    return b"" if namespace == "/" else namespace.encode() + b","


_BINARY_DIGIT = {PacketType.EVENT: b"45", PacketType.ACK: b"46"}


def _encode(kind: PacketType, namespace: str, packet_id: int | None, data: Any) -> Encoded:
    attachments: list[bytes] = []

    def placeholder(value: Any) -> Mapping[str, Any]:
        # orjson asks here for what it does not know, so plain data never pays for a search for bytes.
        if not isinstance(value, bytes | bytearray | memoryview):
            raise TypeError(f"{type(value).__name__} is not JSON")
        attachments.append(bytes(value))
        return {"_placeholder": True, "num": len(attachments) - 1}

    try:
        body = orjson.dumps(data, default=placeholder)
    except TypeError as error:  # JSONEncodeError is one, and so is too deep a nesting (E33)
        raise NotEncodable(str(error)) from error
    if len(attachments) > ATTACHMENTS_MAX:
        raise NotEncodable(f"{len(attachments)} attachments, of at most {ATTACHMENTS_MAX}")
    number = b"" if packet_id is None else b"%d" % packet_id
    head = b"4" + kind.value.encode()
    if attachments and kind in _BINARY_DIGIT:
        head = b"%s%d-" % (_BINARY_DIGIT[kind], len(attachments))
    return Encoded(head + _prefix(namespace) + number + body, attachments)
