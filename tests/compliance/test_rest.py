"""Every route of V0's that is here, asked of the real server: status and shape, keys in V0's order (contract §1).

Where we differ on purpose the table says what ours is; docs/seed.md says why.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.compliance.shapes import CONVERSATION, HISTORY, PROBLEMS, SETTINGS, difference, event_shape
from tests.e2e.server import ServerProcess
from tests.e2e.test_guards import Answer
from tests.e2e.test_real_clients import visible

pytestmark = pytest.mark.wallclock

ALL = "/api/conversations"
ONE = f"{ALL}/ID"
UNKNOWN = f"{ALL}/{'0' * 32}"

TOLD = {"status": "ok", "conversation_id": str, "message": None, "conversation_status": ("STARTING", "RUNNING")}
STOPPED = {"status": "ok", "conversation_id": str, "message": str, "conversation_status": str}
NOT_FOUND = {"detail": str}
MICROAGENT = {
    "name": str, "type": ("repo", "knowledge"), "content": str, "triggers": [str],
    "inputs": [{"name": str, "description": str}], "tools": [str],
}  # fmt: skip


@attrs.frozen
class World:
    """A server on which everything is that there is to ask for, and a conversation that has run a command."""

    server: ServerProcess
    conversation_id: str

    def ask(self, method: str, path: str, body: Any = None) -> Answer:
        return Answer(self.server, method, path.replace("ID", self.conversation_id), body=body)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    hosts = {"GREENROOM_WEB_HOSTS": "http://localhost:51000", "GREENROOM_VSCODE_URL": "http://localhost:51001/"}
    server = ServerProcess(tmp_path_factory.mktemp("compliance") / "data", hosts)
    server.start()
    try:
        server.request("POST", "/api/settings", {"language": "en", "llm_model": "m", "llm_api_key": "sk-quite-secret"})
        server.request("POST", "/api/secrets", {"name": "TOKEN", "value": "a-secret-value", "description": "d"})
        server.request("POST", "/api/add-git-providers", {"provider_tokens": {"github": {"token": "ghp-quite-secret"}}})
        conversation_id = server.create("$ echo hi")
        server.wait_for(conversation_id, "run")
        time.sleep(0.3)  # the state that follows
        _add_microagents(server.data / "conversations" / conversation_id / "files")
        yield World(server, conversation_id)
    finally:
        server.kill()


def _add_microagents(workspace: Path) -> None:
    folder = workspace / ".openhands" / "microagents"
    folder.mkdir(parents=True)
    (folder / "repo.md").write_text("Always lint.")
    (folder / "ship.md").write_text("---\ntriggers: [ship]\ninputs: [{name: TO, description: where}]\n---\nShip it.")


EXCHANGES: list[tuple[str, str, Any, int, Any]] = [
    ("GET", "/alive", None, 200, {"status": "ok"}),
    ("GET", "/health", None, 200, "OK"),
    # conversations
    ("POST", ALL, {"initial_user_msg": "/note hi"}, 200, TOLD),
    ("POST", ALL, {}, 200, TOLD),
    ("POST", ALL, {"initial_user_msg": "x", "foo": 1}, 422, PROBLEMS),
    ("GET", f"{ALL}?limit=20", None, 200, {"results": [CONVERSATION], "next_page_id": (str, None)}),
    ("GET", f"{ALL}?conversation_trigger=zzz", None, 422, PROBLEMS),
    ("GET", ONE, None, 200, CONVERSATION),
    ("GET", UNKNOWN, None, 200, None),
    ("GET", f"{ALL}/a..b", None, 400, NOT_FOUND),
    ("GET", f"{ALL}/{'a' * 101}", None, 400, NOT_FOUND),
    ("PATCH", ONE, {"title": "  A title  "}, 200, True),
    ("PATCH", ONE, {"title": "x", "foo": 1}, 422, PROBLEMS),
    ("PATCH", UNKNOWN, {"title": "t"}, 404, {"status": "error", "message": str, "msg_id": "CONVERSATION$NOT_FOUND"}),
    ("DELETE", UNKNOWN, None, 200, False),
    ("POST", f"{ONE}/start", {"providers_set": []}, 200, TOLD),
    ("POST", f"{ONE}/start", None, 422, PROBLEMS),
    ("POST", f"{ONE}/start", {"providers_set": ["svn"]}, 422, PROBLEMS),
    ("POST", f"{UNKNOWN}/start", {}, 404, {"status": "error", "conversation_id": str}),
    ("POST", f"{UNKNOWN}/stop", None, 200, STOPPED),
    # around one conversation
    ("GET", f"{ONE}/config", None, 200, {"runtime_id": None, "session_id": str}),
    ("GET", f"{UNKNOWN}/config", None, 404, NOT_FOUND),
    ("GET", f"{ONE}/vscode-url", None, 200, {"vscode_url": str}),
    ("GET", f"{ONE}/web-hosts", None, 200, {"hosts": {"http://localhost:51000": 51000}}),
    ("GET", f"{ONE}/microagents", None, 200, {"microagents": [MICROAGENT]}),
    ("GET", f"{ONE}/trajectory", None, 200, {"trajectory": list}),
    ("GET", f"{UNKNOWN}/trajectory", None, 404, NOT_FOUND),
    ("GET", f"{ONE}/events", None, 200, HISTORY),
    ("GET", f"{ONE}/events?limit=0", None, 200, {"events": [], "has_more": True}),
    ("GET", f"{ONE}/events?limit=101", None, 400, {"detail": "Invalid limit"}),
    ("GET", f"{UNKNOWN}/events", None, 404, NOT_FOUND),
    ("POST", f"{ONE}/events", {"action": "message", "args": {"content": "/note x"}}, 200, {"success": True}),
    ("POST", f"{ONE}/message", {"message": "/note x"}, 200, {"success": True}),
    ("POST", f"{ONE}/message", {"nope": 1}, 422, PROBLEMS),
    ("POST", f"{UNKNOWN}/message", {"message": "x"}, 404, NOT_FOUND),
    # settings, secrets, options
    ("GET", "/api/settings", None, 200, SETTINGS),
    ("POST", "/api/settings", {"max_iterations": "many"}, 422, PROBLEMS),
    ("POST", "/api/reset-settings", None, 410, {"error": str}),
    ("GET", "/api/secrets", None, 200, {"custom_secrets": [{"name": str, "description": str}]}),
    ("POST", "/api/secrets", {"name": "OTHER", "value": "another-value"}, 201, {"message": str}),
    ("POST", "/api/secrets", {"name": "TOKEN", "value": "v1"}, 400, {"message": str}),
    ("PUT", "/api/secrets/TOKEN", {"name": "TOKEN", "description": "e"}, 200, {"message": str}),
    ("PUT", "/api/secrets/NONE", {"name": "NONE"}, 404, {"error": str}),
    ("DELETE", "/api/secrets/NONE", None, 404, {"error": str}),
    ("GET", "/api/options/models", None, 200, [str]),
    ("GET", "/api/options/agents", None, 200, [str]),
    ("GET", "/api/options/security-analyzers", None, 200, [str]),
    (
        "GET", "/api/options/config", None, 200,
        {"APP_MODE": "oss", "GITHUB_CLIENT_ID": "", "POSTHOG_CLIENT_KEY": "",
         "FEATURE_FLAGS": {"ENABLE_BILLING": False, "HIDE_LLM_SETTINGS": False}},
    ),
]  # fmt: skip


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: f"{exchange[0]} {exchange[1]} {exchange[3]}")
def test_an_answer_has_v0s_status_and_shape(world: World, exchange: tuple[str, str, Any, int, Any]) -> None:
    method, path, body, status, shape = exchange
    answer = world.ask(method, path, body)
    assert answer.status == status, answer.body
    assert difference(shape, json.loads(answer.body)) == ""
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-cache, no-store, must-revalidate, max-age=0"


def test_before_anything_is_stored(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data")
    server.start()
    try:
        found = {path: Answer(server, "GET", path) for path in ("/api/settings", "/api/secrets", ALL)}
    finally:
        server.kill()
    assert [(answer.status, json.loads(answer.body)) for answer in found.values()] == [
        (404, {"error": "Settings not found"}),
        (200, {"custom_secrets": []}),
        (200, {"results": [], "next_page_id": None}),
    ]


def test_stopped_twice_it_says_what_it_was(world: World) -> None:
    stopped = world.server.create()
    told = [world.server.request("POST", f"{ALL}/{stopped}/stop") for _ in range(2)]
    assert [difference(STOPPED, one) for one in told] == ["", ""]
    assert told[0]["conversation_status"] in ("STARTING", "RUNNING")
    assert told[1]["conversation_status"] == "STOPPED"
    found = world.server.request("GET", f"{ALL}/{stopped}")
    assert (found["status"], found["runtime_status"], found["url"]) == ("STOPPED", None, None)


def test_every_event_of_a_history_has_the_shape_of_its_kind(world: World) -> None:
    events = visible(world.server.events(world.conversation_id))
    trajectory = world.server.request("GET", f"{ALL}/{world.conversation_id}/trajectory")["trajectory"]
    assert {event.get("action", event.get("observation")) for event in events} >= {
        "message",
        "run",
        "agent_state_changed",
    }
    for event in [*events, *trajectory]:
        assert difference(event_shape(event), event) == ""
