"""Many at once, and one that is as much as many: everybody else is served."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import orjson
import pytest

from tests.e2e.hostile.attacker import (
    Script,
    Step,
    Until,
    exchange,
    exchange_all,
    frame,
    get,
    joined,
    post,
    text,
    upgrade,
)
from tests.e2e.hostile.conftest import (
    BUFFERED_BYTES_MAX,
    CONNECTIONS_PER_ADDRESS,
    HANDSHAKES_MAX,
    MEMORY_BYTES_MAX,
    MIB,
    PAYLOAD_BYTES_MAX,
    Target,
)

pytestmark = pytest.mark.wallclock

CLOSE = b"Connection: close"
CROWD = "127.0.0.3"
PATIENCE_SECONDS = 10.0


def _connected(target: Target, data: bytes, source: str) -> socket.socket:
    client = socket.create_connection(target.address, PATIENCE_SECONDS, source_address=(source, 0))
    client.sendall(data)
    return client


def _status(client: socket.socket) -> str:
    return client.recv(65_536)[9:12].decode()


@pytest.mark.parametrize("count", [HANDSHAKES_MAX, 3 * HANDSHAKES_MAX], ids=["up to the limit", "beyond"])
def test_half_open_connections_make_room_for_honest_ones(target: Target, count: int) -> None:
    with ExitStack() as clients:
        half_open = [clients.enter_context(_connected(target, get()[:-2], CROWD)) for _ in range(count)]
        assert exchange(target.address, get(CLOSE)).end == "200"
        target.bystander.goes_on()
        ends = Counter(_status(client) for client in half_open)
    # The oldest make room, one of them for the honest client; the rest are out of time a second later.
    assert ends["503"] + ends["408"] == count
    assert 1 <= ends["503"] <= count - HANDSHAKES_MAX + 1 + 2  # the bystander's own requests


def test_a_crowd_from_one_address_keeps_nobody_else_out(target: Target) -> None:
    target.memory_bytes_max = CONNECTIONS_PER_ADDRESS * 256 * 1024  # what a connection of HTTP takes, times three
    with ExitStack() as clients:
        for _ in range(CONNECTIONS_PER_ADDRESS):
            assert _status(clients.enter_context(_connected(target, get(), CROWD))) == "200"
        for _ in range(20):
            one_too_many = clients.enter_context(_connected(target, get(), CROWD))
            answer = one_too_many.recv(65_536)
            assert answer.startswith(b"HTTP/1.1 429")
            assert b"Retry-After: " in answer
            assert orjson.loads(answer.partition(b"\r\n\r\n")[2])["message"] == "Too many connections from this address"
        assert exchange(target.address, get(CLOSE)).end == "200"
        target.bystander.goes_on()
    _until_served(target, CROWD)


def test_sessions_that_nobody_polls_are_counted_by_their_address(target: Target) -> None:
    opening = get(CLOSE, target="/socket.io/?EIO=4&transport=polling")
    ends = Counter(exchange(target.address, opening, source=CROWD).end for _ in range(CONNECTIONS_PER_ADDRESS + 5))
    assert ends == {"200": CONNECTIONS_PER_ADDRESS, "429": 5}
    assert exchange(target.address, opening).end == "200"


def _until_served(target: Target, source: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while exchange(target.address, get(CLOSE), source=source).end != "200":
        assert time.monotonic() < deadline


CROWD_SIZE = 12
PART = b"4" * (3 * MIB)
UNFINISHED: dict[str, tuple[Script, str, str]] = {
    "messages": ([upgrade(), Until(b"0{"), frame(0x01, PART)], "101 1008", "101 1013"),
    "bodies": (post(b"Content-Length: 4000000", body=PART), "408", "503"),
}


@pytest.mark.parametrize("case", UNFINISHED)
def test_what_a_crowd_leaves_unfinished_is_bounded_for_all_together(target: Target, case: str) -> None:
    """36 MB are begun. What there is room for is out of time a second later, and what there is not is told so."""
    script, out_of_time, no_room = UNFINISHED[case]
    target.memory_bytes_max = 2 * BUFFERED_BYTES_MAX + MEMORY_BYTES_MAX  # a buffer that grows has room to spare
    ends = Counter(exchange_all(target.address, {str(number): script for number in range(CROWD_SIZE)}).values())
    assert ends[out_of_time] + ends[no_room] == CROWD_SIZE
    assert ends[out_of_time] > 0
    assert ends[no_room] > 0


# --- as fast as it can -----------------------------------------------------------------------------------------------

EVENT = '42["oh_user_action",{"action":"message","args":{"content":"/note %s"}}]'

FLOODS: dict[str, bytes] = {
    "E21 events": text(EVENT % "x") * 1000,
    "E21 events that are refused": text('42["oh_user_action",{}]') * 1000,
    "E12 events that nobody knows": text('42["x"]') * 1000,
    "E21 events of 1 MB": text(EVENT % ("x" * 1_000_000)),
    "E32 events of 1 MB that are all brackets": text('42["oh_user_action",' + "[]," * 300_000 + "0]"),
    "E6 leaving and joining": (text("41") + text("40")) * 1000,
    "E8 namespaces of nobody": text("40/nowhere,") * 1000,
    "B6 pings": frame(0x89) * 1000,
    "B6 fragments": (frame(0x01) + frame(0x00) * 998 + frame(0x80, b"3")),
    "B11 pongs of the protocol": text("3") * 1000,
}


@contextmanager
def flooding(target: Target, data: bytes) -> Iterator[None]:
    """Somebody in a thread who sends this again and again, and reads all that comes."""
    steps = joined(target.server.create())
    with socket.create_connection(target.address, PATIENCE_SECONDS) as client:
        for step in steps:
            if isinstance(step, Until):
                _read_until(client, step.sign)
            else:
                client.sendall(step)  # type: ignore[arg-type]  # joining is sending and waiting
        threads = [threading.Thread(target=work) for work in (lambda: _send(client, data), lambda: _drain(client))]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            client.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join(PATIENCE_SECONDS)


def _read_until(client: socket.socket, sign: bytes) -> None:
    received = b""
    while sign not in received:
        received += client.recv(65_536)


def _send(client: socket.socket, data: bytes) -> None:
    try:
        while True:
            client.sendall(data)
    except OSError:
        return


def _drain(client: socket.socket) -> None:
    try:
        while client.recv(1 << 20):
            pass
    except OSError:
        return


@pytest.mark.parametrize("case", FLOODS)
def test_a_flood_delays_nobody(target: Target, case: str) -> None:
    target.memory_bytes_max = 32 * PAYLOAD_BYTES_MAX  # what the mailboxes hold of one conversation, besides
    with flooding(target, FLOODS[case]):
        for _ in range(5):
            target.bystander.goes_on()
    target.bystander.goes_on()


def test_a16_a_body_of_very_many_packets_delays_nobody(target: Target) -> None:
    target.memory_bytes_max = 16 * PAYLOAD_BYTES_MAX
    opened = exchange(target.address, get(CLOSE, target="/socket.io/?EIO=4&transport=polling"))
    sid = bytes(opened.received).partition(b'"sid":"')[2].partition(b'"')[0].decode()
    body = b"\x1e".join([b"3"] * 30_000)
    length = b"Content-Length: %d" % len(body)
    step: Step = post(CLOSE, length, body=body, target=f"/socket.io/?EIO=4&transport=polling&sid={sid}")
    assert exchange(target.address, step).end == "200"
