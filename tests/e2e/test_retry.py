"""K11, K12, K13 on the real server with real clients: tried, killed, tried again."""

import http.client
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.e2e.server import ServerProcess
from tests.e2e.test_kill import check_log
from tests.e2e.test_output_gate import nothing_within
from tests.e2e.test_real_clients import PythonClient

pytestmark = pytest.mark.wallclock

ALL = "/api/conversations"


@attrs.frozen
class Answer:
    status: int
    body: Any
    replayed: bool


def ask(server: ServerProcess, method: str, path: str, body: Any, **headers: str) -> Answer:
    """Raises `OSError` when the server goes meanwhile."""
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=20)
    sent = {"Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(method, path, json.dumps(body), sent)
        answer = connection.getresponse()
        return Answer(answer.status, json.load(answer), answer.headers.get("Idempotency-Replayed") == "true")
    finally:
        connection.close()


def in_background(work: Callable[[], Any]) -> "queue.Queue[Any]":
    """What came of it: a value, or the error."""
    found: queue.Queue[Any] = queue.Queue()

    def run() -> None:
        try:
            found.put(work())
        except (OSError, http.client.HTTPException) as failure:
            found.put(failure)

    threading.Thread(target=run, daemon=True).start()
    return found


def at_rest(server: ServerProcess) -> str:
    """A conversation that writes nothing by itself any more."""
    it = server.create()
    server.wait_until(it, lambda event: (event.get("extras") or {}).get("agent_state") == "awaiting_user_input")
    return it


def wait_until_written(server: ServerProcess, conversation_id: str, text: str) -> None:
    path, deadline = server.data / "conversations" / conversation_id / "events.jsonl", time.monotonic() + 10
    while text not in path.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def log_of(server: ServerProcess, conversation_id: str) -> list[dict[str, Any]]:
    return check_log(server.data / "conversations" / conversation_id / "events.jsonl")


def notes(server: ServerProcess, conversation_id: str) -> list[str]:
    return [event["args"]["content"] for event in log_of(server, conversation_id) if event.get("action") == "message"]


def restart(server: ServerProcess, how: str) -> None:
    if how == "kill -9":
        server.kill()
    else:
        assert server.stop() == 0
    server.start()


@pytest.fixture
def held(tmp_path: Path) -> Iterator[tuple[ServerProcess, Path]]:
    """A server whose syncs do not return while the file is there."""
    server = ServerProcess(tmp_path / "data", module="tests.e2e.held_disk_server")
    server.start()
    yield server, server.data.parent / "hold"
    server.kill()


@pytest.mark.parametrize("how", ["SIGTERM", "kill -9"])
def test_k11_k13_a_retry_after_a_restart_is_answered_from_the_log(server: ServerProcess, how: str) -> None:
    creation = {"initial_user_msg": "/note first"}
    made = ask(server, "POST", ALL, creation, Idempotency_Key="c")
    it = made.body["conversation_id"]
    server.wait_for(it, "agent_state_changed")
    commands: list[tuple[str, str, Any]] = [
        ("POST", f"{ALL}/{it}/message", {"message": "/note second"}),
        ("PATCH", f"{ALL}/{it}", {"title": "a title"}),
        ("POST", f"{ALL}/{it}/keepalive", {"seconds": 60}),
        ("POST", f"{ALL}/{it}/pause", None),
    ]
    first = [ask(server, *command, Idempotency_Key=f"k{n}") for n, command in enumerate(commands)]
    assert [answer.status for answer in first] == [200] * len(commands)
    restart(server, how)
    again = ask(server, "POST", ALL, creation, Idempotency_Key="c")
    assert again == attrs.evolve(made, replayed=True)
    for number, command in enumerate(commands):
        assert ask(server, *command, Idempotency_Key=f"k{number}") == attrs.evolve(first[number], replayed=True)
    assert notes(server, it) == ["/note first", "/note second"]
    assert len(server.request("GET", ALL)["results"]) == 1
    assert ask(server, "POST", ALL, {}, Idempotency_Key="c").body["code"] == "key_reused"


def test_k13_killed_before_the_answer_a_retry_takes_effect_once(held: tuple[ServerProcess, Path]) -> None:
    server, hold = held
    it = at_rest(server)
    path, body = f"{ALL}/{it}/message", {"message": "/note held"}
    hold.touch()
    first = in_background(lambda: ask(server, "POST", path, body, Idempotency_Key="k"))
    second = in_background(lambda: ask(server, "POST", path, body, Idempotency_Key="k"))
    wait_until_written(server, it, "/note held")
    # Neither the first nor its double is told of what is not durable (K8).
    assert nothing_within(0.5, first)
    assert nothing_within(0.0, second)
    server.kill()
    assert isinstance(first.get(timeout=5), (OSError, http.client.HTTPException))
    hold.unlink()
    server.start()
    answer = ask(server, "POST", path, body, Idempotency_Key="k")
    assert (answer.status, answer.replayed) == (200, True)
    assert notes(server, it) == ["/note held"]
    assert server.events(it)[answer.body["event_id"]]["args"]["content"] == "/note held"


def test_k11_a_double_in_flight_is_answered_after_the_first_is_durable(held: tuple[ServerProcess, Path]) -> None:
    server, hold = held
    it = at_rest(server)
    path, body = f"{ALL}/{it}/message", {"message": "/note held"}
    hold.touch()
    answers = [in_background(lambda: ask(server, "POST", path, body, Idempotency_Key="k")) for _ in range(5)]
    assert all(nothing_within(0.2, each) for each in answers)
    hold.unlink()
    found = [each.get(timeout=5) for each in answers]
    assert sorted(answer.replayed for answer in found) == [False, True, True, True, True]
    assert len({answer.body["event_id"] for answer in found}) == 1
    assert notes(server, it) == ["/note held"]


def test_k13_killed_within_a_creation_a_retry_finds_it_or_makes_it_once(held: tuple[ServerProcess, Path]) -> None:
    server, hold = held
    body = {"initial_user_msg": "hello"}
    hold.touch()
    first = in_background(lambda: ask(server, "POST", ALL, body, Idempotency_Key="k"))
    assert nothing_within(0.5, first)
    server.kill()
    hold.unlink()
    server.start()
    made = ask(server, "POST", ALL, body, Idempotency_Key="k")
    again = ask(server, "POST", ALL, body, Idempotency_Key="k")
    assert (made.status, again) == (200, attrs.evolve(made, replayed=True))
    assert len(server.request("GET", ALL)["results"]) == 1
    it = made.body["conversation_id"]
    server.wait_until(it, lambda event: event.get("source") == "agent" and event.get("action") == "message")


def test_k11_k12_over_a_socket_and_across_a_kill(server: ServerProcess) -> None:
    it = server.create()
    client = PythonClient(server, it, -1, ["websocket"])
    client.until("awaiting_user_input")
    server.request("PATCH", f"{ALL}/{it}", {"title": "named"})  # or the first message would
    at = server.request("GET", f"{ALL}/{it}")["lifecycle"]["last_event_id"]
    action = {"action": "message", "args": {"content": "/note once"}, "idempotency_key": "k", "expected_event_id": at}
    call = client.client.call
    assert call("oh_user_action", action, timeout=10) == {"event_id": at + 1, "replayed": False}
    assert call("oh_user_action", action, timeout=10) == {"event_id": at + 1, "replayed": True}
    refused = call("oh_user_action", action | {"idempotency_key": "l"}, timeout=10)
    assert (refused["code"], refused["last_event_id"]) == ("event_id_mismatch", at + 2)
    server.kill()
    client.close()
    server.start()
    client = PythonClient(server, it, at + 1, ["websocket"])
    answer = client.client.call("oh_user_action", action, timeout=10)
    assert answer == {"event_id": at + 1, "replayed": True}
    # The socket had it, so REST does not do it again.
    body = {"action": "message", "args": {"content": "/note once"}}
    assert ask(server, "POST", f"{ALL}/{it}/events", body, Idempotency_Key="k").replayed
    assert notes(server, it) == ["/note once"]
    assert all("key_used" not in str(event) for event in list(client.events.queue))
    client.close()


def test_k11_k12_a_refusal_tells_code_and_id_over_rest(server: ServerProcess) -> None:
    it = at_rest(server)
    path = f"{ALL}/{it}/message"
    last = server.request("GET", f"{ALL}/{it}")["lifecycle"]["last_event_id"]
    refused = ask(server, "POST", path, {"message": "/note a"}, Expected_Event_Id=str(last - 1))
    assert (refused.status, refused.body["code"], refused.body["last_event_id"]) == (409, "event_id_mismatch", last)
    assert ask(server, "POST", path, {"message": "/note a"}, Expected_Event_Id=str(last)).status == 200
    assert ask(server, "DELETE", f"{ALL}/{it}", None, Idempotency_Key="k").status == 422
    assert notes(server, it) == ["/note a"]
