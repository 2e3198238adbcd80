"""A client of bytes: what it sends is a script, and how the server ends it is a line that a table can hold.

What lives here: requests and frames as they go over the wire, the steps of a script, and reading what came back. What
must not: anything polite. An end is the statuses of all answers in their order, then, where one was 101, the code of
the close frame (1005 for none in it); `open` behind it says that the server has not ended the connection.
"""

import socket
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

import attrs

__all__ = [
    "HOST",
    "Drip",
    "Exchange",
    "Repeat",
    "Script",
    "Step",
    "Until",
    "exchange",
    "exchange_all",
    "frame",
    "get",
    "joined",
    "post",
    "request",
    "text",
    "upgrade",
]

HOST = b"Host: 127.0.0.1"

PIECE_BYTES = 1 << 20


@attrs.frozen
class Until:
    """Read until this has come."""

    sign: bytes


@attrs.frozen
class Repeat:
    """The same, this many times; the server may end it before."""

    data: bytes
    count: int


@attrs.frozen
class Drip:
    """One byte at a time, and so long between them; the server may end it before."""

    data: bytes
    seconds: float


Step = bytes | Until | Repeat | Drip
Script = Step | Sequence[Step]


@attrs.define
class Exchange:
    """What came back, and whether the server has ended the connection."""

    received: bytearray = attrs.field(factory=bytearray)
    is_ended: bool = False

    @property
    def end(self) -> str:
        """See above."""
        return " ".join([*_answers(bytes(self.received)), *([] if self.is_ended else ["open"])])


def exchange(address: tuple[str, int], script: Script, *, source: str = "127.0.0.1", seconds: float = 10.0) -> Exchange:
    """Do what the script says, then read until the server ends the connection or the time is over."""
    found, deadline = Exchange(), time.monotonic() + seconds
    with socket.create_connection(address, source_address=(source, 0)) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for step in [script] if isinstance(script, Step) else script:
            if not _do(client, step, found, deadline):
                break
        while not found.is_ended and _read(client, found, deadline):
            pass
    return found


def exchange_all(address: tuple[str, int], scripts: Mapping[str, Script]) -> dict[str, str]:
    """All at once, each on a connection and in a thread of its own: the ends by their names."""
    with ThreadPoolExecutor(len(scripts)) as threads:
        ends = threads.map(lambda script: exchange(address, script).end, scripts.values())
        return dict(zip(scripts, ends, strict=True))


def _do(client: socket.socket, step: Step, found: Exchange, deadline: float) -> bool:
    match step:
        case Until(sign):
            while sign not in found.received:
                if found.is_ended or not _read(client, found, deadline):
                    return False
            return True
        case Repeat(data, count):
            return all(_send(client, data, deadline) for _ in range(count))
        case Drip(data, pause):
            return all(_send(client, data[place : place + 1], deadline, pause) for place in range(len(data)))
        case _:
            return _send(client, step, deadline)


def _send(client: socket.socket, data: bytes, deadline: float, pause: float = 0.0) -> bool:
    client.settimeout(max(deadline - time.monotonic(), 0.001))
    try:
        client.sendall(data)
    except OSError:
        return False  # ended; what it said before is still to be read
    time.sleep(pause)
    return True


def _read(client: socket.socket, found: Exchange, deadline: float) -> bool:
    client.settimeout(max(deadline - time.monotonic(), 0.001))
    try:
        data = client.recv(PIECE_BYTES)
    except TimeoutError:
        return False
    except ConnectionError:
        data = b""
    found.received += data
    found.is_ended = not data
    return True


def _answers(data: bytes) -> Iterator[str]:
    while data:
        head, _, rest = data.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        status = first.split(b" ")[1].decode() if first.startswith(b"HTTP/1.1 ") else repr(first)
        yield status
        if int(status) == HTTPStatus.SWITCHING_PROTOCOLS:
            yield from _closing(rest)
            return
        headers = {name.lower(): value for name, _, value in (line.partition(b": ") for line in lines)}
        data = rest[int(headers.get(b"content-length", b"0")) :]


def _closing(data: bytes) -> Iterator[str]:
    while len(data) >= 2:
        length, start = data[1] & 0x7F, 2
        if length > 125:
            start = 4 if length == 126 else 10
            length = int.from_bytes(data[2:start], "big")
        if data[0] & 0x0F == 8:
            yield str(int.from_bytes(data[start : start + 2], "big") if length else 1005)
            return
        data = data[start + length :]


# --- requests -------------------------------------------------------------------------------------------------------


def request(method: str, target: str, *headers: bytes, body: bytes = b"", host: bytes = HOST) -> bytes:
    """The headers as they are given, nothing added but the host."""
    return b"\r\n".join([f"{method} {target} HTTP/1.1".encode(), host, *headers, b"", b""]) + body


def get(*headers: bytes, target: str = "/alive") -> bytes:
    return request("GET", target, *headers)


def post(*headers: bytes, body: bytes = b"", target: str = "/api/conversations") -> bytes:
    return request("POST", target, b"Content-Type: application/json", *headers, body=body)


def upgrade(query: str = "", *headers: bytes) -> bytes:
    return get(
        b"Connection: Upgrade",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        b"Sec-WebSocket-Version: 13",
        *headers,
        target=f"/socket.io/?EIO=4&transport=websocket{query}",
    )


# --- frames ---------------------------------------------------------------------------------------------------------


def frame(first: int, data: bytes = b"", announced_bytes: int | None = None) -> bytes:
    """Masked with zeros, which is as good a mask as any."""
    length = len(data) if announced_bytes is None else announced_bytes
    if length < 126:
        head = bytes((first, 0x80 | length))
    elif length < 65_536:
        head = struct.pack("!BBH", first, 0xFE, length)
    else:
        head = struct.pack("!BBQ", first, 0xFF, length)
    return head + bytes(4) + data


def text(message: str | bytes) -> bytes:
    return frame(0x81, message.encode() if isinstance(message, str) else message)


def joined(conversation_id: str) -> list[Step]:
    """A client that has joined a conversation, and seen its first event."""
    return [upgrade(f"&conversation_id={conversation_id}"), text("40"), Until(b'42["oh_event",')]
