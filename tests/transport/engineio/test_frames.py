"""Frames from clients: whatever the bytes and however they are cut, the outcome is that of `websockets`' protocol."""

import struct
import tracemalloc
from itertools import pairwise

import attrs
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side

from tests.transport.wire import masked
from transport.engineio.frames import CLOSE, PING, Control, FrameDecoder
from transport.errors import BrokenFrame

MESSAGE_BYTES_MAX = 200

FIRST_BYTES = st.sampled_from([0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x88, 0x89, 0x8A, 0x09, 0x83, 0x8B, 0xC1, 0xA2])
BODIES = st.one_of(
    st.binary(max_size=20),
    st.text(max_size=20).map(str.encode),
    st.integers(120, 140).map(lambda count: b"a" * count),
    st.integers(MESSAGE_BYTES_MAX - 2, MESSAGE_BYTES_MAX + 2).map(lambda count: b"b" * count),
    st.integers(0, 5000).map(lambda code: struct.pack("!H", code) + b"why"),
)
FRAMES = st.builds(masked, FIRST_BYTES, BODIES)
STREAMS = st.one_of(
    st.lists(FRAMES, max_size=6).map(b"".join),
    st.binary(max_size=40),
    st.tuples(st.lists(FRAMES, max_size=3).map(b"".join), st.binary(max_size=12)).map(b"".join),
)


@attrs.frozen
class Outcome:
    """What a decoder makes of bytes: messages and control frames in order, and the close code of a breach."""

    found: list[object]
    code: int | None = None


def ours(parts: list[bytes]) -> Outcome:
    decoder = FrameDecoder(MESSAGE_BYTES_MAX)
    found: list[object] = []
    try:
        for part in parts:
            for item in decoder.feed(part):
                found.append(item)
                if isinstance(item, Control) and item.opcode == CLOSE:
                    return Outcome(found)
    except BrokenFrame as breach:
        return Outcome(found, breach.code)
    return Outcome(found)


def reference(data: bytes) -> Outcome:
    """What that library makes of them, its fragments put together."""
    protocol = Protocol(Side.SERVER, max_size=MESSAGE_BYTES_MAX)
    protocol.receive_data(data)
    found: list[object] = []
    message, is_text = b"", True
    for frame in protocol.events_received():
        assert isinstance(frame, Frame)
        if frame.opcode in (Opcode.CLOSE, Opcode.PING, Opcode.PONG):
            found.append(Control(int(frame.opcode), bytes(frame.data)))
            continue
        if frame.opcode is not Opcode.CONT:
            message, is_text = b"", frame.opcode is Opcode.TEXT
        message += frame.data
        if frame.fin and is_text:
            try:
                found.append(message.decode())
            except UnicodeDecodeError:  # it leaves that to whoever uses it
                return Outcome(found, 1007)
        elif frame.fin:
            found.append(message)
    broken = protocol.parser_exc is not None and not isinstance(protocol.parser_exc, EOFError)
    return Outcome(found, int(protocol.close_sent.code) if broken and protocol.close_sent else None)


@given(STREAMS, st.lists(st.integers(0, 400), max_size=6))
@example(masked(0x01, "é".encode()[:1]) + masked(0x80, "é".encode()[1:]), [])
@example(b"\x81\xff" + (2**63).to_bytes(8, "big"), [3])
def test_b6_b8_whatever_comes_and_however_it_is_cut_the_outcome_is_that_of_a_known_decoder(
    data: bytes, cuts: list[int]
) -> None:
    # The last frame is made whole: of a part of one, either may know sooner what is wrong with it.
    data += bytes(MESSAGE_BYTES_MAX + 14)
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    parts = [data[start:end] for start, end in pairwise(places)]
    found, expected = ours([data]), reference(data)
    # It counts a control frame in the midst of a message among the bytes of that message; RFC 6455 does not.
    assume(expected.code == found.code or expected.code != 1009)
    assert found == expected
    assert ours(parts) == expected


def test_b6_every_byte_by_itself_is_as_good_as_all_at_once() -> None:
    data = masked(0x01, b"one") + masked(0x89, b"hi") + masked(0x80, b" two") + masked(0x82, b"x" * 130)
    found = [Control(PING, b"hi"), "one two", b"x" * 130]
    assert ours([bytes([byte]) for byte in data]) == Outcome(found)


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (b"\x81\xff" + (200 * 1024 * 1024).to_bytes(8, "big") + b"mask", 1009),
        (b"\x81\xfe" + (201).to_bytes(2, "big") + b"mask", 1009),
        (b"\x81\x03", 1002),
        (b"\xc1\x83", 1002),
        (b"\x83\x80", 1002),
        (b"\x80\x80", 1002),
        (b"\x09\x80", 1002),
        (b"\x89\xfe\x00\x80", 1002),
    ],
)
def test_b7_b8_a_head_that_cannot_be_is_refused_before_anything_of_its_body_is_there(head: bytes, code: int) -> None:
    assert ours([head]) == Outcome([], code)


def test_b7_what_is_kept_of_a_message_under_way_is_bounded_by_the_limit() -> None:
    decoder = FrameDecoder(1_000_000)
    tracemalloc.start()
    try:
        list(decoder.feed(masked(0x01, b"x" * 1000)))
        with pytest.raises(BrokenFrame) as breach:  # noqa: PT012 - it is not known which one it is
            while True:
                list(decoder.feed(masked(0x00, b"x" * 1000)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert breach.value.code == 1009
    assert peak < 3_000_000


def test_b7_a_large_message_in_small_pieces_is_looked_at_once() -> None:
    decoder, body = FrameDecoder(4_000_000), b"x" * 4_000_000
    data = masked(0x82, body)
    tracemalloc.start()
    try:
        found = [item for start in range(0, len(data), 1460) for item in decoder.feed(data[start : start + 1460])]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == [body]
    assert peak < 5 * len(body)


def test_empty_fragments_without_end_cost_no_memory() -> None:
    decoder = FrameDecoder(1000)
    list(decoder.feed(masked(0x01, b"")))
    tracemalloc.start()
    try:
        for _ in range(10_000):
            list(decoder.feed(masked(0x00, b"")))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 10_000
