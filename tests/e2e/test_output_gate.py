"""What kill -9 cannot show: while a sync has not returned, nobody hears of what it makes durable (K8)."""

import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.server import ServerProcess
from tests.e2e.test_real_clients import PythonClient

pytestmark = pytest.mark.wallclock


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path / "data", module="tests.e2e.held_disk_server")
    process.start()
    yield process
    process.kill()


@pytest.fixture
def hold(server: ServerProcess) -> Path:
    return server.data.parent / "hold"


def nothing_within(seconds: float, events: "queue.Queue[Any]") -> bool:
    try:
        events.get(timeout=seconds)
    except queue.Empty:
        return True
    return False


def test_k08_nothing_leaves_before_durable(server: ServerProcess, hold: Path) -> None:
    conversation_id = server.create()
    sender, other = (PythonClient(server, conversation_id, -1, ["websocket"]) for _ in range(2))
    sender.until("awaiting_user_input")
    other.until("awaiting_user_input")
    hold.touch()
    acks: queue.Queue[Any] = queue.Queue()
    action = {"action": "message", "args": {"content": "/note held"}}
    sender.client.emit("oh_user_action", action, callback=lambda *answer: acks.put(answer))
    answers: queue.Queue[Any] = queue.Queue()
    path = f"/api/conversations/{conversation_id}/message"
    by_rest = threading.Thread(target=lambda: answers.put(server.request("POST", path, {"message": "/note held too"})))
    by_rest.start()
    assert nothing_within(1.0, acks)
    assert nothing_within(0.0, answers)
    assert nothing_within(0.0, sender.events)
    assert nothing_within(0.0, other.events)
    held = [event for event in server.events(conversation_id) if event.get("action") == "message"]
    assert held == []
    # The bytes are there, only not yet durable: nobody is told of what a power cut may take back.
    log = (server.data / "conversations" / conversation_id / "events.jsonl").read_text()
    assert "held" in log
    assert server.request("GET", "/alive") == {"status": "ok"}
    hold.unlink()
    assert acks.get(timeout=5) == ()
    assert answers.get(timeout=5) == {"success": True}
    by_rest.join()
    for client in (sender, other):
        assert [event["args"]["content"] for event in client.take(2)] == ["/note held", "/note held too"]
        client.client.disconnect()


def test_k08_a_conversation_that_is_created_is_answered_when_it_is_durable(server: ServerProcess, hold: Path) -> None:
    hold.touch()
    answers: queue.Queue[str] = queue.Queue()
    creation = threading.Thread(target=lambda: answers.put(server.create("/note first")))
    creation.start()
    silent = nothing_within(0.5, answers)
    listed = server.request("GET", "/api/conversations")["results"]
    hold.unlink()
    assert silent
    assert listed == []
    conversation_id = answers.get(timeout=5)
    creation.join()
    assert server.events(conversation_id)[1]["args"]["content"] == "/note first"
