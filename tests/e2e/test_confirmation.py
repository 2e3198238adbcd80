"""Confirmation mode with the server as a process and python-socketio's client (contract §5)."""

import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.server import ServerProcess
from tests.e2e.test_real_clients import PythonClient

pytestmark = pytest.mark.wallclock

COMMAND = "$ echo done >> proof; cat proof"
"""Whoever runs it twice is found out."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path / "data", {"SECURITY_CONFIRMATION_MODE": "true"})
    process.start()
    yield process
    process.kill()


def proof(server: ServerProcess, conversation_id: str) -> str:
    path = server.data / "conversations" / conversation_id / "files" / "proof"
    return path.read_text() if path.exists() else ""


def decide(client: PythonClient, state: str) -> Any:
    action = {"action": "change_agent_state", "args": {"agent_state": state}}
    return client.client.call("oh_user_action", action, timeout=10)


def wait_for_state(server: ServerProcess, conversation_id: str, state: str) -> None:
    deadline = time.monotonic() + 10
    while server.request("GET", f"/api/conversations/{conversation_id}")["lifecycle"]["agent_state"] != state:
        assert time.monotonic() < deadline, f"never {state}"
        time.sleep(0.05)


def words(events: list[dict[str, Any]]) -> list[str]:
    """What a client sees, a word each, in the order of the ids."""
    return [_word(event) for event in events]


def _word(event: dict[str, Any]) -> str:
    if event.get("observation") == "agent_state_changed":
        return f"state {event['extras']['agent_state']}"
    if event.get("action") == "change_agent_state":
        return f"asked {event['args']['agent_state']}"
    if event.get("action") == "run":
        return f"run {event['args']['confirmation_state']}"
    return f"observed {event['observation']}" if "observation" in event else str(event["action"])


def asked(server: ServerProcess) -> tuple[str, PythonClient, list[dict[str, Any]]]:
    """A conversation whose command awaits the user, and its client."""
    conversation_id = server.create()
    client = PythonClient(server, conversation_id, -1, ["websocket"])
    client.until("awaiting_user_input")
    client.say(COMMAND)
    return conversation_id, client, client.until("awaiting_user_confirmation")


def test_a_command_is_run_once_it_is_confirmed_and_the_order_is_v0s(server: ServerProcess) -> None:
    conversation_id, client, events = asked(server)
    assert words(events) == [
        *("message", "state running", "state awaiting_user_confirmation", "run awaiting_confirmation")
    ]
    assert proof(server, conversation_id) == ""
    assert decide(client, "user_confirmed") is None
    after = client.until("awaiting_user_input")
    assert words(after) == [
        *("asked user_confirmed", "run confirmed", "state user_confirmed", "state running"),
        *("observed run", "state awaiting_user_input"),
    ]
    copy, observation = after[1], after[4]
    assert copy["id"] != events[-1]["id"]
    assert copy["args"]["command"] == events[-1]["args"]["command"]
    assert (observation["cause"], observation["content"]) == (copy["id"], "done\n")
    client.close()


def test_a_rejected_command_is_never_run(server: ServerProcess) -> None:
    conversation_id, client, _ = asked(server)
    assert decide(client, "user_rejected") is None
    after = client.until("awaiting_user_input")
    assert words(after) == [
        *(
            "asked user_rejected",
            "run rejected",
            "state user_rejected",
            "observed user_rejected",
            "state awaiting_user_input",
        )
    ]
    assert after[3]["cause"] == after[1]["id"]
    assert proof(server, conversation_id) == ""
    client.close()


def test_a_decision_where_none_is_asked_for_is_refused_on_every_way_in(server: ServerProcess) -> None:
    conversation_id = server.create()
    client = PythonClient(server, conversation_id, -1, ["websocket"])
    client.until("awaiting_user_input")
    before = server.events(conversation_id)
    answer = decide(client, "user_confirmed")
    assert (answer["error"], answer["code"]) == (True, "nothing_to_confirm")
    assert client.notices.get(timeout=5)
    body = {"action": "change_agent_state", "args": {"agent_state": "user_rejected"}}
    with pytest.raises(urllib.error.HTTPError) as caught:
        server.request("POST", f"/api/conversations/{conversation_id}/events", body)
    assert caught.value.code == 409
    caught.value.close()
    assert server.events(conversation_id) == before
    client.close()


@pytest.mark.parametrize("end", [ServerProcess.kill, ServerProcess.stop], ids=["kill -9", "SIGTERM"])
@pytest.mark.parametrize(
    ("word", "observed", "left"), [("confirmed", "run", "done\n"), ("rejected", "user_rejected", "")]
)
def test_what_awaits_the_user_outlives_the_server(
    server: ServerProcess, end: Any, word: str, observed: str, left: str
) -> None:
    conversation_id, client, events = asked(server)
    end(server)
    client.client.disconnect()
    server.start()
    again = PythonClient(server, conversation_id, events[-1]["id"], ["websocket"])
    assert words(again.until("awaiting_user_confirmation")) == ["state loading", "state awaiting_user_confirmation"]
    assert proof(server, conversation_id) == ""
    decide(again, f"user_{word}")
    after = again.until("awaiting_user_input")
    [copy] = [event for event in after if event.get("action") == "run"]
    [observation] = [event for event in after if event.get("cause") == copy["id"]]
    assert observation["observation"] == observed
    assert proof(server, conversation_id) == left
    again.close()


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[ServerProcess]:
    """Looks at commands, asks about what it cannot read, and denies what is of high risk."""
    settings = {
        "SECURITY_SECURITY_ANALYZER": "rules",
        "SECURITY_CONFIRMATION_MODE": "true",
        "GREENROOM_ON_HIGH_RISK": "deny",
    }
    process = ServerProcess(tmp_path / "data", settings)
    process.start()
    yield process
    process.kill()


def test_the_rules_allow_ask_and_deny(strict: ServerProcess) -> None:
    conversation_id = strict.create()
    client = PythonClient(strict, conversation_id, -1, ["websocket"])
    client.until("awaiting_user_input")
    client.say("$ echo fine")
    assert words(client.until("awaiting_user_input"))[2:4] == ["run confirmed", "observed run"]
    client.say("$ echo x > proof; rm -rf *")
    denied, told = client.until("awaiting_user_input")[2:4]
    assert (denied["args"]["confirmation_state"], denied["args"]["security_risk"]) == ("rejected", 2)
    assert (told["observation"], told["cause"]) == ("error", denied["id"])
    assert told["content"] == "Not done: high risk: rm removes everything there is here."
    assert proof(strict, conversation_id) == ""
    client.say("$ $X y")
    question = client.until("awaiting_user_confirmation")
    assert question[-2]["extras"]["reason"] == "unknown risk: what it runs is known only to the shell"
    assert question[-1]["args"]["security_risk"] == -1
    client.close()


def test_the_stored_settings_add_to_the_configuration_from_the_next_command_on(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data")
    server.start()
    try:
        assert server.request("GET", "/api/options/security-analyzers") == ["rules"]
        conversation_id = server.create("$ echo done > proof")
        wait_for_state(server, conversation_id, "awaiting_user_input")
        assert proof(server, conversation_id) == "done\n"
        server.request("POST", "/api/settings", {"confirmation_mode": True, "security_analyzer": "rules"})
        for text, state in (("$ ls", "awaiting_user_input"), ("$ rm -rf *", "awaiting_user_confirmation")):
            server.request("POST", f"/api/conversations/{conversation_id}/message", {"message": text})
            wait_for_state(server, conversation_id, state)
        risks = [
            event["args"]["security_risk"] for event in server.events(conversation_id) if event.get("action") == "run"
        ]
        assert risks == [-1, 0, 2]
        assert proof(server, conversation_id) == "done\n"
    finally:
        server.kill()


def test_k30_a_server_that_dies_during_a_confirmed_command_does_not_run_it_again(server: ServerProcess) -> None:
    conversation_id = server.create("$ echo done >> proof; sleep 60")
    body = {"action": "change_agent_state", "args": {"agent_state": "user_confirmed"}}
    wait_for_state(server, conversation_id, "awaiting_user_confirmation")
    server.request("POST", f"/api/conversations/{conversation_id}/events", body)
    deadline = time.monotonic() + 10
    while not proof(server, conversation_id):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    server.kill()
    server.start()
    server.request("POST", f"/api/conversations/{conversation_id}/start", {})
    wait_for_state(server, conversation_id, "awaiting_user_input")
    events = server.events(conversation_id)
    copy = [event for event in events if event.get("action") == "run"][-1]
    assert [event["observation"] for event in events if event.get("cause") == copy["id"]] == ["error"]
    assert proof(server, conversation_id) == "done\n"
    with pytest.raises(urllib.error.HTTPError) as caught:
        server.request("POST", f"/api/conversations/{conversation_id}/events", body)
    assert caught.value.code == 409
    caught.value.close()
