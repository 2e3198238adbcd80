"""Sessions that mean harm: two where one may be, somebody else's, and clients that take nothing."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import orjson
import pytest

from tests.e2e.hostile.attacker import exchange, frame, get, joined, post, request, text, upgrade
from tests.e2e.hostile.conftest import PAYLOAD_BYTES_MAX, Target

pytestmark = pytest.mark.wallclock

CLOSE = b"Connection: close"
ELSEWHERE = "127.0.0.2"
UNKNOWN = b'{"code":1,"message":"Session ID unknown"}'
PATIENCE_SECONDS = 10.0


class Poller:
    """A session by polling that has joined the conversation and fetched what there was."""

    def __init__(self, target: Target, conversation_id: str = "") -> None:
        self.address = target.address
        where = f"&conversation_id={conversation_id or target.conversation_id}"
        opened = exchange(self.address, get(CLOSE, target=_target(where)))
        self.sid = orjson.loads(_body(opened.received)[1:])["sid"]
        assert self.post(b"40") == "200"

    def post(self, body: bytes, *headers: bytes) -> str:
        length = b"Content-Length: %d" % len(body)
        return exchange(self.address, post(CLOSE, length, *headers, body=body, target=_target(self.query))).end

    def fetch_until(self, sign: bytes) -> None:
        while sign not in self.get():
            pass

    def lives(self) -> bool:
        return self.post(b"3") == "200"

    def get(self) -> bytes:
        return _body(exchange(self.address, get(CLOSE, target=_target(self.query))).received)

    @property
    def query(self) -> str:
        return f"&sid={self.sid}"

    @contextmanager
    def waiting(self, data: bytes) -> Iterator[socket.socket]:
        """A request that is not answered yet."""
        with socket.create_connection(self.address, PATIENCE_SECONDS) as connection:
            connection.sendall(data)
            yield connection


def _target(query: str) -> str:
    return f"/socket.io/?EIO=4&transport=polling{query}"


def _body(received: bytes | bytearray) -> bytes:
    return bytes(received).partition(b"\r\n\r\n")[2]


def _rest(connection: socket.socket) -> bytes:
    received = b""
    while data := connection.recv(65_536):
        received += data
    return received


@pytest.mark.parametrize("source", ["127.0.0.1", ELSEWHERE])
def test_a8_a_second_poller_ends_the_session_so_that_nobody_reads_along(target: Target, source: str) -> None:
    poller = Poller(target)
    poller.fetch_until(b"STATUS$READY")
    poll = get(CLOSE, target=_target(poller.query))
    with poller.waiting(poll) as first:
        second = exchange(target.address, poll, source=source)
        assert (second.end, _body(second.received)) == ("400", b"")
        assert _body(_rest(first)) == b"1"
    assert not poller.lives()


def test_a9_a_second_post_ends_the_session(target: Target) -> None:
    poller = Poller(target)
    with poller.waiting(post(b"Content-Length: 100", body=b"42", target=_target(poller.query))) as first:
        assert poller.post(b"3") == "400"
        assert not poller.lives()
        assert _rest(first).startswith(b"HTTP/1.1 4")


BODIES: dict[str, tuple[bytes, str]] = {
    "A11 5 MB": (b"4" * 5_000_000, "413"),
    "A13 nothing": (b"", "400"),
    "A13 a separator": (b"\x1e", "400"),
    "A18 no base64": (b"b!", "400"),
    "A20 not UTF-8": (b"4\xff", "400"),
    "A20 half a surrogate in UTF-8": (b"4\xed\xa0\x80", "400"),
    "A24 JSONP": (b"d=4", "400"),
    "E14 an id of 100 kB": (b"42" + b"9" * 100_000 + b'["x"]', "200"),
    "E24 an event elsewhere": (b'42/elsewhere,["x"]', "200"),
    "E33 5,000 arrays in each other": (b"42" + b"[" * 5000 + b"]" * 5000, "200"),
}


@pytest.mark.parametrize("case", BODIES)
def test_a11_a13_a18_a20_a24_e14_e24_e33_a_body_that_is_none(target: Target, case: str) -> None:
    body, end = BODIES[case]
    poller = Poller(target)
    assert poller.post(body) == end
    assert poller.lives() is case.startswith("A11")


def test_a12_a_binary_body_ends_the_session(target: Target) -> None:
    poller = Poller(target)
    headers = (CLOSE, b"Content-Length: 1", b"Content-Type: application/octet-stream")
    assert exchange(target.address, request("POST", _target(poller.query), *headers, body=b"4")).end == "400"
    assert not poller.lives()


STOLEN: dict[str, tuple[str, str]] = {
    "D9 of a poller, by WebSocket": ("polling", "101 1005"),
    "D11 of a WebSocket, by polling": ("websocket", "400"),
    "D12 of a WebSocket, by WebSocket": ("websocket", "101 1005"),
}


@pytest.mark.parametrize("case", STOLEN)
def test_d9_d11_d12_a_stolen_sid_takes_nothing_over_from_anywhere(target: Target, case: str) -> None:
    """Its owner goes on; what is sent to it goes to no one else."""
    born, end = STOLEN[case]
    thief = get(CLOSE, target=_target("&sid={sid}"))
    if "by WebSocket" in case:
        thief = upgrade("&sid={sid}") + text("5")
    for source in ("127.0.0.1", ELSEWHERE):
        with owner(target, born) as (sid, goes_on):
            assert exchange(target.address, thief.replace(b"{sid}", sid.encode()), source=source).end == end
            goes_on()


@contextmanager
def owner(target: Target, born: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """A session of this transport, and a look whether it is still its owner's."""
    if born == "polling":
        poller = Poller(target)
        poller.fetch_until(b"STATUS$READY")

        def fetches() -> None:
            assert poller.post(text_of_a_note(1)) == "200"
            poller.fetch_until(b"431[]")

        yield poller.sid, fetches
        return
    with socket.create_connection(target.address, PATIENCE_SECONDS) as client:
        client.sendall(upgrade(f"&conversation_id={target.conversation_id}") + text("40"))
        received = _until(client, b"STATUS$READY")

        def hears() -> None:
            client.sendall(text(text_of_a_note(1)))
            _until(client, b"431[]")

        yield received.partition(b'"sid":"')[2][:20].decode(), hears


def text_of_a_note(number: int) -> bytes:
    return b'42%d["oh_user_action",{"action":"message","args":{"content":"/note mine"}}]' % number


def _until(client: socket.socket, sign: bytes) -> bytes:
    received = b""
    while sign not in received:
        data = client.recv(65_536)
        assert data, received
        received += data
    return received


def test_d12_a_sid_of_polling_and_one_of_socketio_are_not_the_same(target: Target) -> None:
    """What clients are told in the open as their sid opens nothing (A30)."""
    found = exchange(target.address, [*joined(target.conversation_id), frame(0x88)])
    public = bytes(found.received).partition(b'40{"sid":"')[2][:20]
    assert len(public) == 20
    told = exchange(target.address, get(CLOSE, target=_target(f"&sid={public.decode()}")))
    assert (told.end, _body(told.received)) == ("400", UNKNOWN)


# --- who takes nothing -----------------------------------------------------------------------------------------------


@contextmanager
def deaf(target: Target, data: bytes) -> Iterator[socket.socket]:
    """A client with little room that never reads."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(PATIENCE_SECONDS)
        client.connect(target.address)
        client.sendall(data)
        yield client


def _send_until_cut_off(client: socket.socket, data: bytes) -> None:
    with pytest.raises(ConnectionError):
        _send_for_ever(client, data)


def _send_for_ever(client: socket.socket, data: bytes) -> None:
    while True:
        client.sendall(data)


def test_k33_b8_who_asks_for_pongs_and_does_not_read_them_is_cut_off(target: Target) -> None:
    with deaf(target, upgrade()) as client:
        _send_until_cut_off(client, frame(0x89, b"x" * 125) * 1000)


def test_k33_who_says_much_and_reads_nothing_of_what_is_answered_is_cut_off(target: Target) -> None:
    with deaf(target, upgrade(f"&conversation_id={target.conversation_id}") + text("40")) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        _send_until_cut_off(client, text('421["oh_user_action",{"action":"' + "x" * 5000 + '"}]') * 20)


def test_k33_who_asks_over_and_over_and_reads_no_answer_is_cut_off(target: Target) -> None:
    with deaf(target, b"") as client:
        _send_until_cut_off(client, get(target=f"/api/conversations/{target.conversation_id}/events?limit=100") * 10)


def test_k33_who_does_not_take_what_a_poll_fetches_is_cut_off(target: Target) -> None:
    target.memory_bytes_max = 16 * PAYLOAD_BYTES_MAX  # two events of nearly a whole payload, and each on its way
    conversation_id = target.server.create()
    path = f"/api/conversations/{conversation_id}/message"
    target.server.request("POST", path, {"message": "/note " + "x" * (PAYLOAD_BYTES_MAX - 100)})
    poller = Poller(target, conversation_id)
    with deaf(target, b"") as client:
        _send_until_cut_off(client, get(target=_target(poller.query)) * 100)
