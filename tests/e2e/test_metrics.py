"""`/metrics` of the server process, read with Prometheus' own parser: every number is what was done to the server."""

import contextlib
import http.client
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import socketio
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.server import ServerProcess
from tests.e2e.test_guards import KEY, POLLING, UPGRADE, Answer, cookie_of
from tests.e2e.test_real_clients import PythonClient

pytestmark = pytest.mark.wallclock

FOREIGN = {"Origin": "http://evil.example"}


def scrape(server: ServerProcess, headers: dict[str, str] | None = None) -> dict[str, float]:
    request = urllib.request.Request(f"{server.url}/metrics", headers=headers or {})  # noqa: S310 - as below
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - our own server
        return samples(answer.read().decode())


def samples(text: str) -> dict[str, float]:
    """By name and labels, as `name{label=value}`."""
    return {
        sample.name + "".join(f"{{{name}={value}}}" for name, value in sample.labels.items()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def until(server: ServerProcess, holds: Callable[[dict[str, float]], bool]) -> dict[str, float]:
    deadline = time.monotonic() + 10
    while not holds(found := scrape(server)):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


def test_what_was_done_is_what_is_shown(server: ServerProcess) -> None:
    before = scrape(server)
    assert before["greenroom_durability_info{mode=sync}"] == 1
    assert before["greenroom_append_seconds_count"] == 0
    hot, cold = server.create("hello"), server.create()
    server.request("POST", f"/api/conversations/{cold}/stop", {})
    client = PythonClient(server, hot, -1, ["websocket"])
    for number in range(10):
        client.say(f"/note {number}")
    found = until(server, lambda found: found["greenroom_conversations{residency=hot}"] == 1)
    assert found["greenroom_conversations{residency=cold}"] == 1
    assert found["greenroom_run_times"] == 1
    assert found["greenroom_connections"] == found["greenroom_readers"] == 1
    assert found["greenroom_append_seconds_count"] >= 10
    assert found["greenroom_append_seconds_bucket{le=+Inf}"] == found["greenroom_append_seconds_count"]
    assert 0 < found["greenroom_sync_seconds_count"] <= found["greenroom_append_seconds_count"]
    assert found["greenroom_replay_seconds_count"] == 2
    assert found["greenroom_mailbox_messages"] == found["greenroom_mailbox_oldest_seconds"] == 0
    assert found["greenroom_actor_restarts_total"] == 0
    client.client.disconnect()
    until(server, lambda found: found["greenroom_readers"] == 0)


def test_refusals_are_counted_by_reason(server: ServerProcess) -> None:
    conversation_id = server.create()
    client = PythonClient(server, conversation_id, -1, ["websocket"])
    client.client.call("oh_user_action", {"action": "run", "args": {"command": "id"}}, timeout=10)
    with pytest.raises(urllib.error.HTTPError):
        server.request("POST", "/api/conversations/unknown/message", {"message": "hi"})
    client.client.disconnect()
    for joined in ("0" * 32, ""):
        with pytest.raises(socketio.exceptions.ConnectionError):
            PythonClient(server, joined, -1, ["websocket"])
    for transport, headers in (("polling", {}), ("websocket", UPGRADE)):
        assert Answer(server, "GET", f"/socket.io/?EIO=4&transport={transport}", headers | FOREIGN).status == 403
    found = scrape(server)
    assert found["greenroom_refused_total{reason=bad_action}"] == 1
    assert found["greenroom_refused_total{reason=not_found}"] == 2
    assert found["greenroom_refused_total{reason=no_conversation_id}"] == 1
    assert found["greenroom_refused_total{reason=foreign_origin}"] == 2


def test_who_has_no_key_is_counted_at_every_door(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", {"SESSION_API_KEY": KEY})
    server.start()
    try:
        conversation_id, logged_in = server.create(), {"Cookie": cookie_of(server)}
        with pytest.raises(socketio.exceptions.ConnectionError):
            PythonClient(server, conversation_id, -1, ["websocket"])
        guesses = [f"{POLLING}&session_api_key=wrong{number}" for number in range(12)]
        statuses = [Answer(server, "GET", guess).status for guess in guesses]
        found = scrape(server, logged_in)
    finally:
        server.kill()
    assert found["greenroom_refused_total{reason=invalid_session_api_key}"] == 1
    assert found["greenroom_refused_total{reason=rate_limited}"] == statuses.count(429) > 0


@pytest.fixture
def narrow_server(tmp_path: Path) -> Iterator[ServerProcess]:
    limits = {"GREENROOM_CONNECTIONS_PER_ADDRESS": "8", "GREENROOM_HANDSHAKES_MAX": "3", "GREENROOM_HEAD_TIMEOUT": "2"}
    process = ServerProcess(tmp_path / "data", limits)
    process.start()
    yield process
    process.kill()


def test_who_is_one_too_many_is_counted_by_the_limit(narrow_server: ServerProcess) -> None:
    address = ("127.0.0.1", int(narrow_server.url.rpartition(":")[2]))
    watcher = http.client.HTTPConnection(*address)  # keeps its connection
    with contextlib.closing(watcher), contextlib.ExitStack() as clients:

        def found() -> dict[str, float]:
            watcher.request("GET", "/metrics")
            return samples(watcher.getresponse().read().decode())

        assert found()["greenroom_limit{limit=handshakes}"] == 3
        silent = [clients.enter_context(socket.create_connection(address)) for _ in range(5)]
        for made_room in silent[:2]:
            assert made_room.recv(100).startswith(b"HTTP/1.1 503")
        assert found()["greenroom_limit_used{limit=handshakes}"] == 3
        assert found()["greenroom_limit_refused_total{limit=handshakes}"] == 2
        for out_of_time in silent[2:]:
            assert out_of_time.recv(100) == b""
        assert found()["greenroom_timed_out_total{what=head}"] == 3
        for _ in range(7):
            another = clients.enter_context(contextlib.closing(http.client.HTTPConnection(*address)))
            another.request("GET", "/alive")
            assert another.getresponse().status == 200
        one_too_many = clients.enter_context(socket.create_connection(address))
        assert one_too_many.recv(100).startswith(b"HTTP/1.1 429")
        assert found()["greenroom_limit_refused_total{limit=connections_per_address}"] == 1
        assert found()["greenroom_limit_used{limit=connections_per_address}"] == 8


def test_behind_a_trusted_proxy_it_is_the_client_that_counts(tmp_path: Path) -> None:
    settings = {"GREENROOM_CONNECTIONS_PER_ADDRESS": "3", "GREENROOM_TRUSTED_PROXIES": "127.0.0.1"}
    server = ServerProcess(tmp_path / "data", settings)
    server.start()
    try:
        greedy, modest = ({"X-Forwarded-For": f"6.6.6.6, 9.9.9.{number}"} for number in (1, 2))
        statuses = [Answer(server, "GET", POLLING, greedy).status for _ in range(5)]
        assert statuses == [200, 200, 200, 429, 429]
        assert Answer(server, "GET", POLLING, modest).status == 200
        upgrade = POLLING.replace("polling", "websocket")
        assert Answer(server, "GET", upgrade, greedy | UPGRADE).status == 429
        address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        with contextlib.ExitStack() as connections:  # of the proxy's, as many as it likes
            for _ in range(5):
                connection = connections.enter_context(contextlib.closing(http.client.HTTPConnection(*address)))
                connection.request("GET", "/alive")
                assert connection.getresponse().status == 200
            found = scrape(server)
    finally:
        server.kill()
    assert found["greenroom_limit_refused_total{limit=sessions_per_address}"] == 3
    assert found["greenroom_limit_used{limit=sessions_per_address}"] == 3
    assert found["greenroom_limit_used{limit=connections_per_address}"] == 0


def test_k33_a_reader_that_is_behind_is_seen(server: ServerProcess) -> None:
    conversation_id = server.create()
    target = f"/socket.io/?EIO=4&transport=websocket&conversation_id={conversation_id}"
    head = (
        f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    with socket.socket() as sleeper:
        sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sleeper.connect(("127.0.0.1", int(server.url.rpartition(":")[2])))
        sleeper.sendall(head.encode() + b"\x81\x82\0\0\0\x0040")
        server.request("POST", f"/api/conversations/{conversation_id}/message", {"message": "/burst 5000 1000"})
        until(server, lambda found: found["greenroom_readers_behind"] == 1)
