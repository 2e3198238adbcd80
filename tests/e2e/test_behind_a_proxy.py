"""The server process behind a real nginx and a real Caddy, as docs/behind-a-proxy.md has them set up, and real clients.

What a proxy may say and to whom it is believed is in tests/transport/test_behind_a_proxy.py and test_proxies.py.
"""

import contextlib
import http.client
import json
import os
import queue
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs
import pytest
import requests
import socketio
from socketio.exceptions import ConnectionError as NotConnected

from tests.e2e.proxies import AT_ROOT, CADDY, NGINX, Proxy, caddy, nginx
from tests.e2e.server import ServerProcess
from tests.e2e.test_guards import KEY, POLLING, UPGRADE
from tests.e2e.test_metrics import samples, scrape
from tests.e2e.test_real_clients import TRANSPORTS, visible
from tests.needs import NPMS_CLIENT, need_npms_client
from tests.transport.cli.test_chat import Terminal

pytestmark = pytest.mark.wallclock

PREFIX = "/greenroom"
ALL = "/api/conversations"
OLD = re.sub(r"    proxy_http_version.*\n.*Upgrade.*\n.*Connection.*\n", "", NGINX[""])
"""As nginx speaks when it is not told otherwise: HTTP/1.0."""


@attrs.frozen
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


@attrs.frozen
class Behind:
    """A server behind a proxy, and the way to both."""

    server: ServerProcess
    proxy: Proxy
    prefix: str

    @property
    def url(self) -> str:
        return self.proxy.url + self.prefix

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, source: str = ""
    ) -> Answer:
        """One request on a connection of its own, from this address of the loopback."""
        with contextlib.closing(self.connection(source)) as connection:
            data = None if body is None else json.dumps(body)
            connection.request(
                method, self.prefix + path, data, {"Content-Type": "application/json", **(headers or {})}
            )
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, told, answer.read())

    def connection(self, source: str = "") -> http.client.HTTPConnection:
        netloc, at = urlsplit(self.proxy.url).netloc, (source, 0) if source else None
        if self.proxy.authority is None:
            return http.client.HTTPConnection(netloc, timeout=10, source_address=at)
        context = ssl.create_default_context(cafile=str(self.proxy.authority))
        return http.client.HTTPSConnection(netloc, timeout=10, source_address=at, context=context)

    def asking(self, path: str, headers: Mapping[str, str] | None = None) -> http.client.HTTPConnection:
        """Somebody who has asked, and reads nothing."""
        connection = self.connection()
        connection.request("GET", self.prefix + path, headers=headers or {})
        return connection

    def metrics(self) -> dict[str, float]:
        return samples(self.ask("GET", "/metrics").body.decode())

    def until(self, holds: Callable[[dict[str, float]], bool]) -> None:
        deadline = time.monotonic() + 15
        while not holds(found := self.metrics()):
            assert time.monotonic() < deadline, found
            time.sleep(0.05)

    def npm(self, conversation_id: str, transports: list[str], message: str, wait_for: int) -> list[dict[str, Any]]:
        """What npm's client prints."""
        need_npms_client()
        arguments = [conversation_id, "-1", ",".join(transports), message, str(wait_for), f"{self.prefix}/socket.io/"]
        trusting = {"PATH": os.environ["PATH"], "NODE_EXTRA_CA_CERTS": str(self.proxy.authority or "")}
        command = ["node", "client.mjs", self.proxy.url, *arguments]
        done = subprocess.run(
            command, cwd=NPMS_CLIENT, env=trusting, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def command(self, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        """`greenroom`, told where the proxy is."""
        command = [sys.executable, "-m", "transport.cli", *arguments, "--url", self.url]
        trusting = {"PATH": os.environ["PATH"], "SSL_CERT_FILE": str(self.proxy.authority or "")}
        return subprocess.run(
            command, input=typed, env=trusting, capture_output=True, text=True, timeout=60, check=False
        )


class Client:
    """python-socketio's, which comes back when it is cut off; each event once, by its id."""

    def __init__(self, behind: Behind, conversation_id: str, transports: list[str]) -> None:
        session = requests.Session()
        session.trust_env = False  # what the machine believes would be asked instead
        session.verify = str(behind.proxy.authority or True)
        self.client = socketio.Client(http_session=session, reconnection_delay=0.1, reconnection_delay_max=0.5)
        self.events: dict[int, dict[str, Any]] = {}
        self.connects: queue.Queue[None] = queue.Queue()
        self.client.on("connect", lambda: self.connects.put(None))
        self.client.on("oh_event", self.take_in)
        self.client.connect(
            f"{behind.proxy.url}?conversation_id={conversation_id}&latest_event_id=-1",
            transports=transports,
            socketio_path=f"{behind.prefix}/socket.io".strip("/"),
        )
        self.connects.get(timeout=10)

    def take_in(self, event: dict[str, Any]) -> None:
        if type(event.get("id")) is int:
            self.events[event["id"]] = event

    def say(self, text: str) -> Any:
        return self.client.call("oh_user_action", {"action": "message", "args": {"content": text}}, timeout=10)

    def has_all(self, behind: Behind, conversation_id: str) -> None:
        """Waits until it has seen what is stored."""
        deadline = time.monotonic() + 20
        while sorted(self.events) != (stored := [e["id"] for e in visible(behind.server.events(conversation_id))]):
            assert time.monotonic() < deadline, (sorted(self.events), stored)
            time.sleep(0.05)

    def close(self) -> None:
        self.client.disconnect()
        self.client.wait()


@contextmanager
def running(folder: Path, how: str, start: Callable[[str, Path], Proxy], **environment: str) -> Iterator[Behind]:
    prefix = PREFIX if how else ""
    folder.mkdir(exist_ok=True)
    told = {"GREENROOM_TRUSTED_PROXIES": "127.0.0.1", "GREENROOM_PATH_PREFIX": prefix, **environment}
    server = ServerProcess(folder / "data", told)
    server.start()
    try:
        proxy = start(urlsplit(server.url).netloc, folder / "proxy")
        try:
            yield Behind(server, proxy, prefix)
        finally:
            proxy.kill()
    finally:
        server.kill()


@contextmanager
def behind_nginx(folder: Path, how: str = "", text: str = "", **environment: str) -> Iterator[Behind]:
    with running(folder, how, lambda server, at: nginx(text or NGINX[how], server, at), **environment) as found:
        yield found


@pytest.fixture(scope="module", params=list(NGINX), ids=lambda how: how or "root")
def shown(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    """nginx with the server at its root, or below a path that it passes on or strips."""
    with behind_nginx(tmp_path_factory.mktemp("nginx"), request.param) as found:
        yield found


def converse(behind: Behind, transports: list[str], ends_with: str = "") -> None:
    """One command and its output, by python-socketio's client."""
    conversation_id = behind.server.create()
    client = Client(behind, conversation_id, transports)
    assert client.say("$ echo $((40+2))") is None
    behind.server.wait_for(conversation_id, "run")
    client.has_all(behind, conversation_id)
    assert "42\n" in [event.get("content") for event in client.events.values()]
    assert client.client.transport() == (ends_with or transports[-1])
    client.close()


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
def test_python_socketio_converses_by_every_transport(shown: Behind, transports: list[str]) -> None:
    converse(shown, transports)


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
def test_a_thousand_events_reach_npms_client_once_and_in_order(shown: Behind, transports: list[str]) -> None:
    conversation_id = shown.server.create("/burst 1000 100")
    shown.server.wait_for(conversation_id, "greenroom.run_ended", 60)
    stored = visible(shown.server.events(conversation_id))
    assert len(stored) > 1000
    lines = shown.npm(conversation_id, transports, "", len(stored))
    assert [line["event"] for line in lines if "event" in line] == stored
    assert lines[-1] == {"transport": transports[-1]}


def test_the_page_and_all_that_it_asks_for_are_there(shown: Behind) -> None:
    document = shown.ask("GET", "/")
    assert document.status == 200
    addresses = set(re.findall(rb'(?:src|href)="(/[^"]+)"', document.body))
    assert len(addresses) >= 3
    for address in addresses:
        assert shown.ask("GET", address.decode().removeprefix(shown.prefix)).status == 200


def test_what_is_neither_below_the_path_nor_ours_is_404(shown: Behind) -> None:
    for path in ("/nowhere", f"/greenhouse{ALL}", f"{PREFIX}{PREFIX}{ALL}"):
        assert shown.ask("GET", path).status == 404


def test_the_command_is_told_the_address_of_the_proxy_and_works(shown: Behind) -> None:
    done = shown.command("chat", typed="$ echo $((40+2))\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert "42" in done.stdout
    [conversation_id] = re.findall(r"--conversation (\w+)", done.stdout)
    assert conversation_id in shown.command("ps").stdout
    assert shown.command("explain", conversation_id).stdout.startswith(conversation_id)
    told = json.loads(shown.ask("GET", f"{ALL}/{conversation_id}").body)
    assert told["url"] == f"{shown.prefix}{ALL}/{conversation_id}"


def test_a_body_may_be_as_large_as_the_server_takes(shown: Behind) -> None:
    at = f"{ALL}/{shown.server.create()}/message"
    assert shown.ask("POST", at, {"message": "/note " + "x" * 3_000_000}).status == 200
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may close over what is still sent
        assert shown.ask("POST", at, {"message": "/note " + "x" * 5_000_000}).status == 413
    assert shown.ask("GET", "/alive").status == 200


@pytest.mark.parametrize("how", list(NGINX))
def test_the_login_is_below_the_path_and_its_cookie_stays_behind_tls(tmp_path: Path, how: str) -> None:
    with behind_nginx(tmp_path, how, SESSION_API_KEY=KEY) as behind:
        led = behind.ask("GET", "/conversations/1", headers={"Accept": "text/html"})
        assert (led.status, led.headers["location"]) == (
            303,
            f"{behind.prefix}/login?next={behind.prefix}/conversations/1",
        )
        told = behind.ask("POST", "/api/login", {"key": KEY}).headers["set-cookie"]
        cookie, *attributes = told.split("; ")
        assert {"Secure", f"Path={behind.prefix or '/'}"} <= set(attributes)
        assert behind.ask("GET", ALL).status == 401
        assert behind.ask("GET", ALL, headers={"Cookie": cookie}).status == 200
        # Guesses count for who makes them, whatever they say of themselves.
        for number in range(11):
            forged = {"X-Forwarded-For": f"9.9.9.{number}", "X-Session-API-Key": f"wrong{number}"}
            guess = behind.ask("GET", ALL, headers=forged, source="127.0.0.2")
        assert guess.status == 429
        assert behind.ask("GET", ALL, headers={"X-Session-API-Key": KEY}, source="127.0.0.2").status == 429
        assert behind.ask("GET", ALL, headers={"X-Session-API-Key": KEY}, source="127.0.0.3").status == 200


def test_two_clients_on_one_connection_of_nginx_have_a_rate_each(tmp_path: Path) -> None:
    with behind_nginx(tmp_path, GREENROOM_RATE_LIMIT="0.001", GREENROOM_RATE_BURST="5") as behind:
        first, second = "127.0.0.2", "127.0.0.3"
        forged = {"X-Forwarded-For": "9.9.9.9"}
        assert [behind.ask("GET", ALL, source=first).status for _ in range(5)] == [200] * 5
        assert behind.ask("GET", ALL, headers=forged, source=first).status == 429
        assert [behind.ask("GET", ALL, source=second).status for _ in range(5)] == [200] * 5
        assert behind.ask("GET", ALL, source=second).status == 429
        time.sleep(0.2)  # in which one that is not kept would go
        # All of that went through one connection, which nginx keeps; the other is the one that asks.
        assert scrape(behind.server)["greenroom_limit_used{limit=connections}"] == 2


def test_a_page_of_the_name_that_nginx_serves_may_talk_and_no_other(tmp_path: Path) -> None:
    with behind_nginx(tmp_path, GREENROOM_PERMITTED_HOSTS="agents.example.com") as behind:
        for host, origin, status in (
            ("agents.example.com", "https://agents.example.com", 200),
            ("agents.example.com:8443", "https://agents.example.com:8443", 200),
            ("agents.example.com", "https://evil.example.com", 403),
            ("agents.example.com", "https://localhost", 403),
            ("evil.example.com", "https://evil.example.com", 403),
        ):
            forged = {"X-Forwarded-Host": urlsplit(origin).netloc}
            for path in (ALL, POLLING):
                assert behind.ask("GET", path, headers={"Host": host, "Origin": origin, **forged}).status == status


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
def test_nobody_misses_anything_when_nginx_is_reloaded_or_the_server_dies(
    tmp_path: Path, transports: list[str]
) -> None:
    with behind_nginx(tmp_path) as behind:
        conversation_id = behind.server.create()
        client = Client(behind, conversation_id, transports)
        assert client.say("/note before") is None
        behind.proxy.reload()
        if client.client.transport() == "websocket":
            client.connects.get(timeout=20)  # the old worker ends what is left after a second
        assert client.say("/note between") is None
        client.has_all(behind, conversation_id)
        behind.server.kill()
        time.sleep(0.5)  # in which nginx answers 502
        behind.server.start()
        client.connects.get(timeout=20)
        assert client.say("/note after") is None
        client.has_all(behind, conversation_id)
        client.close()


def test_the_terminal_comes_back_to_a_server_for_which_nginx_had_only_a_502(tmp_path: Path) -> None:
    with behind_nginx(tmp_path) as behind:
        terminal = Terminal("--url", behind.url, SSL_CERT_FILE=str(behind.proxy.authority))
        terminal.wait_for("awaiting_user_input")
        behind.server.kill()
        terminal.wait_for("trying again")
        terminal.type("$ echo $((40+2))")
        time.sleep(1.5)  # in which it has tried
        behind.server.start()
        assert "42" in terminal.wait_for("[exit code 0]")
        assert terminal.end()[0] == 0


def test_a_client_that_vanishes_is_gone_for_the_server_too(tmp_path: Path) -> None:
    with behind_nginx(tmp_path) as behind:
        opened = behind.ask("GET", POLLING)
        polling = behind.asking(f"{POLLING}&sid={json.loads(opened.body[1:])['sid']}")
        websocket = behind.asking("/socket.io/?EIO=4&transport=websocket", UPGRADE)
        behind.until(lambda found: found["greenroom_connections"] == 2)
        time.sleep(0.2)  # until the poll waits
        polling.close()
        behind.until(lambda found: found["greenroom_connections"] == 1)
        websocket.close()
        behind.until(lambda found: found["greenroom_connections"] == 0)


def test_through_http_1_0_rest_and_polling_work_and_an_upgrade_is_refused(tmp_path: Path) -> None:
    assert len(OLD.splitlines()) == len(NGINX[""].splitlines()) - 3
    with behind_nginx(tmp_path, text=OLD) as behind:
        converse(behind, ["polling", "websocket"], ends_with="polling")
        conversation_id = behind.server.create("$ echo $((40+2))")
        behind.server.wait_for(conversation_id, "run")
        behind.server.wait_for(conversation_id, "greenroom.run_ended")
        stored = visible(behind.server.events(conversation_id))
        lines = behind.npm(conversation_id, ["polling", "websocket"], "", len(stored))
        assert lines[-1] == {"transport": "polling"}
        with pytest.raises(NotConnected):
            Client(behind, conversation_id, ["websocket"])


@pytest.mark.parametrize("how", list(CADDY), ids=lambda how: how or "root")
def test_caddy_does_the_same(tmp_path: Path, how: str) -> None:
    with running(tmp_path, how, lambda server, at: caddy(CADDY[how], server, at)) as behind:
        for transports in TRANSPORTS:
            converse(behind, transports)
        for path in ("/", "/static/app.js"):
            assert behind.ask("GET", path).status == 200


def test_behind_caddy_too_each_client_has_a_rate_of_its_own(tmp_path: Path) -> None:
    told = {"GREENROOM_RATE_LIMIT": "0.001", "GREENROOM_RATE_BURST": "2"}
    with running(tmp_path, "", lambda server, at: caddy(CADDY[""], server, at), **told) as behind:
        for source in ("127.0.0.2", "127.0.0.3"):
            forged = {"X-Forwarded-For": "9.9.9.9"}
            assert [behind.ask("GET", ALL, headers=forged, source=source).status for _ in range(3)] == [200, 200, 429]


def test_what_the_page_replaces_at_the_root_is_in_it() -> None:
    assert AT_ROOT in NGINX[""]
    assert len(set(NGINX.values())) == len(set(CADDY.values())) == 3
