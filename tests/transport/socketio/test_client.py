"""The client's end of a session, alone by tables and against the server's machines in any order of what both say."""

from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport.engineio import session as engine
from transport.engineio.codec import Encoded, decode_binary, decode_text, encode_open, encode_payload, iter_payload
from transport.errors import ConnectionClosed, PacketError, ProtocolViolation
from transport.socketio import codec, session
from transport.socketio.client import PONG, ClientSession, messages
from transport.socketio.codec import Decoder, Packet, PacketType

OPENING = '0{"sid":"s","upgrades":[],"pingInterval":300,"pingTimeout":200,"maxPayload":1000}'


def opened() -> ClientSession:
    it = ClientSession(1000)
    assert it.received(OPENING, 10.0) is None
    return it


def test_c1_a_server_that_is_silent_is_given_up_after_interval_and_timeout() -> None:
    assert ClientSession(1000).deadline == inf
    it = opened()
    assert (it.sid, it.deadline) == ("s", 10.5)
    assert it.received("2", 10.4) is PONG
    assert it.deadline == pytest.approx(10.9)
    it.received('42["x"]', 10.8)  # only pings count
    assert it.deadline == pytest.approx(10.9)


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ("2", PONG),
        ("6", None),
        ('40{"sid":"x"}', Packet(PacketType.CONNECT, data={"sid": "x"})),
        ('42["x",1]', Packet(PacketType.EVENT, data=["x", 1])),
        ("430[]", Packet(PacketType.ACK, data=[], id=0)),
        ('44{"message":"no"}', Packet(PacketType.CONNECT_ERROR, data={"message": "no"})),
        ('451-["x",{"_placeholder":true,"num":0}]', None),
    ],
)
def test_what_a_server_says(message: str, found: Encoded | Packet | None) -> None:
    assert opened().received(message) == found


@pytest.mark.parametrize("message", ["", "9", "3", "5", "4", "47", OPENING, b"stray"])
def test_what_no_server_may_say(message: str | bytes) -> None:
    with pytest.raises((PacketError, ProtocolViolation)):
        opened().received(message)


@pytest.mark.parametrize("message", ["0", "0[]", "0{}", '0{"sid":1,"pingInterval":1,"pingTimeout":1}'])
def test_what_is_no_opening(message: str) -> None:
    with pytest.raises((PacketError, ProtocolViolation)):
        ClientSession(1000).received(message)


def test_the_end_that_a_server_announces() -> None:
    with pytest.raises(ConnectionClosed):
        opened().received("1")


@given(st.lists(st.one_of(st.text(max_size=40), st.binary(max_size=20)), max_size=6))
def test_any_messages_are_packets_or_a_typed_error(said: list[str | bytes]) -> None:
    it = ClientSession(1000)
    try:
        for message in said:
            it.received(message)
    except (PacketError, ProtocolViolation, ConnectionClosed):
        return


# --- the pair ----------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
ARGS = st.lists(JSON | st.binary(max_size=12), max_size=4)


class Pair:
    """Both ends without a network: what one writes the other reads, by either transport."""

    def __init__(self, transport: engine.Transport) -> None:
        self.transport = transport
        self.client = ClientSession(100_000)
        self.engine = engine.Session(25, 20, 10, transport, 0)
        self.decoder = Decoder(codec.ATTACHMENTS_MAX, 100_000)
        self.namespaces = session.Session(frozenset({"/", "/custom"}), 45, 64)

    def carry(self, packet: Encoded) -> list[str | bytes]:
        if self.transport is engine.Transport.WEBSOCKET:
            return messages(packet)
        # What a polling body makes of it, and back.
        packets = list(iter_payload(encode_payload(packet.frames)))
        return [one.data if isinstance(one.data, bytes) else f"{one.type.value}{one.data}" for one in packets]

    def to_client(self, packet: Encoded) -> list[Encoded | Packet]:
        heard = [self.client.received(message) for message in self.carry(packet)]
        return [one for one in heard if one is not None]

    def to_server(self, packet: Encoded) -> list[session.Fact]:
        facts = []
        for message in self.carry(packet):
            decoded = decode_text(message) if isinstance(message, str) else decode_binary(message)
            for effect in self.engine.received(decoded, 1):
                assert isinstance(effect, engine.Deliver)
                found = self.decoder.feed(effect.data)
                fact = self.namespaces.received(found) if found is not None else None
                facts += [fact] if fact is not None else []
        return facts


@given(
    st.sampled_from(engine.Transport),
    st.lists(
        st.tuples(st.sampled_from(["up", "down", "ack up", "ack down", "ping"]), st.booleans(), ARGS), max_size=12
    ),
)
def test_whatever_both_ends_say_arrives_as_it_was_said(
    transport: engine.Transport, script: list[tuple[str, bool, list[Any]]]
) -> None:
    pair = Pair(transport)
    pair.to_client(encode_open({"sid": "s", "pingInterval": 25_000, "pingTimeout": 20_000}))
    for namespace in ("/", "/custom"):
        assert pair.to_server(codec.connect({"a": 1}, namespace=namespace)) == [session.Join(namespace, {"a": 1})]
        pair.namespaces.accepted(namespace)
        [greeting] = pair.to_client(codec.connect({"sid": "x"}, namespace=namespace))
        assert greeting == Packet(PacketType.CONNECT, namespace, {"sid": "x"})
    for number, (what, is_custom, args) in enumerate(script):
        namespace = "/custom" if is_custom else "/"
        match what:
            case "up":
                said = codec.event("e", *args, namespace=namespace, ack_id=number)
                assert pair.to_server(said) == [session.Event(namespace, "e", args, number)]
            case "down":
                said = codec.event("e", *args, namespace=namespace, ack_id=number)
                assert pair.to_client(said) == [Packet(PacketType.EVENT, namespace, ["e", *args], number)]
            case "ack up":
                said = codec.ack(number, *args, namespace=namespace)
                assert pair.to_server(said) == [session.Acked(namespace, number, args)]
            case "ack down":
                said = codec.ack(number, *args, namespace=namespace)
                assert pair.to_client(said) == [Packet(PacketType.ACK, namespace, args, number)]
            case _:
                [ping] = pair.engine.tick(pair.engine.deadline)
                assert isinstance(ping, engine.Send)
                [pong] = pair.to_client(ping.packet)
                assert isinstance(pong, Encoded)
                assert pair.to_server(pong) == []
