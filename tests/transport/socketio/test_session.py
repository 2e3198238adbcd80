"""The namespaces' state machine: every pair of state and packet, listed or an error."""

from math import inf

import pytest

from transport.errors import ProtocolViolation
from transport.socketio.codec import Packet, PacketType
from transport.socketio.session import Acked, Event, Fact, Join, Leave, Session, Stranger

PACKETS = {
    PacketType.CONNECT: Packet(PacketType.CONNECT, data={"a": 1}),
    PacketType.DISCONNECT: Packet(PacketType.DISCONNECT),
    PacketType.EVENT: Packet(PacketType.EVENT, data=["x", 1], id=3),
    PacketType.ACK: Packet(PacketType.ACK, data=[2], id=4),
    PacketType.CONNECT_ERROR: Packet(PacketType.CONNECT_ERROR, data="x"),
}
JOIN, LEAVE = Join("/", {"a": 1}), Leave("/")
EVENT, ACKED = Event("/", "x", [1], 3), Acked("/", 4, [2])


def absent() -> Session:
    return Session(frozenset({"/", "/custom"}), 45, 64)


def connecting() -> Session:
    it = absent()
    it.received(PACKETS[PacketType.CONNECT])
    return it


def joined() -> Session:
    it = connecting()
    it.accepted("/")
    return it


def left() -> Session:
    it = joined()
    it.left("/")
    return it


LEGAL: dict[str, dict[PacketType, Fact | None]] = {
    "absent": {PacketType.CONNECT: JOIN},
    "connecting": {PacketType.DISCONNECT: LEAVE},
    "joined": {PacketType.EVENT: EVENT, PacketType.ACK: ACKED, PacketType.DISCONNECT: LEAVE},
    "left": {
        PacketType.CONNECT: JOIN,
        PacketType.EVENT: None,
        PacketType.ACK: None,
        PacketType.DISCONNECT: None,
    },
}
STATES = {"absent": absent, "connecting": connecting, "joined": joined, "left": left}


@pytest.mark.parametrize("kind", PacketType)
@pytest.mark.parametrize("state", STATES)
def test_e1_e4_e5_every_pair_is_listed_or_ends_the_connection(state: str, kind: PacketType) -> None:
    packet = PACKETS.get(kind)
    if packet is None:
        return  # the binary two never leave the decoder
    it = STATES[state]()
    if kind in LEGAL[state]:
        assert it.received(packet) == LEGAL[state][kind]
    else:
        with pytest.raises(ProtocolViolation):
            it.received(packet)


def test_e2_the_connect_timeout_ends_with_the_first_namespace() -> None:
    it = connecting()
    assert it.deadline == 45
    it.refused("/")
    assert it.deadline == 45
    it.received(PACKETS[PacketType.CONNECT])
    it.accepted("/")
    assert it.deadline == inf


def test_e6_leave_and_join_in_one_batch() -> None:
    it = joined()
    assert it.received(PACKETS[PacketType.DISCONNECT]) == LEAVE
    assert it.received(PACKETS[PacketType.CONNECT]) == JOIN


def test_e8_a_stranger_is_not_remembered_and_others_stay_possible() -> None:
    it = absent()
    assert it.received(Packet(PacketType.CONNECT, "/nowhere")) == Stranger("/nowhere")
    assert it.received(Packet(PacketType.CONNECT, "/nowhere")) == Stranger("/nowhere")
    assert it.received(PACKETS[PacketType.CONNECT]) == JOIN


def test_e23_namespaces_are_apart() -> None:
    it = joined()
    with pytest.raises(ProtocolViolation):
        it.received(Packet(PacketType.EVENT, "/custom", ["x"]))
