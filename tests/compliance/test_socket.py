"""Socket.IO frame by frame against the real server: what is sent, in which order, in which shape (contract §2, §3, §5).

A client of bare frames, so that no library's good manners stand between: what is asserted is what is on the wire.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.compliance.shapes import NOTICE, difference, event_shape
from tests.e2e.server import ServerProcess
from tests.e2e.test_confirmation import words

pytestmark = pytest.mark.wallclock

KEY = "the-key-of-this-server"

OPEN = {"sid": str, "upgrades": [], "pingInterval": 25_000, "pingTimeout": 20_000, "maxPayload": 4_194_304}
"""V0's values, in the order of Engine.IO's own server."""

GREETING = {"sid": str, "recovered": bool, "stream_epoch": int}
"""V0's `sid`, and beside it what tells a client whether its position was taken up (K32)."""


class Frames:
    """One WebSocket; `opened` is what the server says first."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self.opened = self.take()

    def send(self, text: str) -> None:
        self._connection.send(text)

    def act(self, action: Any, ack: str = "") -> None:
        self.send(f"42{ack}{json.dumps(['oh_user_action', action])}")

    def take(self) -> str:
        """The next frame; pings are answered on the way."""
        while (text := str(self._connection.recv(timeout=10))) == "2":
            self.send("3")
        return text

    def until(self, *wanted: str) -> list[str]:
        """Frames up to the one in which all of this stands."""
        found = [self.take()]
        while not all(text in found[-1] for text in wanted):
            found.append(self.take())
        return found

    def close(self) -> None:
        self._connection.close()


Dial = Callable[..., Frames]


@pytest.fixture
def dial() -> Iterator[Dial]:
    """Open a connection to a server and to a namespace of it; the test need not hang up."""
    with ExitStack() as connections:

        def to(server: ServerProcess, query: str, *, opening: str = "40", key: str = KEY) -> Frames:
            address = server.url.replace("http", "ws", 1)
            url = f"{address}/socket.io/?EIO=4&transport=websocket&session_api_key={key}&{query}"
            client = Frames(connections.enter_context(connect(url)))
            client.send(opening)
            return client

        yield to


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path_factory.mktemp("frames") / "data", {"SESSION_API_KEY": KEY})
    process.start()
    yield process
    process.kill()


def told(frames: list[str]) -> list[Any]:
    """What came as `oh_event`, each in one of the shapes that there are."""
    found = [json.loads(frame[2:])[1] for frame in frames if frame.startswith('42["oh_event"')]
    for one in found:
        assert difference(event_shape(one) if "id" in one and "source" in one else NOTICE, one) == ""
    return found


def events(frames: list[str]) -> list[dict[str, Any]]:
    return [one for one in told(frames) if type(one.get("id")) is int]


def ready(dial: Dial, server: ServerProcess) -> tuple[str, Frames]:
    """A conversation that waits for its user, and a client that has read all of it."""
    conversation_id = server.create()
    server.wait_until(
        conversation_id, lambda event: event.get("extras", {}).get("agent_state") == "awaiting_user_input"
    )
    client = dial(server, f"conversation_id={conversation_id}&latest_event_id=-1")
    client.until("STATUS$READY")
    return conversation_id, client


@pytest.mark.parametrize(
    ("query", "how", "answer"),
    [
        ("latest_event_id=-1", {}, '44{"message":"No conversation_id in query params"}'),
        (f"conversation_id={'0' * 32}", {"key": "wrong"}, '44{"message":"invalid_session_api_key"}'),
        (f"conversation_id={'0' * 32}", {"key": "null"}, '44{"message":"invalid_session_api_key"}'),
        (f"conversation_id={'0' * 32}", {"opening": "40/admin,"}, '44/admin,"Unable to connect"'),
    ],
)
def test_a_handshake_that_fails_is_answered_in_v0s_words(
    dial: Dial, server: ServerProcess, query: str, how: dict[str, str], answer: str
) -> None:
    client = dial(server, query, **how)
    assert difference(OPEN, json.loads(client.opened[1:])) == ""
    assert client.take() == answer


def test_who_joins_is_greeted_first_then_gets_the_history_and_how_the_run_time_is(
    dial: Dial, server: ServerProcess
) -> None:
    conversation_id, client = ready(dial, server)
    client.close()
    again = dial(server, f"conversation_id={conversation_id}&latest_event_id=-1&providers_set=")
    greeting, *history = again.until("STATUS$READY")
    assert difference(GREETING, json.loads(greeting.removeprefix("40"))) == ""
    assert words(events(history)) == ["state loading", "state awaiting_user_input"]
    assert told(history)[-1] == {"status_update": True, "type": "info", "id": "STATUS$READY", "message": ""}


def test_who_comes_back_gets_what_is_behind_its_last_event(dial: Dial, server: ServerProcess) -> None:
    conversation_id, client = ready(dial, server)
    client.act({"action": "message", "args": {"content": "hello"}})
    last = events(client.until("awaiting_user_input"))
    client.close()
    for position, missed in ((last[-1]["id"], []), (last[0]["id"], last[1:])):
        back = dial(server, f"conversation_id={conversation_id}&latest_event_id={position}")
        assert events(back.until("STATUS$READY")) == missed
        back.close()


def test_a_message_is_echoed_acknowledged_and_answered_in_v0s_order(dial: Dial, server: ServerProcess) -> None:
    _, client = ready(dial, server)
    content = {"content": "hello", "image_urls": [], "file_urls": [], "timestamp": "2026-01-01T00:00:00.000Z"}
    client.act({"action": "message", "args": content}, ack="1")
    frames = client.until("awaiting_user_input")
    assert "431[]" in frames
    assert words(events(frames)) == ["message", "state running", "message", "state awaiting_user_input"]
    user, _, agent, _ = events(frames)
    assert (user["source"], agent["source"], agent["args"]["wait_for_response"]) == ("user", "agent", True)
    client.send('42["oh_action",{"action":"message","args":{"content":"/note by the older name"}}]')
    assert events(client.until("by the older name"))[-1]["source"] == "user"


def test_a_stopped_run_closes_its_action_and_then_says_that_it_is_stopped(dial: Dial, server: ServerProcess) -> None:
    _, client = ready(dial, server)
    client.act({"action": "message", "args": {"content": "$ sleep 60"}})
    begun = events(client.until('"action":"run"'))
    client.act({"action": "change_agent_state", "args": {"agent_state": "stopped"}})
    asked, closed, stopped = events(client.until('"agent_state":"stopped"', "observation"))
    assert words([asked, stopped]) == ["asked stopped", "state stopped"]
    assert (asked["source"], closed["cause"]) == ("user", begun[-1]["id"])


def test_an_error_of_the_agent_is_a_state_with_its_reason(dial: Dial, server: ServerProcess) -> None:
    _, client = ready(dial, server)
    client.act({"action": "message", "args": {"content": "/error out of cheese"}})
    *_, error = events(client.until('"agent_state":"error"'))
    assert error["extras"] == {"agent_state": "error", "reason": "out of cheese"}


@pytest.mark.parametrize(
    "junk",
    [
        "just a string", {"no_action": 1}, {"action": "zzz"}, {"action": "message"}, 5, None,
        {"action": "change_agent_state", "args": {"agent_state": "bogus"}},
        {"action": "run", "args": {"command": "id"}},
    ],
)  # fmt: skip
def test_d22_what_cannot_be_understood_is_refused_and_told(dial: Dial, server: ServerProcess, junk: Any) -> None:
    _, client = ready(dial, server)
    client.act(junk, ack="7")
    frames = [client.take(), client.take()]
    [answer] = [frame for frame in frames if frame.startswith("437")]
    assert difference([{"error": True, "code": str, "message": str}], json.loads(answer[3:])) == ""
    assert difference({"error": True, "message": str}, told(frames)[0]) == ""


def test_a_new_title_is_told_to_everybody(dial: Dial, server: ServerProcess) -> None:
    conversation_id, client = ready(dial, server)
    server.request("PATCH", f"/api/conversations/{conversation_id}", {"title": "  New  "})
    [title] = told(client.until("conversation_title"))
    assert title == {"status_update": True, "type": "info", "message": conversation_id, "conversation_title": "New"}


def test_stopped_over_rest_all_clients_are_told_and_then_sent_away(dial: Dial, server: ServerProcess) -> None:
    conversation_id, client = ready(dial, server)
    other = dial(server, f"conversation_id={conversation_id}&latest_event_id=-1")
    other.until("STATUS$READY")
    server.request("POST", f"/api/conversations/{conversation_id}/stop")
    for frames in ([each.take(), each.take()] for each in (client, other)):
        assert words(events(frames)) == ["state stopped"]
        assert frames[1] == "41"


@pytest.mark.parametrize(
    ("decision", "order"),
    [
        ("user_confirmed", ["run confirmed", "state user_confirmed", "state running", "observed run"]),
        ("user_rejected", ["run rejected", "state user_rejected", "observed user_rejected"]),
    ],
)
def test_a_confirmation_goes_in_v0s_order(dial: Dial, tmp_path: Path, decision: str, order: list[str]) -> None:
    server = ServerProcess(tmp_path / "data", {"SECURITY_CONFIRMATION_MODE": "true"})
    server.start()
    try:
        _, client = ready(dial, server)
        client.act({"action": "message", "args": {"content": "$ echo hi"}})
        asked = events(client.until('"confirmation_state":"awaiting_confirmation"'))
        assert words(asked)[-2:] == ["state awaiting_user_confirmation", "run awaiting_confirmation"]
        client.act({"action": "change_agent_state", "args": {"agent_state": decision}})
        decided = events(client.until('"agent_state":"awaiting_user_input"'))
        client.close()
    finally:
        server.kill()
    assert words(decided) == [f"asked {decision}", *order, "state awaiting_user_input"]
    copy = decided[1]
    assert (copy["args"]["thought"], copy["id"] > asked[-1]["id"]) == ("", True)
    [result] = [event for event in decided if event.get("observation") in ("run", "user_rejected")]
    assert result["cause"] == copy["id"]
