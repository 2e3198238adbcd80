"""Requests that mean harm: each line is what a client sends, and how the server ends it.

Behind most of them comes a request that somebody in between may not have seen: an end with a 404 behind it has answered
that one as well, which is right where both are plain, and no end without it has.
"""

import pytest

from tests.e2e.hostile.attacker import (
    HOST,
    Drip,
    Repeat,
    Script,
    Step,
    Until,
    exchange,
    exchange_all,
    get,
    post,
    request,
    text,
    upgrade,
)
from tests.e2e.hostile.conftest import Target

pytestmark = pytest.mark.wallclock

CLOSE = b"Connection: close"
SMUGGLED = get(CLOSE, target="/smuggled")
EMPTY = b"0\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked"
POLLING = "/socket.io/?EIO=4&transport=polling"

HEADS: dict[str, tuple[Step, str]] = {
    # --- which are none
    "no HTTP": (b"\x16\x03\x01\0\0 what?\r\n\r\n", "400"),
    "HTTP/0.9": (b"GET /alive\r\n\r\n", "400"),
    "HTTP/2 by prior knowledge": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"),
    "nothing": (b"\r\n\r\n", "400"),
    "two spaces": (b"GET  /alive HTTP/1.1\r\n" + HOST + b"\r\n\r\n", "400"),
    "NUL in the target": (request("GET", "/a\0live"), "400"),
    "no ASCII in the target": (request("GET", "/é"), "400"),
    "NUL in a name": (get(b"X\0: 1"), "400"),
    "NUL in a value": (get(b"X: 1\0"), "400"),
    "a space in a name": (get(b"X Y: 1"), "400"),
    "a space before the colon": (get(b"X : 1"), "400"),
    "no colon": (get(b"X"), "400"),
    "no name": (get(b": 1"), "400"),
    "no Host": (b"GET /alive HTTP/1.1\r\n\r\n", "400"),
    "two Hosts": (get(HOST), "400"),
    "a foreign Host": (request("GET", "/alive", CLOSE, host=b"Host: evil.example"), "403"),
    "another Host in the target": (request("GET", "http://evil.example/alive", CLOSE), "200"),
    # --- which are large
    "a header of 200 kB": (get(b"X: " + b"a" * 200_000), "431"),
    "a target of 200 kB": (request("GET", "/" + "a" * 200_000), "431"),
    "10,000 headers": (get(*(b"X-%d: 1" % number for number in range(10_000))), "431"),
    "300 headers": (get(*(b"X: %d" % number for number in range(300))), "431"),
    "40 headers of 500 bytes": (get(CLOSE, *(b"X: " + b"a" * 500 for _ in range(40))), "200"),
    "an upgrade with a header of 9 kB": (upgrade("", b"X: " + b"a" * 9000), "431"),
    "an upgrade with 200 headers": (upgrade("", *(b"X: 1" for _ in range(200))), "431"),
    # --- which come in parts
    "byte by byte": (Drip(get(CLOSE), 0), "200"),
    "an upgrade byte by byte": (Drip(upgrade() + text("1"), 0), "101 1005"),
    "A29 three, and the last closes": (get() + get() + get(CLOSE), "200 200 200"),
    "an upgrade behind two requests": (get() + get() + upgrade() + text("1"), "200 200 101 1005"),
    "a request behind an upgrade": (upgrade() + get(), "101 1002"),
    "HTTP/1.0, which closes": (b"GET /alive HTTP/1.0\r\n" + HOST + b"\r\n\r\n", "200"),
    "an upgrade by HTTP/1.0": (upgrade().replace(b"HTTP/1.1", b"HTTP/1.0"), "400"),
    "h2c": (get(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AA"), "404"),
    "an upgrade elsewhere": (upgrade().replace(b"/socket.io/", b"/elsewhere/"), "404"),
    "A25 an upgrade from a foreign origin": (upgrade("", b"Origin: http://evil.example"), "403"),
    "B1 an upgrade without a key": (get(b"Connection: Upgrade", b"Upgrade: websocket"), "404"),
    "B2 an upgrade of EIO 3": (upgrade("&EIO=3"), "400"),
    "D12 an upgrade with a sid of nobody": (upgrade("&sid=nobody"), "400"),
}


@pytest.mark.parametrize("case", HEADS)
def test_a_head_that_means_harm(target: Target, case: str) -> None:
    script, end = HEADS[case]
    assert exchange(target.address, script).end == end


# Each has a whole request behind it.
SMUGGLERS: dict[str, tuple[bytes, str]] = {
    "nothing odd": (post(b"Content-Length: 2", body=b"{}"), "200 404"),
    "two lengths that differ": (post(b"Content-Length: 2", b"Content-Length: 5", body=b"{}"), "400"),
    "two lengths that agree": (post(b"Content-Length: 2", b"Content-Length: 2", body=b"{}"), "200 404"),
    "a list of lengths that differ": (post(b"Content-Length: 2, 5", body=b"{}"), "400"),
    "a length with a sign": (post(b"Content-Length: +2", body=b"{}"), "400"),
    "a negative length": (post(b"Content-Length: -2", body=b"{}"), "400"),
    "a hexadecimal length": (post(b"Content-Length: 0x2", body=b"{}"), "400"),
    "an empty length": (post(b"Content-Length:", body=b"{}"), "400"),
    "a length of 5,000 digits": (post(b"Content-Length: " + b"9" * 5000, body=b"{}"), "400"),
    "a space before the colon of a length": (post(b"Content-Length : 2", body=b"{}"), "400"),
    "a length and chunks": (post(b"Content-Length: 5", CHUNKED, body=EMPTY), "400"),
    "chunks and a length": (post(CHUNKED, b"Content-Length: 5", body=EMPTY), "400"),
    "chunks": (post(CHUNKED, body=EMPTY), "200 404"),
    "Chunked": (post(b"Transfer-Encoding: Chunked", body=EMPTY), "200 404"),
    "xchunked": (post(b"Transfer-Encoding: xchunked", body=EMPTY), "501"),
    "chunked, identity": (post(b"Transfer-Encoding: chunked, identity", body=EMPTY), "501"),
    "identity, chunked": (post(b"Transfer-Encoding: identity, chunked", body=EMPTY), "501"),
    "chunked in quotes": (post(b'Transfer-Encoding: "chunked"', body=EMPTY), "501"),
    "chunked twice": (post(CHUNKED, CHUNKED, body=EMPTY), "501"),
    "an empty encoding": (post(b"Transfer-Encoding:", body=EMPTY), "501"),
    "a comma before chunked": (post(b"Transfer-Encoding: ,chunked", body=EMPTY), "501"),
    "a vertical tab before chunked": (post(b"Transfer-Encoding:\x0bchunked", body=EMPTY), "400"),
    "a space before the colon of an encoding": (post(b"Transfer-Encoding : chunked", body=EMPTY), "400"),
    "chunked on a line of its own": (post(b"Transfer-Encoding:\r\n chunked", body=EMPTY), "400"),
    "a length on a line of its own": (post(b"Content-Length:\r\n\t2", body=b"{}"), "400"),
    "a line that goes on": (get(b"X: a\r\n b"), "400"),
    "a first line that goes on": (b"GET /alive HTTP/1.1\r\n X: 1\r\n" + HOST + b"\r\n\r\n", "400"),
    "bare line feeds": (get().replace(b"\r", b""), "400"),
    "a bare line feed and a length": (get(b"X: 1\nContent-Length: 5"), "400"),
    "a bare carriage return": (get(b"X: 1\rContent-Length: 5"), "400"),
    "chunks by HTTP/1.0": (post(CHUNKED, body=EMPTY).replace(b"HTTP/1.1", b"HTTP/1.0"), "400"),
    "a chunk without a size": (post(CHUNKED, body=b"\r\n{}\r\n" + EMPTY), "400"),
    "a chunk of size zz": (post(CHUNKED, body=b"zz\r\n{}\r\n" + EMPTY), "400"),
    "a chunk of a negative size": (post(CHUNKED, body=b"-2\r\n{}\r\n" + EMPTY), "400"),
    "a chunk of size 0x2": (post(CHUNKED, body=b"0x2\r\n{}\r\n" + EMPTY), "400"),
    "a chunk of 2^120 bytes": (post(CHUNKED, body=b"f" * 30 + b"\r\n{}\r\n"), "400"),
    "a chunk that does not end where it says": (post(CHUNKED, body=b"2\r\n{}xx" + EMPTY), "400"),
    "chunks of bare line feeds": (post(CHUNKED, body=b"2\n{}\n0\n\n"), "400"),
    "a chunk's extension of 100 kB": (post(CHUNKED, body=b"2;" + b"a" * 100_000 + b"\r\n{}\r\n" + EMPTY), "431"),
    "trailers of 100 kB": (post(CHUNKED, body=b"2\r\n{}\r\n0\r\n" + b"X: 1\r\n" * 17_000 + b"\r\n"), "431"),
    "a body where none is expected": (get(b"Content-Length: 5") + b"hello", "200 404"),
    "an upgrade with a body": (upgrade("", b"Content-Length: 2") + b"{}", "400"),
    "an upgrade in chunks": (upgrade("", CHUNKED) + EMPTY, "400"),
}


@pytest.mark.parametrize("case", SMUGGLERS)
def test_a_request_that_hides_another(target: Target, case: str) -> None:
    data, end = SMUGGLERS[case]
    assert exchange(target.address, data + SMUGGLED).end == end


LARGE_BYTES = 200 * 1024 * 1024
MIB = b"4" * (1024 * 1024)
CHUNK = b"%x\r\n%s\r\n" % (len(MIB), MIB)
LENGTH = b"Content-Length: %d" % LARGE_BYTES


def slowly(begin: bytes) -> tuple[Step, ...]:
    """A byte now and then buys no time."""
    return begin, Drip(b"4" * 30, 0.05)


BODIES: dict[str, tuple[Script, str]] = {
    "200 MB": ((post(LENGTH), Repeat(MIB, 200)), "413"),
    "200 MB in chunks": ((post(CHUNKED), Repeat(CHUNK, 200)), "413"),
    "200 MB announced": (post(LENGTH), "413"),
    "2^60 bytes announced": (post(b"Content-Length: %d" % 2**60), "413"),
    "2^80 bytes announced": (post(b"Content-Length: %d" % 2**80), "400"),
    "200 MB where nobody reads": ((post(LENGTH, target="/nowhere"), Repeat(MIB, 200)), "404"),
    "a body that waits to be asked for": (
        (post(b"Content-Length: 2", b"Expect: 100-continue"), Until(b"100"), b"{}", get(CLOSE)),
        "100 200 200",
    ),
}


@pytest.mark.parametrize("case", BODIES)
def test_a_body_that_means_harm(target: Target, case: str) -> None:
    script, end = BODIES[case]
    assert exchange(target.address, script).end == end


SLOW: dict[str, tuple[Script, str]] = {
    "nothing": (b"", ""),
    "chunks of a byte, for ever": ((post(CHUNKED), Repeat(b"1\r\n \r\n" * 1000, 100_000)), "408"),
    "a head that stops": (get()[:-2], "408"),
    "a head that comes slowly": (Drip(get(), 0.05), "408"),
    "a body that stops": (post(b"Content-Length: 9") + b"{", "408"),
    "a body that comes slowly": (slowly(post(b"Content-Length: 900")), "408"),
    "a chunk that comes slowly": (slowly(post(CHUNKED, body=b"f00\r\n")), "408"),
    "a second head that stops": (get() + get()[:-2], "200 408"),
    "a poller's body that comes slowly": (slowly(post(b"Content-Length: 900", target=POLLING)), "400"),
}


def test_whoever_is_slow_is_out_of_time(target: Target) -> None:
    ends = exchange_all(target.address, {name: script for name, (script, _) in SLOW.items()})
    assert ends == {name: end for name, (_, end) in SLOW.items()}
