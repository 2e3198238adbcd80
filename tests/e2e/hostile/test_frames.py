"""WebSockets that mean harm: each line is what a client sends that has joined a conversation, and how the server ends
it.

1002, 1007, 1009 are RFC 6455's; 1005 is a close frame without a code, as all others are (B14); 1008 is for who takes
too long. A client that did nothing wrong ends it itself, with 1000.
"""

import pytest

from tests.e2e.hostile.attacker import (
    Drip,
    Repeat,
    Script,
    Step,
    Until,
    exchange,
    exchange_all,
    frame,
    joined,
    text,
    upgrade,
)
from tests.e2e.hostile.conftest import MEMORY_BYTES_MAX, Target

pytestmark = pytest.mark.wallclock

TEXT, BINARY, CONTINUED, CLOSING, PING = 0x81, 0x82, 0x80, 0x88, 0x89
BEGUN = 0x01  # a text that goes on in another frame
RESERVED_1 = 0x40
BYE = frame(CLOSING, (1000).to_bytes(2, "big"))

LARGE_BYTES = 200 * 1024 * 1024
MIB = b"4" * (1024 * 1024)
GOOD = '["oh_user_action",{"action":"message","args":{"content":"/note é"}}]'


def cut(message: str, place: int) -> bytes:
    """One message in two frames, cut behind so many bytes."""
    data = message.encode()
    return frame(BEGUN, data[:place]) + frame(CONTINUED, data[place:])


def closing(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSING, code.to_bytes(2, "big") + reason)


FRAMES: dict[str, tuple[Script, str]] = {
    "B6 a good one": ((text(f"421{GOOD}"), Until(b"431[]"), BYE), "101 1000"),
    "B6 a good one in two, cut in a letter": ((cut(f"421{GOOD}", -6), Until(b"431[]"), BYE), "101 1000"),
    "B6 a good one byte by byte": ((Drip(text(f"421{GOOD}"), 0), Until(b"431[]"), BYE), "101 1000"),
    "B7 200 MB in one": ((frame(TEXT, MIB, LARGE_BYTES), Repeat(MIB, 199)), "101 1009"),
    "B7 200 MB in fragments": ((frame(BEGUN, MIB), Repeat(frame(0x00, MIB), 199)), "101 1009"),
    "B7 200 MB announced": (frame(BINARY, b"", LARGE_BYTES), "101 1009"),
    "B7 2^63 bytes announced": (frame(BINARY, b"", 2**63), "101 1009"),
    "B8 a reserved bit": (frame(TEXT | RESERVED_1, b"40"), "101 1002"),
    "B8 no mask": (b"\x81\x0240", "101 1002"),
    "B8 opcode 3": (frame(0x83), "101 1002"),
    "B8 opcode 15": (frame(0x8F), "101 1002"),
    "B8 a fragment of nothing": (frame(CONTINUED, b"x"), "101 1002"),
    "B8 a text in another": (frame(BEGUN, b"x") + frame(TEXT, b"x"), "101 1002"),
    "B8 a ping in fragments": (frame(0x09, b"x"), "101 1002"),
    "B8 a ping of 126 bytes": (frame(PING, b"x" * 126), "101 1002"),
    "B8 a close frame of one byte": (frame(CLOSING, b"\x03"), "101 1002"),
    "B8 close code 999": (closing(999), "101 1002"),
    "B8 close code 1005": (closing(1005), "101 1002"),
    "B8 not UTF-8": (text(b'42["\xff"]'), "101 1007"),
    "B8 not UTF-8, cut": (frame(BEGUN, b'42["\xc3') + frame(CONTINUED, b'("]'), "101 1007"),
    "B8 not UTF-8, in the reason of a close": (closing(1000, b"\xff"), "101 1007"),
    "B8 half a letter at the end": (text(b"42\xc3"), "101 1007"),
}

SLOW: dict[str, tuple[Script, str]] = {
    "B7 a fragment for ever": ((frame(BEGUN, b"4"), Repeat(frame(0x00) * 1000, 100_000)), "101 1008"),
    "a message that stops": (frame(BEGUN, MIB), "101 1008"),
    "a message that stops, while its sender says that it lives": (
        (frame(BEGUN, b"4"), Repeat(frame(0x8A), 100_000)),
        "101 1008",
    ),
    "a frame that stops": (frame(TEXT, b"4", 1000), "101 1008"),
    "a frame that comes slowly": (Drip(frame(TEXT, b"4" * 100)[:30], 0.05), "101 1008"),
    "E17 an attachment that does not come": (text('452-["x"]') + frame(BINARY, b"x"), "101 1005"),
}

PACKETS: dict[str, tuple[bytes, str]] = {
    "B9 a close": (text("1"), "101 1005"),
    "B10 a ping of the wrong side": (text("2"), "101 1005"),
    "B12 nothing": (text(""), "101 1005"),
    "B12 an unknown type": (text("x"), "101 1005"),
    "E4 a second CONNECT": (text("40"), "101 1005"),
    "E5 an event elsewhere": (text('42/elsewhere,["x"]'), "101 1005"),
    "E10 an event without a name": (text("42[]"), "101 1005"),
    "E10 no payload": (text("42"), "101 1005"),
    "E11 a reserved name": (text('42["disconnect"]'), "101 1005"),
    "E14 an id of 100 kB": (text("42" + "9" * 100_000 + GOOD), "101 1005"),
    "E14 an id of 100 kB, of an ACK": (text("43" + "9" * 100_000 + "[]"), "101 1005"),
    "E14 an id of 17 digits": (text("42" + "9" * 17 + GOOD), "101 1005"),
    "E16 a packet of type 9": (text("49"), "101 1005"),
    "E17 no number of attachments": (text('45["x"]'), "101 1005"),
    "E17 no attachments": (text('450-["x"]'), "101 1005"),
    "E17 minus one attachment": (text('45-1-["x"]'), "101 1005"),
    "E17 eleven attachments": (text('4511-["x"]'), "101 1005"),
    "E17 10^12 attachments": (text('451000000000000-["x"]'), "101 1005"),
    "E17 100,000 zeros before a one": (text("45" + "0" * 100_000 + '1-["x"]'), "101 1005"),
    "E17 attachments of 5 MB together": (text('452-["x"]') + frame(BINARY, MIB * 3) * 2, "101 1005"),
    "E17 200,000 values beside an attachment": (text('451-["x",' + "[]," * 200_000 + "0]") + frame(BINARY), "101 1005"),
    "E18 an attachment too many": (text('451-["x"]') + frame(BINARY, b"x") * 2, "101 1005"),
    "E18 a text for an attachment": (text('452-["x"]') + frame(BINARY, b"x") + text('42["x"]'), "101 1005"),
    "E19 a placeholder beyond": (text('451-["x",{"_placeholder":true,"num":1}]') + frame(BINARY), "101 1005"),
    "E19 a placeholder before": (text('451-["x",{"_placeholder":true,"num":-1}]') + frame(BINARY), "101 1005"),
    "E32 NaN": (text('42["x",NaN]'), "101 1005"),
    "E32 Infinity": (text('42["x",Infinity]'), "101 1005"),
    "E32 1e999": (text('42["x",1e999]'), "101 1005"),
    "E32 half a surrogate": (text('42["x","\\ud800"]'), "101 1005"),
    "E33 5,000 arrays in each other": (text('42["x",' + "[" * 5000 + "]" * 5000 + "]"), "101 1005"),
    "E33 5,000 objects in each other": (text('42["x",' + '{"a":' * 5000 + "0" + "}" * 5000 + "]"), "101 1005"),
}


@pytest.mark.parametrize("case", FRAMES)
def test_b6_b7_b8_a_frame_that_means_harm(target: Target, case: str) -> None:
    script, end = FRAMES[case]
    assert exchange(target.address, after_joining(target, script)).end == end


def after_joining(target: Target, script: Script) -> Script:
    steps = [script] if isinstance(script, Step) else script
    return [*joined(target.conversation_id), *steps]


def test_whoever_does_not_finish_what_it_began_is_out_of_time(target: Target) -> None:
    target.memory_bytes_max = 2 * MEMORY_BYTES_MAX  # six at once, none of which keeps more than 1 MB
    ends = exchange_all(target.address, {name: after_joining(target, script) for name, (script, _) in SLOW.items()})
    assert ends == {name: end for name, (_, end) in SLOW.items()}


@pytest.mark.parametrize("case", PACKETS)
def test_b9_b10_b12_e4_e5_e10_e11_e14_e16_e17_e18_e19_e32_e33_a_bad_packet(target: Target, case: str) -> None:
    data, end = PACKETS[case]
    assert exchange(target.address, after_joining(target, data)).end == end


def test_b4_deflate_that_is_offered_is_not_taken_and_not_understood(target: Target) -> None:
    offer = upgrade("", b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
    found = exchange(target.address, [offer, Until(b"0{"), frame(TEXT | RESERVED_1, b"\xca\x48\xcd\xc9\xc9\x07\x00")])
    assert found.end == "101 1002"
    assert b"extensions" not in bytes(found.received).lower()


# Who is refused and goes on: an answer instead of an end.
REFUSED: dict[str, tuple[str, str]] = {
    "D21 no action": ("[]", "bad_action"),
    "D21 an array": ("[[],[]]", "bad_action"),
    "D21 an observation": ('{"observation":"run","content":"x"}', "bad_action"),
    "D21 a command for the agent": ('{"action":"run","args":{"command":"id"}}', "bad_action"),
    "E33 900 arrays in an argument": (
        '{"action":"message","args":{"content":"x","more":' + "[" * 900 + "]" * 900 + "}}",
        "bad_action",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_e33_d21_an_action_that_means_harm_is_refused_and_its_connection_goes_on(target: Target, case: str) -> None:
    argument, code = REFUSED[case]
    steps: list[Step] = [
        text(f'427["oh_user_action",{argument}]'),
        Until(b"437["),
        text(f"428{GOOD}"),
        Until(b"438[]"),
        BYE,
    ]
    found = exchange(target.address, after_joining(target, steps))
    assert found.end == "101 1000"
    assert f'437[{{"error":true,"code":"{code}"'.encode() in found.received
