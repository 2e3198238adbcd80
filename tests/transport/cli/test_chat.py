"""`greenroom chat` against a server process: shows, resumes, comes back, and ends in one line."""

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.e2e.server import ServerProcess

pytestmark = pytest.mark.wallclock

WAIT_SECONDS = 20.0


class Terminal:
    """A chat with its keyboard and its screen."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "transport.cli", "chat", *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, **environment},
        )  # fmt: skip
        self._screen: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as screen:
            for text in screen:
                self._screen.put(text.rstrip("\n"))

    def type(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def wait_for(self, text: str) -> list[str]:
        """The lines up to the one that contains it."""
        seen: list[str] = []
        deadline = time.monotonic() + WAIT_SECONDS
        while not seen or text not in seen[-1]:
            try:
                seen.append(self._screen.get(timeout=max(deadline - time.monotonic(), 0.01)))
            except queue.Empty:
                raise AssertionError(f"no {text!r} in {seen}") from None
        return seen

    def end(self) -> tuple[int, list[str]]:
        """Close the keyboard; the exit status and what came last."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        status = self.process.wait(WAIT_SECONDS)
        self._reader.join()
        return status, list(self._screen.queue)


class _Stranger(BaseHTTPRequestHandler):
    """What else may listen at an address."""

    def do_POST(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"[1]")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path / "data")
    process.start()
    yield process
    process.kill()


def test_a_conversation_is_created_shown_and_resumed_by_its_id(server: ServerProcess) -> None:
    first = Terminal("--url", server.url)
    conversation_id = first.wait_for("conversation ")[-1].split()[1]
    first.type("$ echo $((40+2))")
    shown = first.wait_for("[exit code 0]")
    assert "user: $ echo $((40+2))" in shown
    assert "$ echo $((40+2))" in shown
    assert "42" in shown
    assert first.end()[0] == 0
    second = Terminal("--url", f"{server.url}/", "--conversation", conversation_id)
    assert "42" in second.wait_for("[exit code 0]")
    assert second.end()[0] == 0


def test_an_agent_that_asks_is_answered_with_yes_or_no_and_only_then(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", {"SECURITY_CONFIRMATION_MODE": "true"})
    server.start()
    try:
        terminal = Terminal("--url", server.url)
        terminal.type("yes")
        terminal.wait_for("agent: yes")  # nobody had asked: a message like any other
        terminal.type("$ echo $((40+2))")
        terminal.wait_for("[run it? yes or no]")
        terminal.type("yes")
        assert "42" in terminal.wait_for("[exit code 0]")
        terminal.type("$ echo never")
        terminal.wait_for("[run it? yes or no]")
        terminal.type("No")
        assert "[not run: echo never]" in terminal.wait_for("[agent: awaiting_user_input]")
        assert terminal.end()[0] == 0
    finally:
        server.kill()


@pytest.mark.parametrize("host", ["::1", "localhost"])
def test_a_server_on_any_loopback_address_is_talked_to(tmp_path: Path, host: str) -> None:
    server = ServerProcess(tmp_path / "data", host=host)
    server.start()
    try:
        terminal = Terminal("--url", server.url)
        terminal.type("/note here")
        terminal.wait_for("user: /note here")
        assert terminal.end()[0] == 0
    finally:
        server.kill()


def test_at_the_end_of_the_input_the_answer_is_waited_for(server: ServerProcess) -> None:
    terminal = Terminal("--url", server.url)
    terminal.type("$ sleep 2; echo late")
    status, shown = terminal.end()
    assert status == 0
    assert "late" in shown


def test_k31_after_a_kill_it_comes_back_and_shows_nothing_twice(server: ServerProcess) -> None:
    terminal = Terminal("--url", server.url)
    terminal.type("/note before")
    terminal.wait_for("user: /note before")
    server.kill()
    terminal.wait_for("[connection lost: the server went away; trying again]")
    server.start()
    terminal.type("/note after")
    between = terminal.wait_for("user: /note after")
    assert "user: /note before" not in between
    assert terminal.end()[0] == 0


@pytest.mark.parametrize("heard", ["and written", "not at all"])
def test_k13_a_line_that_was_not_confirmed_is_sent_again_and_takes_effect_once(tmp_path: Path, heard: str) -> None:
    server, hold = ServerProcess(tmp_path / "data", module="tests.e2e.held_disk_server"), tmp_path / "hold"
    server.start()
    try:
        terminal = Terminal("--url", server.url)
        conversation_id = terminal.wait_for("conversation ")[-1].split()[1]
        log = server.data / "conversations" / conversation_id / "events.jsonl"
        terminal.wait_for("[agent: awaiting_user_input]")
        if heard == "not at all":
            server.send(signal.SIGSTOP)
        else:
            hold.touch()  # the bytes are written, and nobody is told
        terminal.type("/note in doubt")
        terminal.type("/note and this")
        deadline = time.monotonic() + (0.5 if heard == "not at all" else WAIT_SECONDS)
        while "in doubt" not in log.read_text() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert ("in doubt" in log.read_text()) == (heard == "and written")
        server.kill()
        hold.unlink(missing_ok=True)
        terminal.wait_for("[connection lost")
        server.start()
        shown = terminal.wait_for("user: /note and this")
        assert "user: /note in doubt" in shown
        status, rest = terminal.end()
        assert (status, [text for text in rest if "note" in text]) == (0, [])
        said = [
            event["args"]["content"] for event in server.events(conversation_id) if event.get("action") == "message"
        ]
        assert said == ["/note in doubt", "/note and this"]
    finally:
        server.kill()


def test_what_was_not_confirmed_in_the_end_is_told(server: ServerProcess) -> None:
    terminal = Terminal("--url", server.url)
    conversation_id = terminal.wait_for("conversation ")[-1].split()[1]
    terminal.wait_for("[agent: awaiting_user_input]")
    server.send(signal.SIGSTOP)
    terminal.type("/note nobody heard")
    time.sleep(0.3)
    server.kill()
    terminal.wait_for("[connection lost")
    (server.data / "conversations" / conversation_id).rename(server.data / "gone")
    server.start()
    assert "[not confirmed: /note nobody heard]" in terminal.wait_for("greenroom: the server refused")
    assert terminal.end() == (1, [])


class Stubborn(threading.Thread):
    """A server whose answers to one request after the other the test has chosen; empty is a closed connection."""

    def __init__(self, *answers: bytes) -> None:
        super().__init__(daemon=True)
        self.answers = answers
        self.heads: list[str] = []
        self.socket = socket.create_server(("127.0.0.1", 0))

    def run(self) -> None:
        for answer in self.answers:
            connection, _ = self.socket.accept()
            with connection:
                heard = b""
                while not heard.endswith(b"{}"):  # an answer to half a request would be a reset
                    heard += connection.recv(65_536)
                self.heads.append(heard.decode())
                connection.sendall(answer)
        self.socket.close()


def test_k11_a_conversation_that_was_asked_for_in_vain_is_asked_for_again_under_the_same_key() -> None:
    made = b'{"conversation_id": "abc"}'
    server = Stubborn(
        b"",
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 13\r\n\r\n<html></html>",  # a proxy's
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(made), made),
    )
    server.start()
    terminal = Terminal("--url", f"http://127.0.0.1:{server.socket.getsockname()[1]}")
    assert "conversation abc " in terminal.wait_for("conversation ")[-1]
    keys = {line for head in server.heads for line in head.splitlines() if line.lower().startswith("idempotency-key")}
    assert (len(server.heads), len(keys)) == (4, 1)
    terminal.end()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--url", "nowhere"), "nowhere is not the address of a server"),
        (("--url", "http://[::1"), "http://[::1 is not the address of a server"),
        (("--url", "http://127.0.0.1:nine"), "http://127.0.0.1:nine is not the address of a server"),
        (("--url", "http://127.0.0.1:9"), "no conversation from http://127.0.0.1:9: Connection refused"),
        (
            ("--url", "http://127.0.0.1:9", "--conversation", "x"),
            "no connection to http://127.0.0.1:9: all attempts to connect to 127.0.0.1:9 failed",
        ),
    ],
)
def test_no_server_is_one_line_and_status_1(arguments: tuple[str, ...], says: str) -> None:
    terminal = Terminal(*arguments)
    said = terminal.wait_for("greenroom: ")
    assert says in said[-1]
    assert terminal.end() == (1, [])


def test_somebody_else_at_the_address_is_one_line_and_status_1() -> None:
    with HTTPServer(("127.0.0.1", 0), _Stranger) as stranger:
        threading.Thread(target=stranger.handle_request).start()
        terminal = Terminal("--url", f"http://127.0.0.1:{stranger.server_port}")
        said = terminal.wait_for("greenroom: ")
    assert "the answer is not Greenroom's" in said[-1]
    assert terminal.end() == (1, [])


def test_no_proxy_of_the_environment_stands_between(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    terminal = Terminal("--url", server.url)
    terminal.wait_for("[agent: awaiting_user_input]")
    assert terminal.end()[0] == 0


def test_an_unknown_conversation_is_one_line_and_status_1(server: ServerProcess) -> None:
    terminal = Terminal("--url", server.url, "--conversation", "0" * 32)
    # Nothing is said of how to resume what is not there.
    assert terminal.wait_for("greenroom: the server refused") == [
        "greenroom: the server refused: Conversation not found"
    ]
    assert terminal.end() == (1, [])


def test_a_stop_is_said_in_one_line(server: ServerProcess) -> None:
    conversation_id = server.create("/note hello")
    terminal = Terminal("--url", server.url, "--conversation", conversation_id)
    terminal.wait_for("user: /note hello")
    server.request("POST", f"/api/conversations/{conversation_id}/stop")
    terminal.wait_for("greenroom: the conversation was stopped")
    assert terminal.end() == (1, [])


def test_ctrl_c_ends_it_without_a_trace(server: ServerProcess) -> None:

    terminal = Terminal("--url", server.url)
    terminal.wait_for("[agent: ")
    terminal.process.send_signal(signal.SIGINT)
    terminal.process.wait(WAIT_SECONDS)  # before the keyboard is closed, which would end it as well
    status, rest = terminal.end()
    assert status == 130
    assert not [text for text in rest if "Traceback" in text]
