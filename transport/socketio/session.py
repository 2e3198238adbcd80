"""One client's namespaces as a state machine: who has joined what, and which packet is legal then.

What lives here: the table from (state of the namespace, packet type) to what should happen, and the connect
timeout. What must not: handlers, sockets, tasks, clocks. A pair that the table does not list is one typed error,
ProtocolViolation, upon which the whole connection is closed (E1, E4, E5).
"""

from collections.abc import Mapping
from enum import Enum, auto
from math import inf
from typing import Any

import attrs

from transport.errors import ProtocolViolation
from transport.socketio.codec import Packet, PacketType

__all__ = ["Acked", "Crowded", "Event", "Fact", "Join", "Leave", "Session", "Stranger"]


class _State(Enum):
    ABSENT = auto()
    CONNECTING = auto()  # the handler is deciding
    JOINED = auto()
    LEFT = auto()  # by our own DISCONNECT, which may cross what the client sent before it (E5)


class _Move(Enum):
    JOIN = auto()
    LEAVE = auto()
    EVENT = auto()
    ACK = auto()
    IGNORE = auto()


_TABLE: Mapping[tuple[_State, PacketType], _Move] = {
    (_State.ABSENT, PacketType.CONNECT): _Move.JOIN,
    (_State.CONNECTING, PacketType.DISCONNECT): _Move.LEAVE,
    (_State.JOINED, PacketType.EVENT): _Move.EVENT,
    (_State.JOINED, PacketType.ACK): _Move.ACK,
    (_State.JOINED, PacketType.DISCONNECT): _Move.LEAVE,
    (_State.LEFT, PacketType.CONNECT): _Move.JOIN,
    (_State.LEFT, PacketType.EVENT): _Move.IGNORE,
    (_State.LEFT, PacketType.ACK): _Move.IGNORE,
    (_State.LEFT, PacketType.DISCONNECT): _Move.IGNORE,
}


@attrs.frozen(slots=True)
class Join:
    namespace: str
    auth: Mapping[str, Any] | None


@attrs.frozen(slots=True)
class Stranger:
    """A CONNECT to a namespace that nobody serves (E8); other namespaces stay possible."""

    namespace: str


@attrs.frozen(slots=True)
class Crowded:
    """A CONNECT beyond the namespaces that one client may have."""

    namespace: str


@attrs.frozen(slots=True)
class Leave:
    namespace: str


@attrs.frozen(slots=True)
class Event:
    namespace: str
    name: str
    args: list[Any]
    id: int | None


@attrs.frozen(slots=True)
class Acked:
    namespace: str
    id: int | None
    args: list[Any]


Fact = Join | Stranger | Crowded | Leave | Event | Acked


@attrs.define(slots=True)
class Session:
    """Namespaces of one client. `deadline` is when the connect timeout strikes; infinity once any was joined (E2)."""

    served: frozenset[str]
    deadline: float
    namespaces_max: int
    _states: dict[str, _State] = attrs.field(factory=dict)

    def received(self, packet: Packet) -> Fact | None:
        """What a packet means now; None when it is to be ignored. Raises ProtocolViolation."""
        state = self._states.get(packet.namespace, _State.ABSENT)
        move = _TABLE.get((state, packet.type))
        if move is None:
            raise ProtocolViolation(f"{packet.type.name} while {state.name.lower()}")
        match move:
            case _Move.EVENT:
                return Event(packet.namespace, packet.data[0], packet.data[1:], packet.id)
            case _Move.ACK:
                return Acked(packet.namespace, packet.id, packet.data)
            case _Move.LEAVE:
                self._states.pop(packet.namespace, None)
                return Leave(packet.namespace)
            case _Move.JOIN:
                return self._join(packet)
            case _Move.IGNORE:
                return None

    def _join(self, packet: Packet) -> Join | Stranger | Crowded:
        if packet.namespace not in self.served:
            return Stranger(packet.namespace)  # not remembered, so strangers cost nothing
        if packet.namespace not in self._states and len(self._states) >= self.namespaces_max:
            return Crowded(packet.namespace)
        self._states[packet.namespace] = _State.CONNECTING
        return Join(packet.namespace, packet.data)

    def accepted(self, namespace: str) -> None:
        """The handler said yes; the connect timeout is over for good (E2)."""
        self._states[namespace] = _State.JOINED
        self.deadline = inf

    def refused(self, namespace: str) -> None:
        """The handler said no; the client may try again."""
        self._states.pop(namespace, None)

    def left(self, namespace: str) -> None:
        """We sent DISCONNECT; what is still in flight from the client is tolerated (E5)."""
        self._states[namespace] = _State.LEFT
