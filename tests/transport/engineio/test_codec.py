"""Engine.IO packets as bytes: tables by the codes of the edges, round trips, and any bytes at all."""

import base64

import engineio.packet
import engineio.payload
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport.engineio import codec
from transport.engineio.codec import Packet, PacketType
from transport.errors import PacketError

MESSAGE = PacketType.MESSAGE


@pytest.mark.parametrize(
    ("text", "packet"),
    [
        pytest.param("4hello", Packet(MESSAGE, "hello"), id="message"),
        pytest.param("4", Packet(MESSAGE, ""), id="B6 empty message"),
        pytest.param("2probe", Packet(PacketType.PING, "probe"), id="D2 probe"),
        pytest.param("bAQIDBA==", Packet(MESSAGE, b"\1\2\3\4"), id="A18 B13 base64"),
        pytest.param("b", Packet(MESSAGE, b""), id="B6 empty binary"),
        pytest.param('4{"a":1}', Packet(MESSAGE, '{"a":1}'), id="JSON stays text"),
    ],
)
def test_text_is_parsed(text: str, packet: Packet) -> None:
    assert codec.decode_text(text) == packet


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="B12 empty"),
        pytest.param("7", id="B12 unknown type"),
        pytest.param("٣", id="B12 a digit of another script"),
        pytest.param("bAQID!A==", id="A18 a bad character"),
        pytest.param("bAQIDBA", id="A18 no padding"),
        pytest.param("bé===", id="A18 not ASCII"),
        pytest.param('d=4"x"', id="A24 a JSONP body"),
    ],
)
def test_what_is_no_packet_is_one_error(text: str) -> None:
    with pytest.raises(PacketError):
        codec.decode_text(text)


def test_a14_good_packets_before_a_bad_one_count() -> None:
    packets = codec.iter_payload(b"4one\x1e4two\x1e9\x1e4lost")
    assert [next(packets).data, next(packets).data] == ["one", "two"]
    with pytest.raises(PacketError):
        next(packets)


@pytest.mark.parametrize("body", [b"", b"4one\x1e", b"4\xff"], ids=["A13 empty", "A13 trailing separator", "A20"])
def test_bad_bodies(body: bytes) -> None:
    with pytest.raises(PacketError):
        list(codec.iter_payload(body))


def test_a16_packets_per_post_are_not_counted() -> None:
    assert len(list(codec.iter_payload(b"\x1e".join([b"4x"] * 1000)))) == 1000


def test_a19_a_raw_separator_cannot_be_sent() -> None:
    with pytest.raises(ValueError, match="1E"):
        codec.message("a\x1eb")


@given(st.binary(max_size=300))
def test_any_body_is_packets_or_one_error(body: bytes) -> None:
    try:
        packets = list(codec.iter_payload(body))
    except PacketError:
        return
    assert all(isinstance(packet.type, PacketType) for packet in packets)


@given(st.lists(st.one_of(st.text(alphabet=st.characters(exclude_characters="\x1e", codec="utf-8")), st.binary())))
def test_payloads_go_round_and_the_reference_reads_them(data: list[str | bytes]) -> None:
    if not data:
        return
    frames = [frame for item in data for frame in codec.message(item).frames]
    body = codec.encode_payload(frames)
    assert [packet.data for packet in codec.iter_payload(body)] == data
    for frame in frames:
        theirs = engineio.packet.Packet(encoded_packet=frame.polling.decode())
        assert theirs.packet_type == engineio.packet.MESSAGE


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_websocket_frames_carry_their_length(size: int) -> None:
    from websockets.frames import Frame, Opcode

    frame = codec.Frame(b"x" * size)
    assert frame.websocket == Frame(Opcode.TEXT, b"x" * size).serialize(mask=False)
    binary = codec.Frame(b"x" * size, is_binary=True)
    assert binary.websocket == Frame(Opcode.BINARY, b"x" * size).serialize(mask=False)
    assert binary.polling == b"b" + base64.b64encode(b"x" * size)


def test_the_client_reads_what_the_server_opens_with() -> None:
    opened = codec.encode_open({"sid": "a", "pingInterval": 25000})
    assert codec.decode_open(codec.decode_text(opened.text.decode())) == {"sid": "a", "pingInterval": 25000}
    assert orjson.loads(opened.text[1:])["sid"] == "a"


@pytest.mark.parametrize("text", ["0", "0[]", "0{", "4{}"])
def test_the_client_refuses_a_bad_opening(text: str) -> None:
    with pytest.raises(PacketError):
        codec.decode_open(codec.decode_text(text))


def test_encoded_packets_are_built_once() -> None:
    packet = codec.Encoded(b'451-["x",{"_placeholder":true,"num":0}]', [b"abc"])
    assert packet.websocket_frame is packet.websocket_frame
    assert packet.size == len(packet.text) + 3
