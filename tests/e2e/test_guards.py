"""The key and the limits as they are met from outside: over REST, with both Socket.IO clients, from the terminal."""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import socketio
from socketio.exceptions import ConnectionError as NotConnected

from tests.e2e.server import ServerProcess
from tests.needs import NPMS_CLIENT, need_npms_client

pytestmark = pytest.mark.wallclock

KEY = "k3y-of-this-server"
WRONG = "wr0ng-key"
TRANSPORTS = [["websocket"], ["polling"], ["polling", "websocket"]]
ALL = "/api/conversations"
POLLING = "/socket.io/?EIO=4&transport=polling"
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """With a key, and with every line that its logs can hold."""
    process = ServerProcess(tmp_path / "data", {"SESSION_API_KEY": KEY, "LOG_LEVEL": "debug", "LOG_JSON": "true"})
    process.start()
    yield process
    process.kill()
    log = (tmp_path / "server.log").read_text()
    assert "listening" in log
    assert KEY not in log
    assert WRONG not in log


class Answer:
    """Status, headers and body of one request, whatever they are."""

    def __init__(
        self, server: ServerProcess, method: str, path: str, headers: dict[str, str] | None = None, body: Any = None
    ) -> None:
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
        try:
            data = None if body is None else json.dumps(body)
            sent = {"Content-Type": "application/json", **(headers or {})}
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            self.status, self.headers = answer.status, answer.headers
            self.body = b"" if answer.status == 101 else answer.read()
        finally:
            connection.close()


def raw_post(server: ServerProcess, path: str, data: bytes, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
    try:
        connection.request("POST", path, data, {"Content-Type": "text/plain", **headers})
        return connection.getresponse().status
    finally:
        connection.close()


def cookie_of(server: ServerProcess) -> str:
    answer = Answer(server, "POST", "/api/login", body={"key": KEY})
    assert answer.status == 200
    return str(answer.headers["set-cookie"]).partition(";")[0]


def connect(
    server: ServerProcess, query: dict[str, str], headers: dict[str, str], transports: list[str]
) -> tuple[socketio.Client, list[Any]]:
    client = socketio.Client(reconnection=False)
    refusals: list[Any] = []
    client.on("connect_error", refusals.append)
    try:
        client.connect(f"{server.url}?{urlencode(query)}", headers=headers, transports=transports)
    except NotConnected:
        assert not client.connected
    return client, refusals


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"X-Session-API-Key": KEY}, 200), ({"X-Session-API-Key": WRONG}, 401), ({}, 401)],
    ids=["right", "wrong", "none"],
)
def test_rest_wants_the_key(server: ServerProcess, headers: dict[str, str], status: int) -> None:
    for method, path in (("GET", ALL), ("POST", ALL), ("GET", f"{ALL}/x"), ("DELETE", f"{ALL}/x")):
        answer = Answer(server, method, path, headers, {} if method == "POST" else None)
        assert answer.status == status
        assert status == 200 or json.loads(answer.body) == {"detail": "Unauthorized"}
    assert Answer(server, "GET", f"{ALL}?session_api_key={KEY}").status == 401  # contract §5: not on HTTP
    for path in ("/alive", "/health", "/readyz"):
        assert Answer(server, "GET", path, headers).status == 200
    for path in ("actors", "actors/x", "dead-letters"):
        found = Answer(server, "GET", f"/api/admin/{path}", headers)
        assert found.status == (404 if (status, path) == (200, "actors/x") else status)


def test_refused_requests_change_nothing(server: ServerProcess) -> None:
    conversation_id = server.create()
    for headers in ({"X-Session-API-Key": WRONG}, {}):
        assert Answer(server, "POST", ALL, headers, {}).status == 401
        assert Answer(server, "DELETE", f"{ALL}/{conversation_id}", headers).status == 401
    [found] = server.request("GET", ALL)["results"]
    assert found["conversation_id"] == conversation_id


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
@pytest.mark.parametrize("shown", ["query", "header", "cookie"])
def test_a_client_with_the_key_converses(server: ServerProcess, transports: list[str], shown: str) -> None:
    query = {"conversation_id": server.create()}
    headers = {}
    match shown:
        case "query":
            query["session_api_key"] = KEY
        case "header":
            headers["X-Session-API-Key"] = KEY
        case "cookie":
            headers["Cookie"] = cookie_of(server)
            query["session_api_key"] = "null"  # as V0's page sends it
    client, refusals = connect(server, query, headers, transports)
    assert refusals == []
    action = {"action": "message", "args": {"content": "/note hello"}}
    assert client.call("oh_user_action", action, timeout=10) is None
    assert client.transport() == transports[-1]
    client.disconnect()
    assert "hello" in json.dumps(server.events(query["conversation_id"]))


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
@pytest.mark.parametrize("query", [{"session_api_key": WRONG}, {"session_api_key": "null"}, {}], ids=str)
def test_a_client_without_it_is_told_so_and_joins_nothing(
    server: ServerProcess, transports: list[str], query: dict[str, str]
) -> None:
    client, refusals = connect(server, {"conversation_id": server.create(), **query}, {}, transports)
    assert refusals == [{"message": "invalid_session_api_key"}]
    client.disconnect()


def test_npms_client_is_told_so_too(server: ServerProcess) -> None:
    command = ["node", "client.mjs", server.url, server.create(), "-1", "websocket", "", "1"]
    need_npms_client()
    finished = subprocess.run(command, cwd=NPMS_CLIENT, capture_output=True, text=True, timeout=60, check=False)
    assert json.loads(finished.stdout.splitlines()[0]) == {"connect_error": "invalid_session_api_key"}


def test_a_sid_of_nobody_and_a_session_without_the_key_open_nothing(server: ServerProcess) -> None:
    conversation_id = server.create()
    assert Answer(server, "GET", f"{POLLING}&sid=invented").status == 400
    opened = Answer(server, "GET", f"{POLLING}&conversation_id={conversation_id}")
    session = f"{POLLING}&sid={json.loads(opened.body[1:])['sid']}"
    # Neither a second try nor the key itself makes this session another one: its first request counts.
    for shown in ({}, {"X-Session-API-Key": KEY}):
        assert raw_post(server, session, b"40", shown) == 200
        assert Answer(server, "GET", session, shown).body == b'44{"message":"invalid_session_api_key"}'
    raw_post(server, session, b'42["oh_user_action",{"action":"message","args":{"content":"/note smuggled"}}]', {})
    assert server.request("GET", f"{ALL}/{conversation_id}")["num_connections"] == 0
    assert "smuggled" not in json.dumps(server.events(conversation_id))


def test_guessing_ends_in_429_at_every_door_and_not_for_who_is_logged_in(server: ServerProcess) -> None:
    cookie = {"Cookie": cookie_of(server)}
    told = [Answer(server, "GET", ALL, {"X-Session-API-Key": f"{WRONG}{number}"}).status for number in range(11)]
    assert told == [401] * 10 + [429]
    refused = [
        Answer(server, "GET", ALL, {"X-Session-API-Key": KEY}),
        Answer(server, "POST", "/api/login", body={"key": KEY}),
        Answer(server, "GET", POLLING),
        Answer(server, "GET", f"{POLLING}&session_api_key={KEY}"),
        Answer(server, "GET", f"/socket.io/?EIO=4&transport=websocket&session_api_key={KEY}", UPGRADE),
    ]
    assert [answer.status for answer in refused] == [429] * 5
    assert all(1 <= int(answer.headers["Retry-After"]) <= 6 for answer in refused)
    assert [json.loads(answer.body) for answer in refused[:4]] == [{"message": "Too many requests"}] * 4
    assert Answer(server, "GET", ALL, cookie).status == 200
    assert Answer(server, "GET", "/alive").status == 200


def test_a_command_does_not_find_the_key_in_its_environment(server: ServerProcess) -> None:
    conversation_id = server.create("$ env; echo the end")
    observation = server.wait_for(conversation_id, "run")
    assert "the end" in observation["content"]
    assert KEY not in observation["content"]


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[ServerProcess]:
    limits = {"GREENROOM_RATE_LIMIT": "2", "GREENROOM_RATE_BURST": "5", "GREENROOM_TRUSTED_PROXIES": "127.0.0.1"}
    process = ServerProcess(tmp_path / "data", limits)
    process.start()
    yield process
    process.kill()


def test_a_burst_passes_then_a_429_says_when_to_come_back_and_that_is_true(limited: ServerProcess) -> None:
    answers = [Answer(limited, "GET", ALL) for _ in range(12)]
    assert [answer.status for answer in answers[:5]] == [200] * 5
    refused = answers[-1]
    assert (refused.status, json.loads(refused.body)) == (429, {"message": "Too many requests"})
    time.sleep(int(refused.headers["Retry-After"]))
    assert Answer(limited, "GET", ALL).status == 200
    assert {Answer(limited, "GET", "/alive").status for _ in range(30)} == {200}


def test_neighbours_behind_a_trusted_proxy_are_counted_apart(limited: ServerProcess) -> None:
    told = {
        client: [Answer(limited, "GET", ALL, {"X-Forwarded-For": f"6.6.6.6, {client}"}).status for _ in range(12)]
        for client in ("192.0.2.1", "192.0.2.2")
    }
    assert all(statuses[:5] == [200] * 5 and 429 in statuses for statuses in told.values())


def test_a_client_that_polls_is_not_limited_by_rate(limited: ServerProcess) -> None:
    conversation_id = limited.create()
    client, refusals = connect(limited, {"conversation_id": conversation_id}, {}, ["polling"])
    for number in range(30):
        action = {"action": "message", "args": {"content": f"/note {number}"}}
        assert client.call("oh_user_action", action, timeout=10) is None
    assert refusals == []
    client.disconnect()


def _command(*arguments: str, typed: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "transport.cli", *arguments]
    return subprocess.run(
        command, input=typed, env=environment, capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.parametrize("how", ["flag", "environment"])
def test_the_terminal_shows_its_key(server: ServerProcess, how: str) -> None:
    arguments = ("--key", KEY) if how == "flag" else ()
    environment = {"SESSION_API_KEY": KEY} if how == "environment" else {}
    told = _command("chat", "--url", server.url, *arguments, typed="/note here I am\n", **environment)
    assert (told.returncode, told.stderr) == (0, "")
    assert "here I am" in told.stdout


def test_the_terminal_says_in_one_line_that_it_has_the_wrong_one(server: ServerProcess) -> None:
    conversation_id = server.create()
    for arguments in ((), ("--key", WRONG), ("--conversation", conversation_id)):
        told = _command("chat", "--url", server.url, *arguments)
        assert told.returncode == 1
        assert told.stderr == "greenroom: the server wants another key (SESSION_API_KEY or --key)\n"


def test_off_loopback_a_server_without_a_key_does_not_start(tmp_path: Path) -> None:
    told = _command("serve", "--host", "0.0.0.0", "--port", "0", "--data", str(tmp_path / "data"))  # noqa: S104
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr.startswith(
        "greenroom: flag --host: '0.0.0.0' lets others reach this server: set SESSION_API_KEY"
    )
    assert told.stderr.count("\n") == 1
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "environment",
    [{"GREENROOM_INSECURE": "true"}, {"SESSION_API_KEY": KEY}],
    ids=["insecure", "key"],
)
def test_off_loopback_it_starts_with_a_key_or_when_told_that_all_may_come(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    process = ServerProcess(tmp_path / "data", {**environment, "HOST_ADDRESS": "0.0.0.0"})  # noqa: S104
    process.start()
    try:
        assert Answer(process, "GET", ALL).status == (401 if "SESSION_API_KEY" in environment else 200)
    finally:
        process.kill()
