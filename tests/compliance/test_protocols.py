"""What the official suites of Engine.IO 4 and Socket.IO 5 ask, asked of examples/echo as a process with their settings.

By http.client and a WebSocket client that is not ours. Written anew, from the two protocol documents.
"""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.e2e.echo import EchoProcess

pytestmark = pytest.mark.wallclock

PING_INTERVAL = 300
PING_TIMEOUT = 200
SETTINGS = {"pingInterval": PING_INTERVAL, "pingTimeout": PING_TIMEOUT, "maxPayload": 1_000_000}
SECONDS = 10.0


@pytest.fixture(scope="module")
def server() -> Iterator["Client"]:
    process = EchoProcess(
        *("--ping-interval", str(PING_INTERVAL), "--ping-timeout", str(PING_TIMEOUT)),
        *("--max-payload", "1000000", "--connect-timeout", "1000"),
    )
    process.start()
    yield Client(process.port)
    assert process.stop() == 0


class Client:
    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, method: str, query: str, body: str | None = None) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        try:
            connection.request(method, f"/socket.io/?{query}", body)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def poll(self, sid: str) -> tuple[int, str]:
        return self.ask("GET", f"EIO=4&transport=polling&sid={sid}")

    def post(self, sid: str, body: str) -> tuple[int, str]:
        return self.ask("POST", f"EIO=4&transport=polling&sid={sid}", body)

    def session(self) -> str:
        status, body = self.ask("GET", "EIO=4&transport=polling")
        assert status == 200
        return str(json.loads(body[1:])["sid"])

    def websocket(self, query: str = "EIO=4&transport=websocket") -> ClientConnection:
        return connect(f"ws://127.0.0.1:{self.port}/socket.io/?{query}", compression=None)

    @contextmanager
    def joined(self) -> Iterator[ClientConnection]:
        """Past the three greetings."""
        with self.websocket() as socket:
            assert heard(socket)[:1] == "0"
            socket.send("40")
            assert heard(socket)[:2] == "40"
            assert heard(socket) == '42["auth",{}]'
            yield socket

    @contextmanager
    def upgraded(self) -> Iterator[tuple[str, ClientConnection]]:
        sid = self.session()
        with self.websocket(f"EIO=4&transport=websocket&sid={sid}") as socket:
            socket.send("2probe")
            assert socket.recv(SECONDS) == "3probe"
            socket.send("5")
            yield sid, socket


def heard(socket: ClientConnection, *, ping: bool = False) -> Any:
    """The next message; pings are left out unless one is wanted."""
    while (message := socket.recv(SECONDS)) == "2" and not ping:
        socket.send("3")
    return message


def closed(socket: ClientConnection) -> None:
    """Whatever is still said before."""
    try:
        while True:
            socket.recv(SECONDS)
    except ConnectionClosed:
        return


# --- Engine.IO ---------------------------------------------------------------------------------------------------


def test_polling_opens_a_session(server: Client) -> None:
    status, body = server.ask("GET", "EIO=4&transport=polling")
    opened = json.loads(body[1:])
    assert (status, body[0]) == (200, "0")
    assert opened == {"sid": opened["sid"], "upgrades": ["websocket"], **SETTINGS}


@pytest.mark.parametrize(
    ("method", "query"),
    [
        ("GET", "transport=polling"),
        ("GET", "EIO=abc&transport=polling"),
        ("GET", "EIO=4"),
        ("GET", "EIO=4&transport=abc"),
        ("POST", "EIO=4&transport=polling"),
        ("PUT", "EIO=4&transport=polling"),
    ],
)
def test_polling_with_a_wrong_version_transport_or_method_is_400(server: Client, method: str, query: str) -> None:
    assert server.ask(method, query)[0] == 400


def test_a_websocket_opens_a_session(server: Client) -> None:
    with server.websocket() as socket:
        opened = json.loads(socket.recv(SECONDS)[1:])
        assert opened == {"sid": opened["sid"], "upgrades": [], **SETTINGS}


@pytest.mark.parametrize(
    "query", ["transport=websocket", "EIO=abc&transport=websocket", "EIO=4", "EIO=4&transport=abc"]
)
def test_a_websocket_with_a_wrong_version_or_transport_is_refused(server: Client, query: str) -> None:
    with pytest.raises(InvalidStatus), server.websocket(query):
        pass


def test_polling_beats(server: Client) -> None:
    sid = server.session()
    for _ in range(3):
        assert server.poll(sid) == (200, "2")
        assert server.post(sid, "3") == (200, "ok")


def test_polling_that_does_not_answer_a_ping_is_over(server: Client) -> None:
    sid = server.session()
    time.sleep((PING_INTERVAL + PING_TIMEOUT) / 1000 + 0.1)
    assert server.poll(sid)[0] == 400


def test_a_websocket_beats(server: Client) -> None:
    with server.websocket() as socket:
        socket.recv(SECONDS)
        for _ in range(3):
            assert heard(socket, ping=True) == "2"
            socket.send("3")


def test_a_websocket_that_does_not_answer_a_ping_is_closed(server: Client) -> None:
    with server.websocket() as socket:
        began = time.monotonic()
        closed(socket)
        assert time.monotonic() - began >= (PING_INTERVAL + PING_TIMEOUT) / 1000 - 0.1


def test_polling_is_closed_by_the_client_and_its_get_is_answered(server: Client) -> None:
    sid = server.session()
    answers: list[tuple[int, str]] = []
    waiting = threading.Thread(target=lambda: answers.append(server.poll(sid)))
    waiting.start()
    time.sleep(0.1)
    assert server.post(sid, "1") == (200, "ok")
    waiting.join(SECONDS)
    assert answers == [(200, "6")]
    assert server.poll(sid)[0] == 400


def test_a_websocket_is_closed_by_the_client(server: Client) -> None:
    with server.websocket() as socket:
        socket.recv(SECONDS)
        socket.send("1")
        closed(socket)


@pytest.mark.parametrize("request_kind", ["GET", "POST"])
def test_two_requests_at_once_end_the_session(server: Client, request_kind: str) -> None:
    sid = server.session()
    first = http.client.HTTPConnection("127.0.0.1", server.port, timeout=SECONDS)
    first.putrequest(request_kind, f"/socket.io/?EIO=4&transport=polling&sid={sid}")
    if request_kind == "POST":
        first.putheader("Content-Length", "10")
    first.endheaders()
    time.sleep(0.1)
    second = server.poll(sid) if request_kind == "GET" else server.post(sid, "6")
    assert second[0] == 400
    assert server.poll(sid)[0] == 400
    first.close()


def test_a_broken_packet_ends_the_session(server: Client) -> None:
    sid = server.session()
    server.post(sid, "abc")
    assert server.poll(sid)[0] == 400
    with server.websocket() as socket:
        socket.send("abc")
        closed(socket)


def test_polling_becomes_a_websocket(server: Client) -> None:
    with server.upgraded() as (_, socket):
        socket.send("40")
        assert heard(socket)[:2] == "40"


def test_after_the_upgrade_the_sid_opens_nothing_else(server: Client) -> None:
    with server.upgraded() as (sid, socket):
        assert server.poll(sid)[0] == 400
        with server.websocket(f"EIO=4&transport=websocket&sid={sid}") as second:
            closed(second)
        socket.send("40")
        assert heard(socket)[:2] == "40"


# --- Socket.IO ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "/custom,"])
@pytest.mark.parametrize("payload", ["", '{"token":"123"}'])
def test_a_namespace_is_joined_with_and_without_auth(server: Client, prefix: str, payload: str) -> None:
    with server.websocket() as socket:
        socket.recv(SECONDS)
        socket.send(f"40{prefix}{payload}")
        answer = heard(socket)
        assert answer.startswith(f"40{prefix}")
        assert json.loads(answer[2 + len(prefix) :]).keys() == {"sid"}
        assert heard(socket) == f'42{prefix}["auth",{payload or "{}"}]'


def test_an_unknown_namespace_is_refused(server: Client) -> None:
    with server.websocket() as socket:
        socket.recv(SECONDS)
        socket.send("40/random")
        assert heard(socket) == '44/random,{"message":"Invalid namespace"}'


def test_a_broken_handshake_closes(server: Client) -> None:
    with server.websocket() as socket:
        socket.send("4abc")
        closed(socket)


def test_no_handshake_within_the_connect_timeout_closes(server: Client) -> None:
    with server.websocket() as socket:
        socket.recv(SECONDS)
        began = time.monotonic()
        with pytest.raises(ConnectionClosed):
            heard(socket)  # which answers pings all the while
        assert 0.8 < time.monotonic() - began < SECONDS


def test_after_leaving_the_connection_beats_on(server: Client) -> None:
    with server.joined() as socket:
        socket.send("41")
        assert heard(socket, ping=True) == "2"


def test_one_namespace_is_left_and_the_other_goes_on(server: Client) -> None:
    with server.joined() as socket:
        socket.send("40/custom")
        assert heard(socket)[:10] == "40/custom,"
        assert heard(socket) == '42/custom,["auth",{}]'
        socket.send("41/custom")
        socket.send('42["message","to the main one"]')
        assert heard(socket) == '42["message-back","to the main one"]'


def test_messages_come_back(server: Client) -> None:
    with server.joined() as socket:
        socket.send('42["message",1,"2",{"3":[true]}]')
        assert heard(socket) == '42["message-back",1,"2",{"3":[true]}]'


TWO = '[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'


def test_binary_messages_come_back(server: Client) -> None:
    with server.joined() as socket:
        socket.send('452-["message",' + TWO[1:])
        socket.send(b"\1\2\3")
        socket.send(b"\4\5\6")
        assert [heard(socket) for _ in range(3)] == ['452-["message-back",' + TWO[1:], b"\1\2\3", b"\4\5\6"]


def test_messages_are_acknowledged(server: Client) -> None:
    with server.joined() as socket:
        socket.send('42456["message-with-ack",1,"2",{"3":[false]}]')
        assert heard(socket) == '43456[1,"2",{"3":[false]}]'


def test_binary_messages_are_acknowledged(server: Client) -> None:
    with server.joined() as socket:
        socket.send('452-789["message-with-ack",' + TWO[1:])
        socket.send(b"\1\2\3")
        socket.send(b"\4\5\6")
        assert [heard(socket) for _ in range(3)] == ["462-789" + TWO, b"\1\2\3", b"\4\5\6"]


@pytest.mark.parametrize(
    "packet", ["4abc", '42{"a":1}', "42[]", '42["connect"]', "431{}", '45["x"]', b"stray", '44"x"']
)
def test_a_broken_packet_closes(server: Client, packet: str | bytes) -> None:
    with server.joined() as socket:
        socket.send(packet)
        closed(socket)
