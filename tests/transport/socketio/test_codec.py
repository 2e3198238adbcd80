"""Socket.IO packets as messages: tables by the codes of the edges, round trips, the reference, and any text at all."""

from typing import Any

import orjson
import pytest
import socketio.packet
from hypothesis import given
from hypothesis import strategies as st

from transport.errors import NotEncodable, PacketError
from transport.socketio import codec
from transport.socketio.codec import VALUES_MAX, Decoder, Encoded, Packet, PacketType

PLACEHOLDER = '{"_placeholder":true,"num":%s}'


def decoder() -> Decoder:
    return Decoder(10, 1000)


def decode(encoded: Encoded) -> Packet | None:
    """What the other side makes of it: the text without Engine.IO's digit, then the attachments."""
    it = decoder()
    packet = it.feed(encoded.text[1:].decode())
    for frame in encoded.frames[1:]:
        packet = it.feed(frame.data)
    return packet


@pytest.mark.parametrize(
    ("text", "packet"),
    [
        pytest.param("0", Packet(PacketType.CONNECT), id="connect"),
        pytest.param('0{"a":1}', Packet(PacketType.CONNECT, "/", {"a": 1}), id="E28 auth"),
        pytest.param("0/admin,", Packet(PacketType.CONNECT, "/admin"), id="namespace"),
        pytest.param("0/admin", Packet(PacketType.CONNECT, "/admin"), id="namespace without comma"),
        pytest.param("0/a?b=c,", Packet(PacketType.CONNECT, "/a?b=c"), id="E8 a query is part of the name"),
        pytest.param("01", Packet(PacketType.CONNECT, "/", None, 1), id="E3 a number is an id"),
        pytest.param('2["x",1]', Packet(PacketType.EVENT, "/", ["x", 1]), id="event"),
        pytest.param('2/a,007["x"]', Packet(PacketType.EVENT, "/a", ["x"], 7), id="E14 leading zeros"),
        pytest.param('20["x"]', Packet(PacketType.EVENT, "/", ["x"], 0), id="E14 zero"),
        pytest.param("2[1]", Packet(PacketType.EVENT, "/", ["1"]), id="E10 a number as name"),
        pytest.param("312[]", Packet(PacketType.ACK, "/", [], 12), id="ack"),
        pytest.param("3[]", Packet(PacketType.ACK, "/", []), id="E13 ack without id"),
        pytest.param("1/a,", Packet(PacketType.DISCONNECT, "/a"), id="disconnect"),
        pytest.param('4{"message":"no"}', Packet(PacketType.CONNECT_ERROR, "/", {"message": "no"}), id="E9"),
        pytest.param('4/x,"no"', Packet(PacketType.CONNECT_ERROR, "/x", "no"), id="a bare string as V0 sends it"),
        pytest.param(
            '2["x",' + PLACEHOLDER % 0 + "]",
            Packet(PacketType.EVENT, "/", ["x", {"_placeholder": True, "num": 0}]),
            id="E20",
        ),
        pytest.param('2["x",{"a":1,"a":2}]', Packet(PacketType.EVENT, "/", ["x", {"a": 2}]), id="E32 duplicate key"),
    ],
)
def test_packets_are_parsed(text: str, packet: Packet) -> None:
    assert decoder().feed(text) == packet


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="E16 empty"),
        pytest.param("7", id="E16 type 7"),
        pytest.param("٢", id="E16 a digit of another script"),
        pytest.param("0[]", id="E3 array"),
        pytest.param('0"x"', id="E3 string"),
        pytest.param("0null", id="E3 null"),
        pytest.param("0{", id="E3 bad JSON"),
        pytest.param("2", id="E10 nothing"),
        pytest.param("2[]", id="E10 empty"),
        pytest.param("2{}", id="E10 object"),
        pytest.param('2"x"', id="E10 string"),
        pytest.param("2[null]", id="E10 null"),
        pytest.param("2[true]", id="E10 bool"),
        pytest.param("2[{}]", id="E10 object as name"),
        *(pytest.param(f'2["{name}"]', id=f"E11 {name}") for name in sorted(codec.RESERVED_EVENTS)),
        pytest.param("31{}", id="E13 object"),
        pytest.param("31", id="E13 nothing"),
        pytest.param("2" + "9" * 17 + '["x"]', id="E14 too many digits"),
        pytest.param("1{}", id="E16 disconnect with payload"),
        pytest.param("1null", id="E16 disconnect with null"),
        pytest.param('50-["x"]', id="E17 none"),
        pytest.param('5["x"]', id="E17 missing"),
        pytest.param('5x-["x"]', id="E17 not a number"),
        pytest.param('5-1-["x"]', id="E17 negative"),
        pytest.param('511-["x"]', id="E17 eleven"),
        pytest.param("5" + "1" * 5000 + '-["x"]', id="E17 endless"),
        pytest.param("51-", id="E17 for nothing"),
        pytest.param('2["x",NaN]', id="E32 NaN"),
        pytest.param('2["x",1e400]', id="E32 infinity"),
        pytest.param('2["x","\\ud800"]', id="E32 lone surrogate"),
        pytest.param("2" + "[" * 5000 + "]" * 5000, id="E33"),
        pytest.param("0/" + "n" * 600, id="a name too long"),
        pytest.param("0/a\x1eb,", id="A19 a separator in a name"),
    ],
)
def test_what_is_no_packet_is_one_error(text: str) -> None:
    with pytest.raises(PacketError):
        decoder().feed(text)


def test_attachments_find_their_places() -> None:
    it = decoder()
    text = f'52-["x",{PLACEHOLDER % 1},[{{"deep":{PLACEHOLDER % 0}}}]]'
    assert it.feed(text) is None
    assert it.feed(b"zero") is None
    assert it.feed(b"one") == Packet(PacketType.EVENT, "/", ["x", b"one", [{"deep": b"zero"}]])
    assert it.feed('2["next"]') == Packet(PacketType.EVENT, "/", ["next"])


@pytest.mark.parametrize("number", ["1", "-1", '"0"', "0.0", "true", "null"])
def test_e19_a_placeholder_out_of_range(number: str) -> None:
    it = decoder()
    it.feed(f'51-["x",{PLACEHOLDER % number}]')
    with pytest.raises(PacketError):
        it.feed(b"data")


def test_e19_the_same_attachment_twice_and_one_unused_are_fine() -> None:
    it = decoder()
    it.feed(f'52-["x",{PLACEHOLDER % 0},{PLACEHOLDER % 0}]')
    it.feed(b"a")
    assert it.feed(b"b") == Packet(PacketType.EVENT, "/", ["x", b"a", b"a"])


def test_e17_values_around_attachments_are_bounded() -> None:
    it = Decoder(10, 1000)
    assert it.feed(f'51-["x",{"[]," * (VALUES_MAX - 3)}0]') is None
    assert it.feed(b"") is not None
    assert it.feed(f'51-["x",{"[]," * VALUES_MAX}0]') is None
    with pytest.raises(PacketError, match="too many values"):
        it.feed(b"")


def test_e18_order_of_attachments() -> None:
    with pytest.raises(PacketError):
        decoder().feed(b"stray")
    it = decoder()
    it.feed('51-["x"]')
    with pytest.raises(PacketError):
        it.feed('2["x"]')


def test_e17_attachments_are_bounded_together() -> None:
    it = decoder()
    it.feed('52-["x"]')
    it.feed(b"x" * 600)
    with pytest.raises(PacketError):
        it.feed(b"x" * 600)


def test_a_deep_event_with_attachments_is_rebuilt_without_recursion() -> None:
    it = decoder()
    it.feed('51-["x",' + "[" * 900 + PLACEHOLDER % 0 + "]" * 900 + "]")
    assert it.feed(b"bottom") is not None


@given(st.lists(st.one_of(st.text(max_size=40), st.binary(max_size=20)), max_size=6))
def test_any_messages_are_packets_or_one_error(messages: list[str | bytes]) -> None:
    it = decoder()
    try:
        for message in messages:
            it.feed(message)
    except PacketError:
        return


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, st.sampled_from(["/", "/admin"]), st.none() | st.integers(0, 2**40))
def test_events_go_round_and_the_reference_reads_them(data: Any, namespace: str, packet_id: int | None) -> None:
    encoded = codec.event("name", data, namespace=namespace, ack_id=packet_id)
    assert decode(encoded) == Packet(PacketType.EVENT, namespace, ["name", data], packet_id)
    theirs = socketio.packet.Packet(encoded_packet=encoded.text[1:].decode())
    assert (theirs.namespace or "/", theirs.id, theirs.data) == (namespace, packet_id, ["name", data])


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=9))
def test_binary_goes_round(blobs: list[bytes]) -> None:
    encoded = codec.event("name", {"blobs": blobs})
    assert len(encoded.frames) == 1 + len(blobs)
    assert decode(encoded) == Packet(PacketType.EVENT, "/", ["name", {"blobs": blobs}])


def test_the_bytes_of_an_event_are_not_rewritten() -> None:
    stored = b'{"id": 1,  "spaced":"\\u00e9"}'
    encoded = codec.events_from_json("oh_event", [stored])
    assert encoded.text == b'42["oh_event",' + stored + b"]"
    assert codec.events_from_json("e", [b"1"], namespace="/a").text == b'42/a,["e",1]'


@given(st.lists(st.text(max_size=200), min_size=1, max_size=5))
def test_events_in_a_row_are_packets_of_their_own_on_either_transport(texts: list[str]) -> None:
    row = codec.events_from_json("e", [orjson.dumps(text) for text in texts])
    singles = [codec.event("e", text) for text in texts]
    assert row.frames == [frame for single in singles for frame in single.frames]
    assert row.websocket_frame == b"".join(single.websocket_frame for single in singles)
    assert row.size == sum(single.size for single in singles)


@pytest.mark.parametrize(
    ("encoded", "text"),
    [
        (codec.connect(), b"40"),
        (codec.connect({"sid": "a"}), b'40{"sid":"a"}'),
        (codec.connect(namespace="/a"), b"40/a,"),
        (codec.disconnect(), b"41"),
        (codec.disconnect(namespace="/a"), b"41/a,"),
        (codec.ack(3), b"433[]"),
        (codec.ack(3, b"x", namespace="/a"), b'461-/a,3[{"_placeholder":true,"num":0}]'),
        (codec.connect_error({"message": "no"}), b'44{"message":"no"}'),
        (codec.connect_error("Unable to connect", namespace="/a"), b'44/a,"Unable to connect"'),
        (codec.event("x", float("inf")), b'42["x",null]'),
        (codec.event("x", "\x1e"), b'42["x","\\u001e"]'),
    ],
)
def test_what_is_written(encoded: Encoded, text: bytes) -> None:
    assert encoded.text == text


def deep(levels: int) -> Any:
    return orjson.loads("[" * levels + "]" * levels)


@pytest.mark.parametrize("value", [object, {1: 2}, 2**64, "\ud800", deep(900)], ids=repr)
def test_e33_what_json_cannot_carry_is_one_error(value: Any) -> None:
    with pytest.raises(NotEncodable):
        codec.event("x", value)
