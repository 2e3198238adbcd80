"""SIGTERM to the server process: what is under way ends well, clients come back, and it is quick (K35)."""

import http.client
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import socketio

from tests.e2e.server import ServerProcess
from tests.e2e.test_kill import check_log, processes_with, start_sleep, wait_until_gone

pytestmark = pytest.mark.wallclock


def events_on_disk(server: ServerProcess, conversation_id: str) -> list[dict[str, Any]]:
    return check_log(Path(server.data) / "conversations" / conversation_id / "events.jsonl")


def test_k35_a_run_gets_its_grace_and_the_exit_status_is_0(server: ServerProcess) -> None:
    conversation_id = server.create("$ sleep 2; echo done")
    server.wait_until(conversation_id, lambda event: event.get("action") == "run")
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 8
    assert any(event.get("content") == "done\n" for event in events_on_disk(server, conversation_id))


def test_k35_a_second_signal_shortens_it(server: ServerProcess) -> None:
    mark = "60.0987"
    conversation_id = start_sleep(server, mark)
    began = time.monotonic()
    server.send(signal.SIGTERM)
    time.sleep(0.5)
    assert server.stop() == 0
    assert time.monotonic() - began < 5
    wait_until_gone(mark, 1.0)
    events = events_on_disk(server, conversation_id)
    [action] = [event for event in events if event.get("action") == "run"]
    assert len([event for event in events if event.get("cause") == action["id"]]) == 1


def test_k35_clients_are_not_told_to_stay_away_and_come_back_with_nothing_missed(server: ServerProcess) -> None:
    conversation_id = server.create()
    client, seen = socketio.Client(reconnection_delay=0.1, reconnection_delay_max=0.2), list[int]()
    reasons, back = list[str](), threading.Event()
    client.on("oh_event", lambda event: seen.append(event["id"]) if "id" in event and "action" in event else None)
    client.on("disconnect", reasons.append)
    client.on("connect", lambda: back.set() if reasons else None)
    client.connect(f"{server.url}?conversation_id={conversation_id}", transports=["websocket"])
    assert server.stop() == 0
    server.start()
    assert back.wait(10)
    assert reasons[0] in ("transport close", "transport error")  # and not "server disconnect", after which none returns
    client.call("oh_user_action", {"action": "message", "args": {"content": "/note again"}}, timeout=10)
    deadline = time.monotonic() + 5
    while not seen and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(seen) == 1
    client.disconnect()


def test_k35_meanwhile_new_work_is_refused_and_reading_goes_on(server: ServerProcess) -> None:
    conversation_id = start_sleep(server, "3.0987")
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
    connection.request("GET", "/readyz")
    assert connection.getresponse().read().startswith(b'{"status":"ready"')
    # A request under way holds its connection open while the server stops.
    connection.putrequest("POST", f"/api/conversations/{conversation_id}/message")
    connection.putheader("Content-Type", "application/json")
    body = b'{"message": "/note late"}'
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders()
    time.sleep(0.2)
    server.send(signal.SIGTERM)
    time.sleep(0.3)
    connection.send(body)
    answer = connection.getresponse()
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert b"shutting_down" in answer.read()
    connection.close()
    assert server.stop() == 0
    texts = [
        event["args"]["content"]
        for event in events_on_disk(server, conversation_id)
        if event.get("action") == "message"
    ]
    assert "/note late" not in texts


def test_k35_an_idle_server_with_many_conversations_is_gone_at_once(server: ServerProcess) -> None:
    ids = [server.create("hello") for _ in range(100)]
    server.wait_until(ids[-1], lambda event: event.get("extras", {}).get("agent_state") == "awaiting_user_input")
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 5
    for conversation_id in ids:
        found = [e for e in events_on_disk(server, conversation_id) if e.get("observation") == "agent_state_changed"]
        assert found[-1]["extras"]["agent_state"] == "awaiting_user_input"
    assert not processes_with(str(server.data))
