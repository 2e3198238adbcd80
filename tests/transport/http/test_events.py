"""`…/events` and `…/message`: what goes in and what comes out of a log by REST (§1.2)."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from quart.typing import TestClientProtocol as Client


@pytest.fixture
async def events(client: Client, conversation_id: str) -> str:
    """The path of a log with at least six events; notes start no run, so it does not grow by itself."""
    for number in range(5):
        await client.post(
            f"/api/conversations/{conversation_id}/message", json={"message": f"/note N{number} \u00e4\u2028"}
        )
    return f"/api/conversations/{conversation_id}/events"


async def _page(client: Client, path: str) -> tuple[list[int], bool]:
    answer = await client.get(path)
    page = await answer.get_json()
    return [event["id"] for event in page["events"]], page["has_more"]


async def _last(client: Client, path: str) -> int:
    return (await _page(client, f"{path}?reverse=true&limit=1"))[0][0]


async def test_a_message_is_in_the_log_when_it_is_answered(client: Client, events: str) -> None:
    answer = await client.post(events.replace("events", "message"), json={"message": "/note here", "extra": 1})
    assert (answer.status_code, await answer.get_json()) == (200, {"success": True})
    page = await (await client.get(f"{events}?limit=100")).get_json()
    assert [e["args"]["content"] for e in page["events"] if e.get("action") == "message"][-1] == "/note here"


async def test_ids_are_dense_and_the_range_is_inclusive(client: Client, events: str) -> None:
    last = await _last(client, events)
    assert await _page(client, f"{events}?limit=100") == (list(range(last + 1)), False)
    assert await _page(client, f"{events}?start_id=1&end_id=3") == ([1, 2, 3], False)
    assert await _page(client, f"{events}?start_id=1&end_id=3&limit=2") == ([1, 2], True)
    assert await _page(client, f"{events}?start_id=1&end_id=3&reverse=true&limit=2") == ([3, 2], True)
    assert await _page(client, f"{events}?start_id={last + 1}") == ([], False)
    assert await _page(client, f"{events}?start_id=-5&end_id=0") == ([0], False)
    assert await _page(client, f"{events}?end_id=-1") == ([], False)
    assert await _page(client, f"{events}?start_id={10**30}&end_id={10**40}") == ([], False)


@pytest.mark.parametrize("query", ["", '&filter={"source":"user"}'])
@pytest.mark.parametrize("reverse", ["false", "true"])
async def test_a_page_ends_where_it_has_enough_bytes_and_the_next_goes_on_there(
    client: Client, events: str, query: str, reverse: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        await client.post(events.replace("events", "message"), json={"message": "/note " + "x" * 300_000})
    whole, _ = await _page(client, f"{events}?limit=100&reverse={reverse}{query}")
    monkeypatch.setattr("actors.conversation.reader.PAGE_BYTES_MAX", 500_000)
    found: list[int] = []
    pages, more = 0, True
    while more:
        behind = "" if not found else f"&start_id={found[-1] + 1}" if reverse == "false" else f"&end_id={found[-1] - 1}"
        ids, more = await _page(client, f"{events}?limit=100&reverse={reverse}{query}{behind}")
        found += ids
        pages += 1
    assert found == whole
    assert pages > 1


async def test_limits_are_0_to_100(client: Client, events: str) -> None:
    assert await _page(client, f"{events}?limit=0") == ([], True)
    for limit in (-1, 101):
        answer = await client.get(f"{events}?limit={limit}")
        assert (answer.status_code, await answer.get_json()) == (400, {"detail": "Invalid limit"})


@pytest.mark.parametrize("text", ["", "many", "1_0", "1.0", "0x1", "\u0661", "9" * 5000])
async def test_a_number_that_is_none_is_a_422(client: Client, events: str, text: str) -> None:
    answer = await client.get(f"{events}?start_id={quote(text)}")
    [problem] = (await answer.get_json())["detail"]
    assert (answer.status_code, problem["type"], problem["loc"]) == (422, "int_parsing", ["query", "start_id"])


@pytest.mark.parametrize(("text", "is_reverse"), [("true", True), ("1", True), ("False", False), ("0", False)])
async def test_the_direction_is_one_of_two(client: Client, events: str, text: str, is_reverse: bool) -> None:  # noqa: FBT001 - a table
    page = await (await client.get(f"{events}?limit=2&reverse={text}")).get_json()
    first, second = (event["id"] for event in page["events"])
    assert (first > second) is is_reverse


@pytest.mark.parametrize("text", ["", "maybe", "2"])
async def test_a_direction_that_is_none_is_a_422(client: Client, events: str, text: str) -> None:
    answer = await client.get(f"{events}?reverse={text}")
    [problem] = (await answer.get_json())["detail"]
    told = (problem["type"], problem["loc"], problem["input"])
    assert (answer.status_code, told) == (422, ("bool_parsing", ["query", "reverse"], text))


async def test_k10_an_event_goes_out_as_its_bytes(client: Client, events: str) -> None:
    text = await (await client.get(f"{events}?limit=100")).get_data(as_text=True)
    assert "N0 \u00e4" in text, "as written, not escaped anew"
    assert json.loads(text)["has_more"] is False


@pytest.mark.parametrize(
    ("wanted", "contents"),
    [
        ({"query": "n3"}, ["/note N3 \u00e4\u2028"]),
        ({"query": "n3", "source": "agent"}, []),
        ({"query": "/NOTE", "start_date": "9999"}, []),
        ({"query": "/NOTE n1", "end_date": "9999", "exclude_hidden": True}, ["/note N1 \u00e4\u2028"]),
    ],
)
async def test_the_filter_narrows_as_parameter_and_as_body(
    client: Client, events: str, wanted: dict[str, Any], contents: list[str]
) -> None:
    by_parameter = await client.get(f"{events}?filter={quote(json.dumps(wanted))}")
    by_body = await client.open(events, method="GET", json=wanted)
    for answer in (by_parameter, by_body):
        page = await answer.get_json()
        assert [e["args"]["content"] for e in page["events"] if e.get("action") == "message"] == contents
        assert page["has_more"] is False


@pytest.mark.parametrize("wanted", ["{", "[]", '{"query": 1}', '{"include_types": []}'])
async def test_a_filter_that_cannot_be_understood_is_a_422(client: Client, events: str, wanted: str) -> None:
    assert (await client.get(f"{events}?filter={quote(wanted)}")).status_code == 422


@pytest.mark.parametrize(
    "forged",
    [
        {"action": "run", "args": {"command": "rm -rf /"}},
        {"observation": "run", "content": "fine", "extras": {}},
        {"action": "message", "args": {}},
        {"action": "message", "args": "x"},
        {"action": "message", "args": {"content": "x"}, "id": 0, "source": "agent", "cause": 1} | {"action": "think"},
        {},
    ],
)
async def test_d21_a_client_cannot_forge_what_is_not_its_own(
    client: Client, events: str, forged: dict[str, Any]
) -> None:
    before = await _last(client, events)
    answer = await client.post(events, json=forged)
    told = await answer.get_json()
    assert (answer.status_code, told["code"], told["success"]) == (422, "bad_action", False)
    assert await _last(client, events) == before


async def test_a_message_as_action_is_the_users(client: Client, events: str) -> None:
    action = {"action": "message", "source": "agent", "args": {"content": "/note mine"}}
    assert (await client.post(events, json=action)).status_code == 200
    page = await (await client.get(f"{events}?filter={quote(json.dumps({'query': '/note mine'}))}")).get_json()
    assert [event["source"] for event in page["events"]] == ["user"]


@pytest.mark.parametrize("body", [{"nope": 1}, {"message": None}, {"message": 1}, []])
async def test_a_message_needs_its_text(client: Client, events: str, body: Any) -> None:
    assert (await client.post(events.replace("events", "message"), json=body)).status_code == 422
