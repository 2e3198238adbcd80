"""`…/config`, `…/vscode-url`, `…/web-hosts`, `…/microagents`: the contract's bodies, and nobody is woken."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio
from quart.typing import TestClientProtocol as Client
from structlog.testing import capture_logs

from actors.agent.understudy import Understudy
from actors.conversation.service import open_conversations
from actors.conversation.summary import describe
from storage.local_disk import LocalDisk
from storage.store import open_store
from tests.fakes.scripted_sandbox import ScriptedSandbox
from tests.transport.http.conftest import OPEN, POLICY
from transport.http.app import make_app
from transport.http.workspaces import Places

PLACES = Places(
    vscode_url="http://code.example:8080/?folder=/data/{conversation_id}",
    web_hosts=("http://{conversation_id}.apps.example:81/", "https://apps.example"),
)
ROUTES = ("config", "vscode-url", "web-hosts", "microagents")


@pytest.fixture
async def placed(tmp_path: Path) -> AsyncIterator[Client]:
    """On a real disk, with every place configured."""
    async with (
        open_store(LocalDisk(tmp_path), describe) as store,
        open_conversations(store, Understudy(), ScriptedSandbox.open) as conversations,
    ):
        yield make_app(conversations, POLICY, OPEN, lambda: {"ready": True}, places=PLACES).test_client()


@pytest.fixture
async def placed_id(placed: Client) -> str:
    answer = await placed.post("/api/conversations", json={})
    return str((await answer.get_json())["conversation_id"])


async def _get(client: Client, conversation_id: str, route: str) -> Any:
    answer = await client.get(f"/api/conversations/{conversation_id}/{route}")
    assert answer.status_code == 200
    return await answer.get_json()


async def test_config(client: Client, conversation_id: str) -> None:
    assert await _get(client, conversation_id, "config") == {"runtime_id": None, "session_id": conversation_id}


async def test_what_is_not_configured_is_null_or_empty(client: Client, conversation_id: str) -> None:
    assert await _get(client, conversation_id, "vscode-url") == {"vscode_url": None}
    assert await _get(client, conversation_id, "web-hosts") == {"hosts": {}}
    assert await _get(client, conversation_id, "microagents") == {"microagents": []}


async def test_configured_places_name_the_conversation(placed: Client, placed_id: str) -> None:
    url = f"http://code.example:8080/?folder=/data/{placed_id}"
    assert await _get(placed, placed_id, "vscode-url") == {"vscode_url": url}
    hosts = {f"http://{placed_id}.apps.example:81/": 81, "https://apps.example": 443}
    assert await _get(placed, placed_id, "web-hosts") == {"hosts": hosts}


async def test_microagents_of_the_workspace(placed: Client, placed_id: str, tmp_path: Path) -> None:
    folder = tmp_path / "conversations" / placed_id / "files" / ".openhands" / "microagents"
    folder.mkdir(parents=True)
    (folder / "repo.md").write_text("Always lint.")
    (folder / "ship.md").write_text("---\ntriggers: [ship it]\ninputs: [{name: TO, description: where}]\n---\nShip.")
    (folder / "broken.md").write_text("---\ntype: nothing\n---\n")
    (folder / "README.md").write_text("For people.")
    (folder / "passwd.md").symlink_to("/etc/passwd")
    with capture_logs() as lines:
        body = await _get(placed, placed_id, "microagents")
    assert body == {
        "microagents": [
            {"name": "repo", "type": "repo", "content": "Always lint.", "triggers": [], "inputs": [], "tools": []},
            {
                "name": "ship",
                "type": "knowledge",
                "content": "Ship.",
                "triggers": ["ship it", "/ship"],
                "inputs": [{"name": "TO", "description": "where"}],
                "tools": [],
            },
        ]
    }
    left_out = {(line["file"], line["conversation_id"]) for line in lines if line["event"] == "microagent_left_out"}
    assert left_out == {("broken.md", placed_id), ("passwd.md", placed_id)}


@pytest.mark.parametrize("route", ROUTES)
async def test_unknown_ids_and_ids_that_are_none(client: Client, route: str) -> None:
    unknown = await client.get(f"/api/conversations/{'0' * 32}/{route}")
    assert (unknown.status_code, await unknown.get_json()) == (404, {"detail": f"Conversation {'0' * 32} not found"})
    assert (await client.get(f"/api/conversations/a..b/{route}")).status_code == 400


async def test_asking_wakes_nobody(placed: Client, placed_id: str) -> None:
    await placed.post(f"/api/conversations/{placed_id}/stop")
    while await _residency(placed, placed_id) != "cold":
        await trio.sleep(0.01)
    with capture_logs() as lines:
        for route in ROUTES:
            await _get(placed, placed_id, route)
        assert await _residency(placed, placed_id) == "cold"
    assert not [line for line in lines if line["event"] == "actor_activated"]


async def _residency(client: Client, conversation_id: str) -> str:
    summary = await (await client.get(f"/api/conversations/{conversation_id}")).get_json()
    return str(summary["lifecycle"]["residency"])


async def test_a_disk_that_fails_is_told_without_leaking(placed: Client, placed_id: str, tmp_path: Path) -> None:
    files = tmp_path / "conversations" / placed_id / "files"
    files.rmdir()
    files.write_text("not a folder")
    answer = await placed.get(f"/api/conversations/{placed_id}/microagents")
    assert answer.status_code == 500
    assert str(tmp_path) not in await answer.get_data(as_text=True)
