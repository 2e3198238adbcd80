"""A conversation's life on the real server, as its clients see it: idleness, revival, restarts, the archive."""

import json
import time
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import socketio

from tests.e2e.server import ServerProcess
from tests.e2e.test_real_clients import TRANSPORTS, PythonClient, visible

pytestmark = pytest.mark.wallclock

CLOSE_DELAY_SECONDS, HIBERNATE_AFTER_SECONDS = 1.5, 0.4


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """One that loses patience soon."""
    quick = {
        "SANDBOX_CLOSE_DELAY": str(CLOSE_DELAY_SECONDS),
        "GREENROOM_HIBERNATE_AFTER": str(HIBERNATE_AFTER_SECONDS),
    }
    process = ServerProcess(tmp_path / "data", quick)
    process.start()
    yield process
    process.kill()


def look(server: ServerProcess, conversation_id: str) -> dict[str, Any]:
    found: dict[str, Any] = server.request("GET", f"/api/conversations/{conversation_id}")
    return found


def wait_until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_cold(server: ServerProcess, conversation_id: str) -> bool:
    found = look(server, conversation_id)
    return (found["status"], found["lifecycle"]["residency"]) == ("STOPPED", "cold")


def refusal(server: ServerProcess, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    with pytest.raises(urllib.error.HTTPError) as caught:
        server.request(method, path, body)
    with caught.value as answer:
        return answer.code, json.load(answer)


# --- idle past `close_delay` ---


def test_k22_without_a_client_it_is_closed_and_a_message_by_rest_revives_it(server: ServerProcess) -> None:
    conversation_id = server.create("$ echo one > kept")
    server.wait_for(conversation_id, "run")
    wait_until(lambda: is_cold(server, conversation_id))
    server.request("POST", f"/api/conversations/{conversation_id}/message", {"message": "$ cat kept"})
    server.wait_until(conversation_id, lambda event: event.get("content") == "one\n")
    assert look(server, conversation_id)["status"] == "RUNNING"
    ids = [event["id"] for event in server.events(conversation_id)]
    assert ids == list(range(len(ids)))


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
def test_k22_a_client_that_connects_revives_it_and_gets_what_it_missed(
    server: ServerProcess, transports: list[str]
) -> None:
    conversation_id = server.create("/note before")
    wait_until(lambda: is_cold(server, conversation_id))
    stored = visible(server.events(conversation_id))
    client = PythonClient(server, conversation_id, stored[0]["id"], transports)
    assert client.take(len(stored) - 1) == stored[1:]
    wait_until(lambda: look(server, conversation_id)["status"] == "RUNNING")
    assert client.say("hello") is None
    assert any(event.get("message") == "hello" for event in client.until("awaiting_user_input"))
    client.close()


def test_k22_a_connected_client_holds_it_open_while_its_actor_leaves_memory_unnoticed(server: ServerProcess) -> None:
    conversation_id = server.create("$ echo $$")
    client = PythonClient(server, conversation_id, -1, ["websocket"])
    client.until("awaiting_user_input")
    time.sleep(CLOSE_DELAY_SECONDS + 1)
    found = look(server, conversation_id)
    assert (found["status"], found["lifecycle"]["residency"], found["num_connections"]) == ("RUNNING", "hibernated", 1)
    before = server.events(conversation_id)
    assert client.events.empty()
    assert client.say("/note still here") is None
    [event] = client.take(1)
    assert event["id"] == len(before)
    client.close()
    wait_until(lambda: is_cold(server, conversation_id))


def test_k22_if_so_configured_a_connected_client_is_told_and_sent_away(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", {"SANDBOX_CLOSE_DELAY": "1", "GREENROOM_CLOSE_CONNECTED": "true"})
    server.start()
    try:
        conversation_id = server.create()
        client = PythonClient(server, conversation_id, -1, ["websocket"])
        ended: list[str] = []
        client.client.on("disconnect", ended.append)
        wait_until(lambda: is_cold(server, conversation_id))
        wait_until(lambda: bool(ended))
        assert ended == ["server disconnect"]
        told = [client.notices.get(timeout=1)["id"] for _ in range(client.notices.qsize())]
        assert told[-1] == "SESSION$TIMEOUT_MESSAGE"
        states = [event["extras"]["agent_state"] for event in client.take(client.events.qsize()) if "extras" in event]
        assert states[-1] == "stopped"
        client.close()
    finally:
        server.kill()


def test_k21_who_is_busy_or_kept_alive_is_not_closed(server: ServerProcess) -> None:
    busy, kept = server.create(f"$ sleep {CLOSE_DELAY_SECONDS * 2}; echo done"), server.create()
    server.request("POST", f"/api/conversations/{kept}/keepalive", {"seconds": 60})
    server.wait_until(busy, lambda event: event.get("content") == "done\n")
    assert look(server, kept)["status"] == "RUNNING"


# --- two clients, and a server that goes away ---


def test_two_clients_of_one_conversation_see_the_same(server: ServerProcess) -> None:
    conversation_id = server.create()
    clients = [PythonClient(server, conversation_id, -1, transports) for transports in (["websocket"], ["polling"])]
    for client in clients:
        client.until("awaiting_user_input")
    clients[0].say("/note from the one")
    clients[1].say("/note from the other")
    seen = [client.take(2) for client in clients]
    assert seen[0] == seen[1]
    assert [event["args"]["content"] for event in seen[0]] == ["/note from the one", "/note from the other"]
    assert look(server, conversation_id)["num_connections"] == 2
    clients[0].close()
    clients[1].say("/note alone")
    assert clients[1].take(1)[0]["args"]["content"] == "/note alone"
    clients[1].close()


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
def test_a_server_that_was_killed_and_is_back_is_found_again_with_nothing_missed_or_repeated(
    server: ServerProcess, transports: list[str]
) -> None:
    conversation_id = server.create("/note before")
    seen: list[int] = []

    def url() -> str:
        # Asked at each attempt, as the stock UI does: the client comes back with the last event that it has seen.
        return f"{server.url}?conversation_id={conversation_id}&latest_event_id={max(seen, default=-1)}"

    client = socketio.Client(reconnection_delay=0.1, reconnection_delay_max=0.2)
    client.on("oh_event", lambda event: seen.append(event["id"]) if type(event.get("id")) is int else None)
    client.connect(url, transports=transports)
    wait_until(lambda: len(seen) >= 2)
    server.kill()
    server.start()
    server.request("POST", f"/api/conversations/{conversation_id}/message", {"message": "/note after"})
    stored = [event["id"] for event in visible(server.events(conversation_id))]
    wait_until(lambda: max(seen) >= stored[-1])
    time.sleep(0.3)
    assert sorted(seen) == [event["id"] for event in visible(server.events(conversation_id))]
    client.disconnect()


# --- the archive ---


def test_an_archived_conversation_is_read_and_takes_nothing_until_it_is_taken_out(server: ServerProcess) -> None:
    conversation_id = server.create("/note kept")
    path = f"/api/conversations/{conversation_id}"
    assert server.request("POST", f"{path}/archive")["conversation_status"] == "ARCHIVED"
    stored = visible(server.events(conversation_id))
    client = PythonClient(server, conversation_id, -1, ["websocket"])
    assert client.take(len(stored)) == stored
    refused = client.say("/note too late")
    assert (refused["error"], refused["code"]) == (True, "illegal_transition")
    client.close()
    for verb, body in (("message", {"message": "hi"}), ("start", {}), ("resume", {}), ("stop", {})):
        status, told = refusal(server, "POST", f"{path}/{verb}", body)
        assert (status, told["code"]) == (409, "illegal_transition")
    server.request("POST", f"{path}/unarchive")
    server.request("POST", f"{path}/message", {"message": "$ echo back"})
    server.wait_until(conversation_id, lambda event: event.get("content") == "back\n")
    assert server.request("DELETE", path) is True


def test_a_running_conversation_is_not_archived(server: ServerProcess) -> None:
    conversation_id = server.create("$ sleep 5")
    server.wait_until(conversation_id, lambda event: event.get("action") == "run")
    status, told = refusal(server, "POST", f"/api/conversations/{conversation_id}/archive")
    assert (status, told["code"]) == (409, "illegal_transition")


def test_paused_and_resumed(server: ServerProcess) -> None:
    conversation_id = server.create("$ sleep 30; echo never")
    server.wait_until(conversation_id, lambda event: event.get("action") == "run")
    path = f"/api/conversations/{conversation_id}"
    server.request("POST", f"{path}/pause")
    server.wait_until(conversation_id, lambda event: event.get("extras", {}).get("agent_state") == "paused")
    assert look(server, conversation_id)["status"] == "RUNNING"
    server.request("POST", f"{path}/message", {"message": "and now"})
    server.wait_until(conversation_id, lambda event: event.get("message") == "and now" and event["source"] == "agent")
