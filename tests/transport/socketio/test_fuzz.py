"""Any bytes are packets or one typed error, in time and memory that the limit on a message bounds."""

import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport.engineio.codec import decode_text, iter_payload
from transport.engineio.session import Deliver, Session, Transport
from transport.errors import ClientFault, NotEncodable, PacketError
from transport.socketio import codec, session
from transport.socketio.codec import Decoder, Packet

LIMIT_BYTES = 1_000_000
"""The default of `max_payload_bytes`."""

CPU_SECONDS_MAX = 2.0
"""Each takes milliseconds; what grows faster than its input takes minutes at this size."""

MEMORY_BYTES_PER_BYTE_MAX = 100
"""A list or number costs some dozens of bytes for each two of its text. It is given back with the event."""

# What packets are made of: put together at random, they come near enough to real ones to reach every branch.
PIECES = (
    st.sampled_from('0123456789-/,?[]{} "\x00\x1eé')
    | st.sampled_from(
        ("/custom,", "51-", "52-", '["x"]', '["x",', '["disconnect"]', "null", "NaN", "1e999", "\\ud800", "9" * 20)
    )
    | st.sampled_from(("[[[[", "]]]]", '{"_placeholder":true,"num":0}', '{"_placeholder":true,"num":-1}'))
)
TEXTS = st.lists(PIECES, max_size=10).map("".join)
MESSAGES = st.lists(TEXTS | st.binary(max_size=8), max_size=6)


@given(MESSAGES)
def test_any_messages_are_packets_or_one_typed_error(messages: list[str | bytes]) -> None:
    it = Decoder(10, 1000)
    for message in messages:
        try:
            packet = it.feed(message)
        except PacketError:
            return
        assert packet is None or isinstance(packet, Packet)


@given(st.lists(TEXTS, max_size=8))
def test_any_polling_body_goes_through_all_machines_or_ends_in_one_typed_error(packets: list[str]) -> None:
    engine = Session(25, 20, 10, Transport.POLLING, 0)
    decoder, namespaces = Decoder(10, 1000), session.Session(frozenset({"/", "/custom"}), 45, 64)
    try:
        for packet in iter_payload("\x1e".join(packets).encode()):
            for effect in engine.received(packet, 1):
                if isinstance(effect, Deliver) and (found := decoder.feed(effect.data)) is not None:
                    fact = namespaces.received(found)
                    if isinstance(fact, session.Join):
                        namespaces.accepted(fact.namespace)
    except ClientFault:
        return


@given(MESSAGES)
def test_what_was_decoded_is_encoded_again_or_refused_by_name(messages: list[str | bytes]) -> None:
    """An echo: whatever a client gets in must not crash on the way out (E33)."""
    it = Decoder(10, 1000)
    for message in messages:
        try:
            packet = it.feed(message)
        except PacketError:
            return
        if packet is not None and packet.type is codec.PacketType.EVENT:
            try:
                codec.event(*packet.data, namespace=packet.namespace)
            except NotEncodable:
                return


def fill(unit: str, before: str = '2["x",', after: str = "]") -> str:
    return before + unit * ((LIMIT_BYTES - len(before) - len(after)) // len(unit)) + after


PLACEHOLDER = '{"_placeholder":true,"num":0}'
ATTACKS: dict[str, Callable[[], list[str | bytes]]] = {
    "an ack id of 100 kB": lambda: ["2" + "9" * 100_000 + '["x"]'],
    "an ack id of 1 MB": lambda: [fill("9", "3", "[]")],
    "a number of attachments of 1 MB": lambda: [fill("9", "5", '-["x"]')],
    "a namespace of 1 MB": lambda: [fill("n", "0/", ",")],
    "a namespace of commas": lambda: [fill(",", "0/", "")],
    "5,000 arrays in each other": lambda: ['2["x",' + "[" * 5_000 + "]" * 5_000 + "]"],
    "arrays without an end": lambda: [fill("[", '2["x",', "")],
    "1 MB of empty arrays": lambda: [fill("[],", after="0]")],
    "1 MB of objects": lambda: [fill('{"":0},', after="0]")],
    "1 MB of digits": lambda: [fill("9")],
    "1 MB of exponents": lambda: [fill("1e9,", after="0]")],
    "1 MB of NaN": lambda: [fill("NaN,", after="0]")],
    "1 MB of lone surrogates": lambda: [fill("\\ud800", '2["x","', '"]')],
    "1 MB of escapes": lambda: [fill("\\u001e", '2["x","', '"]')],
    "1 MB of placeholders": lambda: [fill(PLACEHOLDER + ",", '51-["x",', "0]"), b"x" * 1000],
    "placeholders beyond any index": lambda: [f'51-["x",{{"_placeholder":true,"num":{"9" * 5000}}}]', b"x"],
    "placeholders 900 deep": lambda: ['51-["x",' + "[" * 900 + PLACEHOLDER + "]" * 900 + "]", b"x"],
    "ten attachments of 1 MB": lambda: ['510-["x"]', *[b"x" * LIMIT_BYTES] * 10],
    "ten empty attachments": lambda: ['510-["x"]', *[b""] * 10],
    "the same key 100,000 times": lambda: [fill('"k":0,', '2["x",{', '"k":0}]')],
}


@contextmanager
def bounded(cpu_seconds_max: float, memory_bytes_max: float) -> Iterator[None]:
    """What is done in the block costs no more, looked at by tracemalloc all the while, which makes it slow."""
    tracemalloc.start()
    began = time.process_time()
    try:
        yield
        took, (_, peak) = time.process_time() - began, tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert took < cpu_seconds_max
    assert peak < memory_bytes_max


@pytest.mark.parametrize("name", ATTACKS)
def test_e14_e17_e19_e32_e33_an_attack_costs_no_more_than_its_size(name: str) -> None:
    messages = ATTACKS[name]()
    size, told = sum(map(len, messages)), ""
    it = Decoder(10, LIMIT_BYTES)
    with bounded(CPU_SECONDS_MAX, MEMORY_BYTES_PER_BYTE_MAX * max(size, 10_000)):
        try:
            for message in messages:
                it.feed(message)
        except PacketError as error:
            told = str(error)
    assert len(told) < 200  # the log does not get the attack as well


@pytest.mark.parametrize(
    "body",
    [
        b"\x1e" * LIMIT_BYTES,
        b"4\x1e" * (LIMIT_BYTES // 2),
        b"b" + b"A" * LIMIT_BYTES,
        b"4" * LIMIT_BYTES,
        b"\xff" * LIMIT_BYTES,
    ],
    ids=["separators", "empty messages", "base64", "one message", "not UTF-8"],
)
def test_a13_a16_a_polling_body_costs_no_more_than_its_size(body: bytes) -> None:
    # Half a million packets at most, one at a time: the body, its text, and a packet.
    with bounded(CPU_SECONDS_MAX * 5, 3 * len(body)), suppress(PacketError):
        for _ in iter_payload(body):
            pass


@given(st.text(max_size=60))
def test_any_text_is_an_engine_io_packet_or_one_typed_error(text: str) -> None:
    try:
        decode_text(text)
    except PacketError:
        return
