"""The server process driven by python-socketio's client and npm's socket.io-client, over every transport."""

import json
import queue
import subprocess
import time
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

import pytest
import socketio

from tests.e2e.server import ServerProcess
from tests.needs import NPMS_CLIENT, need_npms_client

pytestmark = pytest.mark.wallclock

TRANSPORTS = [["websocket"], ["polling"], ["polling", "websocket"]]


class PythonClient:
    """python-socketio's client; events land in a queue."""

    def __init__(self, server: ServerProcess, conversation_id: str, latest: int, transports: list[str]) -> None:
        self.events: queue.Queue[dict[str, Any]] = queue.Queue()
        self.client = socketio.Client(reconnection=False)
        self.notices: queue.Queue[dict[str, Any]] = queue.Queue()
        self.client.on("oh_event", self.take_in)
        url = f"{server.url}?conversation_id={conversation_id}&latest_event_id={latest}"
        self.client.connect(url, transports=transports)

    def take_in(self, event: dict[str, Any]) -> None:
        (self.events if type(event.get("id")) is int else self.notices).put(event)

    def say(self, text: str) -> Any:
        return self.client.call("oh_user_action", {"action": "message", "args": {"content": text}}, timeout=10)

    def take(self, count: int) -> list[dict[str, Any]]:
        """By id: this client runs a thread for each message. The order of arrival is proven with npm's client."""
        return sorted((self.events.get(timeout=30) for _ in range(count)), key=itemgetter("id"))

    def until(self, state: str) -> list[dict[str, Any]]:
        """Everything up to this agent state, and what is still on its way then."""
        found: list[dict[str, Any]] = []
        while not found or found[-1].get("extras", {}).get("agent_state") != state:
            found.append(self.events.get(timeout=10))
        time.sleep(0.3)
        return sorted([*found, *self.take(self.events.qsize())], key=itemgetter("id"))

    def close(self) -> None:
        self.client.disconnect()
        self.client.wait()


def visible(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if not str(event.get("observation")).startswith("greenroom.")]


def node_client(*arguments: str, status: int = 0) -> list[dict[str, Any]]:
    need_npms_client()
    finished = subprocess.run(
        ["node", "client.mjs", *arguments], cwd=NPMS_CLIENT, capture_output=True, text=True, timeout=60, check=False
    )
    assert finished.returncode == status, finished.stdout + finished.stderr
    return [json.loads(line) for line in finished.stdout.splitlines()]


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
def test_k31_python_client_gets_exactly_what_it_missed(server: ServerProcess, transports: list[str]) -> None:
    conversation_id = server.create()
    client = PythonClient(server, conversation_id, -1, transports)
    client.until("awaiting_user_input")
    assert client.say("$ echo $((40+2))") is None
    found = client.until("awaiting_user_input")
    [action] = [event for event in found if event.get("action") == "run"]
    [observation] = [event for event in found if event.get("observation") == "run"]
    assert observation["content"] == "42\n"
    assert observation["cause"] == action["id"]
    client.close()
    server.request("POST", f"/api/conversations/{conversation_id}/message", {"message": "/note missed"})
    latest = found[-1]["id"]
    client = PythonClient(server, conversation_id, latest, transports)
    expected = [event for event in visible(server.events(conversation_id)) if event["id"] > latest]
    assert client.take(len(expected)) == expected
    assert client.events.empty()
    client.close()


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
def test_k31_npm_client_gets_exactly_what_it_missed(server: ServerProcess, transports: list[str]) -> None:
    conversation_id = server.create("/note first")
    server.wait_for(conversation_id, "agent_state_changed")
    lines = node_client(server.url, conversation_id, "-1", ",".join(transports), "$ echo $((40+2))", "7")
    assert {"ack": []} in lines
    events = [line["event"] for line in lines if "event" in line]
    assert lines[-1] == {"transport": transports[-1]}
    stored = visible(server.events(conversation_id))
    assert events == stored[: len(events)]
    latest = events[-1]["id"]
    for text in ("/note a", "/note b", "/note c"):
        server.request("POST", f"/api/conversations/{conversation_id}/message", {"message": text})
    expected = [event for event in visible(server.events(conversation_id)) if event["id"] > latest]
    again = node_client(server.url, conversation_id, str(latest), ",".join(transports), "", str(len(expected)))
    assert [line["event"] for line in again if "event" in line] == expected


@pytest.fixture(scope="module")
def long_history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, str]]:
    """A server, and a conversation of 10,000 events, for whoever only reads it."""
    server = ServerProcess(tmp_path_factory.mktemp("long") / "data")
    server.start()
    conversation_id = server.create("/burst 10000 100")
    server.wait_for(conversation_id, "greenroom.run_ended", 60)
    yield server, conversation_id
    server.kill()


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
def test_a_history_of_10000_events_reaches_both_clients_whole(
    long_history: tuple[ServerProcess, str], transports: list[str]
) -> None:
    server, conversation_id = long_history
    stored = visible(server.events(conversation_id))
    assert len(stored) > 10_000
    client = PythonClient(server, conversation_id, -1, transports)
    assert client.take(len(stored)) == stored
    client.close()
    lines = node_client(server.url, conversation_id, "-1", ",".join(transports), "", str(len(stored)))
    assert [line["event"] for line in lines if "event" in line] == stored


def test_d21_a_forged_action_is_refused_and_told(server: ServerProcess) -> None:
    conversation_id = server.create()
    client = PythonClient(server, conversation_id, -1, ["websocket"])
    answer = client.client.call("oh_user_action", {"action": "run", "args": {"command": "id"}}, timeout=10)
    assert answer["error"] is True
    assert answer["code"] == "bad_action"
    assert all(event.get("action") != "run" for event in server.events(conversation_id))
    client.close()


def test_an_unknown_conversation_is_refused_and_not_created(server: ServerProcess) -> None:
    unknown = "0" * 32
    lines = node_client(server.url, unknown, "-1", "websocket", "", "1", status=2)
    assert lines[0] == {"connect_error": "Conversation not found"}
    assert server.request("GET", f"/api/conversations/{unknown}") is None
