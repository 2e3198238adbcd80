"""The plug pulled: kill -9 under load, and processes that must not outlive a stop or the server."""

import json
import os
import queue
import random
import signal
import socket
import struct
import threading
import time
import zlib
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
import socketio

from tests.e2e.server import ServerProcess

pytestmark = pytest.mark.wallclock

ROUNDS = 2
"""With a client that is not ours; for campaigns there is `make crash`."""


def check_log(path: Path) -> list[dict[str, Any]]:
    """Every line is valid JSON with a right checksum, ids are dense; the events."""
    events = []
    for expected_id, line in enumerate(path.read_bytes().splitlines()):
        record = json.loads(line)
        assert record["id"] == expected_id == record["event"]["id"]
        head, _, rest = line.partition(b'"crc":"')
        assert zlib.crc32(head + rest[len('00000000","event":') : -1]) == int(record["crc"], 16)
        events.append(record["event"])
    return events


class Talker(threading.Thread):
    """Sends numbered notes as fast as they are acknowledged, and keeps what it was told and shown."""

    def __init__(self, server: ServerProcess, conversation_id: str, name: str) -> None:
        super().__init__()
        self.server, self.conversation_id, self.label = server, conversation_id, name
        self.acknowledged: list[str] = []
        self.seen: queue.Queue[dict[str, Any]] = queue.Queue()
        self.stopping = threading.Event()

    def take_in(self, event: dict[str, Any]) -> None:
        if type(event.get("id")) is int:  # the others tell of the moment
            self.seen.put(event)

    def run(self) -> None:
        client = socketio.Client(reconnection=False)
        client.on("oh_event", self.take_in)
        try:
            client.connect(f"{self.server.url}?conversation_id={self.conversation_id}", transports=["websocket"])
            while not self.stopping.is_set():
                text = f"/note {self.label} {len(self.acknowledged)}"
                client.call("oh_user_action", {"action": "message", "args": {"content": text}}, timeout=2)
                self.acknowledged.append(text)
        except (socketio.exceptions.SocketIOError, OSError):
            pass  # the server was killed: that is the test
        finally:
            client.disconnect()


def test_k13_what_was_acknowledged_survives_kill_9_once_and_equal(server: ServerProcess) -> None:
    chance = random.Random(20261124)
    conversations = [server.create() for _ in range(3)]
    for round_number in range(ROUNDS):
        talkers = [Talker(server, conversation_id, f"r{round_number}") for conversation_id in conversations]
        for talker in talkers:
            talker.start()
        time.sleep(1.0 + chance.random())
        server.kill()
        for talker in talkers:
            talker.stopping.set()
            talker.join(20)
            assert not talker.is_alive()
        server.start()
        for talker in talkers:
            events = check_log(server.data / "conversations" / talker.conversation_id / "events.jsonl")
            texts = [event["args"]["content"] for event in events if event.get("action") == "message"]
            assert talker.acknowledged, "nothing was in flight"
            assert [text for text in texts if text in set(talker.acknowledged)] == talker.acknowledged
            assert server.events(talker.conversation_id) == events
            # This client runs a thread for each message, so order is proven with npm's client; gaps and repeats here.
            shown = sorted((talker.seen.get() for _ in range(talker.seen.qsize())), key=itemgetter("id"))
            stored = [e for e in events if not str(e.get("observation")).startswith("greenroom.")]
            ids = [event["id"] for event in stored]
            start = ids.index(shown[0]["id"])
            assert shown == stored[start : start + len(shown)]


def processes_with(mark: str) -> dict[int, str]:
    """Command lines by process id."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if mark.encode() in command:
            found[int(folder.name)] = command.replace(b"\0", b" ").decode(errors="replace")
    return found


def wait_until_gone(mark: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while processes_with(mark):
        assert time.monotonic() < deadline, processes_with(mark)
        time.sleep(0.02)


def start_sleep(server: ServerProcess, mark: str) -> str:
    conversation_id = server.create(f"$ sleep {mark}")
    deadline = time.monotonic() + 10
    # Until the command itself runs: what sets its sandbox up has the mark on its command line as well.
    while not any(command.startswith("sleep") for command in processes_with(mark).values()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return conversation_id


def test_k29_stop_leaves_no_process_within_a_second_while_alive_answers(server: ServerProcess) -> None:
    mark = "60.0123"
    conversation_id = start_sleep(server, mark)
    stopped = threading.Thread(
        target=server.request, args=("POST", f"/api/conversations/{conversation_id}/stop", {}), daemon=True
    )
    stopped.start()
    assert server.request("GET", "/alive") == {"status": "ok"}
    wait_until_gone(mark, 1.0)
    stopped.join(5)
    events = server.events(conversation_id)
    [action] = [event for event in events if event.get("action") == "run"]
    assert len([event for event in events if event.get("cause") == action["id"]]) == 1
    assert events[-1]["extras"]["agent_state"] == "stopped"


def test_k30_kill_9_leaves_no_process_and_the_open_action_is_closed_as_interrupted(server: ServerProcess) -> None:
    mark = "60.0456"
    conversation_id = start_sleep(server, mark)
    server.kill()
    wait_until_gone(mark, 2.0)
    server.start()
    server.request("POST", f"/api/conversations/{conversation_id}/start", {})
    events = server.events(conversation_id)
    [action] = [event for event in events if event.get("action") == "run"]
    [terminal] = [event for event in events if event.get("cause") == action["id"]]
    assert terminal["observation"] == "error"
    assert "unknown" in terminal["content"]


def test_a_crash_in_one_run_is_told_and_siblings_do_not_notice(server: ServerProcess) -> None:
    sibling, broken = server.create(), server.create("/crash")
    ended = server.wait_for(broken, "greenroom.run_ended")
    assert ended["extras"]["outcome"] == "crashed"
    server.request("POST", f"/api/conversations/{broken}/message", {"message": "hello again"})
    server.request("POST", f"/api/conversations/{sibling}/message", {"message": "$ echo fine"})
    assert server.wait_for(sibling, "run")["content"] == "fine\n"


@pytest.mark.parametrize("which", [min, max])
def test_a_sandbox_that_is_killed_is_told_and_siblings_do_not_notice(server: ServerProcess, which: Any) -> None:
    mark = "60.0789"
    sibling = server.create("$ sleep 0.5; echo fine")
    broken = start_sleep(server, mark)
    os.kill(which(processes_with(mark)), signal.SIGKILL)  # the sandbox itself, or the command in it
    action = server.wait_until(broken, lambda event: event.get("action") == "run")
    told = server.wait_until(broken, lambda event: event.get("cause") == action["id"])
    assert told["observation"] == "error" or told["extras"]["metadata"]["exit_code"] != 0
    wait_until_gone(mark, 1.0)
    assert server.wait_for(sibling, "run")["content"] == "fine\n"
    server.request("POST", f"/api/conversations/{broken}/message", {"message": "$ echo alive"})
    server.wait_until(broken, lambda event: event.get("content") == "alive\n")


def test_a_connection_that_is_reset_is_gone_and_its_siblings_do_not_notice(server: ServerProcess) -> None:
    conversation_id = server.create()
    sibling = socketio.SimpleClient()
    sibling.connect(f"{server.url}?conversation_id={conversation_id}", transports=["websocket"])
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as doomed:
        doomed.sendall(
            f"GET /socket.io/?EIO=4&transport=websocket&conversation_id={conversation_id} HTTP/1.1\r\n"
            "Host: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
            + b"\x81\x82\0\0\0\x0040"
        )
        wait_for_connections(server, conversation_id, 2)
        doomed.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, and no goodbye
    server.request("POST", f"/api/conversations/{conversation_id}/message", {"message": "/note after"})
    while "/note after" not in json.dumps(sibling.receive(timeout=10)):
        pass
    wait_for_connections(server, conversation_id, 1)
    sibling.disconnect()


def wait_for_connections(server: ServerProcess, conversation_id: str, count: int) -> None:
    deadline = time.monotonic() + 5
    while server.request("GET", f"/api/conversations/{conversation_id}")["num_connections"] != count:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_killed_server_leaves_nothing_in_the_temporary_folder(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    server = ServerProcess(tmp_path / "data", {"TMPDIR": str(temporary)})
    server.start()
    try:
        server.wait_for(server.create("$ echo here"), "run")
    finally:
        server.kill()
    assert list(temporary.iterdir()) == []
