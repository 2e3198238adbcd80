"""`…/trajectory`: every event that a client was shown, as it lies on disk, whole and in order."""

from typing import Any

import orjson
import pytest
import trio.testing
from quart.typing import TestClientProtocol as Client

from transport.http.trajectory import TRIMMED_EXTRAS, _told


def _event(**more: Any) -> bytes:
    return orjson.dumps({"id": 3, "timestamp": "2026-01-01T00:00:00.000000Z", "source": "agent", "message": "", **more})


async def test_it_is_what_a_client_was_shown_in_order(client: Client, conversation_id: str) -> None:
    for text in ("/note ä", "/think of cheese", "hello"):
        await client.post(f"/api/conversations/{conversation_id}/message", json={"message": text})
    await trio.testing.wait_all_tasks_blocked()
    answer = await client.get(f"/api/conversations/{conversation_id}/trajectory")
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    body = await answer.get_json()
    events = (await (await client.get(f"/api/conversations/{conversation_id}/events?limit=100")).get_json())["events"]
    shown = [event for event in events if not str(event.get("observation")).startswith("greenroom.")]
    assert body == {"trajectory": shown}
    assert len(shown) < len(events)
    assert {"/note ä", "hello"} <= {event["message"] for event in shown}


async def test_it_wakes_nobody(client: Client, conversation_id: str) -> None:
    await client.post(f"/api/conversations/{conversation_id}/stop")
    before = await (await client.get(f"/api/conversations/{conversation_id}")).get_json()
    await client.get(f"/api/conversations/{conversation_id}/trajectory")
    assert await (await client.get(f"/api/conversations/{conversation_id}")).get_json() == before
    assert before["lifecycle"]["residency"] == "cold"


@pytest.mark.parametrize(("conversation_id", "status"), [("0" * 32, 404), ("a..b", 400)])
async def test_there_is_none_of_what_there_is_not(client: Client, conversation_id: str, status: int) -> None:
    answer = await client.get(f"/api/conversations/{conversation_id}/trajectory")
    assert answer.status_code == status
    assert "detail" in await answer.get_json()


@pytest.mark.parametrize(
    "hidden",
    [
        {"action": "run", "args": {"command": "ls", "hidden": True}},
        {"observation": "run", "content": "", "extras": {"hidden": True}},
        {"action": "null", "args": {}},
        {"observation": "null", "content": "", "extras": {}},
        {"action": "recall", "args": {}},
        {"observation": "greenroom.created", "content": "", "extras": {}},
    ],
)
def test_hidden_events_are_left_out(hidden: dict[str, Any]) -> None:
    assert _told(_event(**hidden)) is None


def test_what_browsing_leaves_behind_is_trimmed() -> None:
    extras = dict.fromkeys(TRIMMED_EXTRAS, "much") | {"url": "http://a.example", "error": False}
    told = orjson.loads(_told(_event(observation="browse", content="text", extras=extras)) or b"")
    assert told["extras"] == {"url": "http://a.example", "error": False}
    assert told["content"] == "text"


def test_anything_else_goes_out_as_the_bytes_that_lie_on_disk() -> None:
    payload = _event(observation="of_the_future", content="", extras={"x": [1]})
    assert _told(payload) is payload
