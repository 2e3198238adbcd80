"""The client's end of one session by WebSocket, for whoever brings the socket: pings are answered, silence is noticed.

What lives here: which message of the server means what, and by when the next must come. What must not: sockets, tasks,
clocks (`now` is an argument, in seconds), reconnecting, or what an event means. The load generator and `greenroom chat`
are built on it.
"""

from collections.abc import Mapping
from math import inf
from typing import Any

import attrs

from transport.engineio.codec import Encoded, decode_binary, decode_open, decode_text, text_packet
from transport.engineio.codec import PacketType as EnginePacketType
from transport.errors import ConnectionClosed, ProtocolViolation
from transport.socketio.codec import ATTACHMENTS_MAX, Decoder, Packet

__all__ = ["ClientSession", "messages"]

PONG = text_packet(EnginePacketType.PONG)


@attrs.define(slots=True)
class ClientSession:
    """`deadline` is when a server that has said nothing is given up (C1); infinity before its opening."""

    attachments_bytes_max: int
    sid: str = ""
    deadline: float = inf
    _patience_seconds: float = inf
    _decoder: Decoder = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._decoder = Decoder(ATTACHMENTS_MAX, self.attachments_bytes_max)

    def received(self, message: str | bytes, now: float = 0.0) -> Encoded | Packet | None:
        """What a message of the server's is: something to send back, a Socket.IO packet, or neither.

        Raises `PacketError` and `ProtocolViolation` for what no server may send, `ConnectionClosed` when it ends the
        session; the connection must then be closed.
        """
        packet = decode_text(message) if isinstance(message, str) else decode_binary(message)
        match packet.type:
            case EnginePacketType.MESSAGE:
                return self._decoder.feed(packet.data)
            case EnginePacketType.PING:
                self.deadline = now + self._patience_seconds
                return PONG
            case EnginePacketType.OPEN:
                self._open(decode_open(packet), now)
            case EnginePacketType.CLOSE:
                raise ConnectionClosed("the server ended the session")
            case EnginePacketType.NOOP:
                pass
            case _:
                raise ProtocolViolation(f"{packet.type.name} from a server")
        return None

    def _open(self, handshake: Mapping[str, Any], now: float) -> None:
        match handshake:
            case {"sid": str(sid), "pingInterval": int(interval), "pingTimeout": int(timeout)} if not self.sid:
                self.sid, self._patience_seconds = sid, (interval + timeout) / 1000
                self.deadline = now + self._patience_seconds
            case _:
                raise ProtocolViolation("no opening, or the second")


def messages(packet: Encoded) -> list[str | bytes]:
    """A packet as the WebSocket messages that carry it, attachments behind their header (E21)."""
    return [frame.data if frame.is_binary else frame.data.decode() for frame in packet.frames]
