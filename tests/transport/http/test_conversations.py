"""`/api/conversations`: statuses and bodies as the contract has them (§1.1)."""

from typing import Any

import pytest
from quart.typing import TestClientProtocol as Client

UNKNOWN = "0" * 32
ALL = "/api/conversations"


async def _ask(client: Client, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    answer = await client.open(path, method=method, **({} if body is None else {"json": body}))
    return answer.status_code, await answer.get_json()


async def test_created_it_is_starting_and_then_found(client: Client) -> None:
    status, created = await _ask(client, "POST", ALL, {"initial_user_msg": "hello"})
    conversation_id = created.pop("conversation_id")
    assert (status, created["status"], created["message"]) == (200, "ok", None)
    assert created["conversation_status"] in ("STARTING", "RUNNING")
    _, found = await _ask(client, "GET", f"{ALL}/{conversation_id}")
    assert list(found) == [
        "conversation_id", "title", "last_updated_at", "status", "runtime_status", "selected_repository",
        "selected_branch", "git_provider", "trigger", "num_connections", "url", "session_api_key", "created_at",
        "pr_number", "conversation_version", "lifecycle",
    ]  # fmt: skip
    assert found["title"] == "hello"
    assert found["url"] == f"{ALL}/{conversation_id}"
    assert (found["trigger"], found["conversation_version"]) == ("gui", "V0")


async def test_images_without_a_text_are_a_first_message_too(client: Client) -> None:
    images = ["data:image/png;base64,aGk="]
    _, created = await _ask(client, "POST", ALL, {"image_urls": images})
    _, page = await _ask(
        client, "GET", f"{ALL}/{created['conversation_id']}/events?filter=%7B%22source%22:%22user%22%7D"
    )
    [message] = page["events"]
    assert (message["args"]["content"], message["args"]["image_urls"]) == ("", images)


async def test_pages_are_newest_first_and_end(client: Client) -> None:
    ids = [(await _ask(client, "POST", ALL, {}))[1]["conversation_id"] for _ in range(5)]
    seen: list[str] = []
    page_id = ""
    for _ in range(3):
        _, page = await _ask(client, "GET", f"{ALL}?limit=2{page_id}")
        seen += [found["conversation_id"] for found in page["results"]]
        page_id = f"&page_id={page['next_page_id']}"
    assert seen == ids[::-1]
    assert page["next_page_id"] is None


async def test_listings_are_narrowed_by_repository_and_trigger(client: Client) -> None:
    await _ask(client, "POST", ALL, {})
    _, created = await _ask(client, "POST", ALL, {"repository": "a/b", "git_provider": "github"})
    _, page = await _ask(client, "GET", f"{ALL}?selected_repository=a/b&conversation_trigger=gui")
    assert [found["conversation_id"] for found in page["results"]] == [created["conversation_id"]]
    assert (await _ask(client, "GET", f"{ALL}?conversation_trigger=slack"))[1]["results"] == []


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", f"{ALL}/{UNKNOWN}", 200, None),
        ("DELETE", f"{ALL}/{UNKNOWN}", 200, False),
        (
            "POST", f"{ALL}/{UNKNOWN}/stop", 200,
            {"status": "ok", "conversation_id": UNKNOWN, "message": "Conversation was not running",
             "conversation_status": "STOPPED"},
        ),
        ("POST", f"{ALL}/{UNKNOWN}/start", 404, {"status": "error", "conversation_id": UNKNOWN}),
        (
            "PATCH", f"{ALL}/{UNKNOWN}", 404,
            {"status": "error", "message": "Conversation not found", "msg_id": "CONVERSATION$NOT_FOUND"},
        ),
        ("GET", f"{ALL}/{UNKNOWN}/events", 404, {"detail": f"Conversation {UNKNOWN} not found"}),
        ("POST", f"{ALL}/{UNKNOWN}/message", 404, {"detail": f"Conversation {UNKNOWN} not found"}),
        ("GET", f"{ALL}/a..b", 400, {"detail": "Conversation ID contains invalid path characters"}),
        ("GET", f"{ALL}/a%5Cb", 400, {"detail": "Conversation ID contains invalid path characters"}),
        ("GET", f"{ALL}/a%00b", 400, {"detail": "Conversation ID contains control characters"}),
        ("GET", f"{ALL}/{'a' * 101}", 400, {"detail": "Conversation ID is too long"}),
        ("GET", f"{ALL}/{'a' * 100}", 200, None),
    ],
)  # fmt: skip
async def test_an_unknown_id_is_answered_in_the_way_of_its_route(
    client: Client, method: str, path: str, status: int, body: Any
) -> None:
    sent = {"title": "t", "message": "m"} if "message" in path else {"title": "t"} if method == "PATCH" else {}
    assert await _ask(client, method, path, sent if method in ("POST", "PATCH") else None) == (status, body)


async def test_renamed_the_title_is_stripped(client: Client, conversation_id: str) -> None:
    assert await _ask(client, "PATCH", f"{ALL}/{conversation_id}", {"title": "  New  "}) == (200, True)
    assert (await _ask(client, "GET", f"{ALL}/{conversation_id}"))[1]["title"] == "New"


async def test_stopped_and_started_again(client: Client, conversation_id: str) -> None:
    one = f"{ALL}/{conversation_id}"
    _, stopped = await _ask(client, "POST", f"{one}/stop")
    assert stopped["message"] == "Conversation stopped successfully"
    assert stopped["conversation_status"] in ("STARTING", "RUNNING")
    _, again = await _ask(client, "POST", f"{one}/stop")
    assert (again["message"], again["conversation_status"]) == ("Conversation was not running", "STOPPED")
    _, found = await _ask(client, "GET", one)
    assert (found["status"], found["url"], found["runtime_status"]) == ("STOPPED", None, None)
    _, started = await _ask(client, "POST", f"{one}/start", {"providers_set": ["github"]})
    assert started["conversation_status"] in ("STARTING", "RUNNING")


async def test_deleted_it_is_gone(client: Client, conversation_id: str) -> None:
    assert await _ask(client, "DELETE", f"{ALL}/{conversation_id}") == (200, True)
    assert await _ask(client, "GET", f"{ALL}/{conversation_id}") == (200, None)
    assert (await _ask(client, "GET", ALL))[1] == {"results": [], "next_page_id": None}


@pytest.mark.parametrize(
    ("method", "path", "body", "problem"),
    [
        ("POST", ALL, {"foo": 1}, {"type": "extra_forbidden", "loc": ["body", "foo"], "input": 1}),
        ("POST", ALL, {"repository": 1}, {"type": "string_type", "loc": ["body", "repository"], "input": 1}),
        ("POST", ALL, {"image_urls": ["a", 2]}, {"type": "string_type", "loc": ["body", "image_urls", 1], "input": 2}),
        ("POST", ALL, {"image_urls": [""] * 1001}, {"type": "too_long", "loc": ["body", "image_urls"], "input": None}),
        ("POST", ALL, {"git_provider": "svn"}, {"type": "enum", "loc": ["body", "git_provider"], "input": "svn"}),
        ("POST", ALL, [], {"type": "dict_type", "loc": ["body"], "input": []}),
        ("POST", f"{ALL}/{UNKNOWN}/start", None, {"type": "missing", "loc": ["body"], "input": None}),
        ("PATCH", f"{ALL}/{UNKNOWN}", {}, {"type": "missing", "loc": ["body", "title"], "input": {}}),
        ("PATCH", f"{ALL}/{UNKNOWN}", {"title": ""}, {"type": "string_length", "loc": ["body", "title"], "input": ""}),
        (
            "GET", f"{ALL}?conversation_trigger=zzz", None,
            {"type": "enum", "loc": ["query", "conversation_trigger"], "input": "zzz"},
        ),
        ("GET", f"{ALL}?limit=many", None, {"type": "int_parsing", "loc": ["query", "limit"], "input": "many"}),
    ],
)  # fmt: skip
async def test_a_request_that_cannot_be_understood_is_a_422_that_names_the_place(
    client: Client, method: str, path: str, body: Any, problem: dict[str, Any]
) -> None:
    status, told = await _ask(client, method, path, body)
    (detail,) = told["detail"]
    assert status == 422
    assert detail["msg"]
    assert {name: detail[name] for name in problem} == problem


async def test_bytes_that_are_no_json_are_a_422(client: Client) -> None:
    for data in (b"{not json", b"\xff\xfe", b"[" * 100_000):
        answer = await client.post(ALL, data=data, headers={"Content-Type": "application/json"})
        (detail,) = (await answer.get_json())["detail"]
        assert answer.status_code == 422
        assert (detail["type"], detail["msg"]) == ("json_invalid", "JSON decode error")
        assert detail["ctx"]["error"]


async def test_a_cursor_of_nobodys_is_a_400(client: Client) -> None:
    status, told = await _ask(client, "GET", f"{ALL}?page_id=%25%25")
    assert (status, told["code"]) == (400, "bad_cursor")


async def test_the_lifecycle_over_rest(client: Client, conversation_id: str) -> None:
    async def post(verb: str, body: object = None) -> tuple[int, Any]:
        answer = await client.post(f"{ALL}/{conversation_id}/{verb}", json=body)
        return answer.status_code, await answer.get_json()

    ok = {"status": "ok", "conversation_id": conversation_id, "message": None, "conversation_status": "RUNNING"}
    assert await post("pause") == (200, ok)
    assert await post("resume") == (200, ok)
    status, kept = await post("keepalive", {"seconds": 60})
    assert (status, kept | ok) == (200, kept)
    assert kept["expires_at"].endswith("Z")
    await post("pause")
    assert await post("archive") == (200, ok | {"conversation_status": "ARCHIVED"})
    status, refused = await post("start", {})
    assert (status, refused["code"]) == (409, "illegal_transition")
    assert await post("unarchive") == (200, ok | {"conversation_status": "STOPPED"})
    status, refused = await post("keepalive", {})
    assert (status, refused["code"]) == (409, "not_running")


@pytest.mark.parametrize("seconds", [0, -1, 604_801, 1.5, "60", True])
async def test_a_bad_time_to_keep_alive_is_told(client: Client, conversation_id: str, seconds: object) -> None:
    answer = await client.post(f"{ALL}/{conversation_id}/keepalive", json={"seconds": seconds})
    assert answer.status_code == 422
    assert (await answer.get_json())["detail"][0]["loc"] == ["body", "seconds"]


async def test_a_misspelt_time_to_keep_alive_is_not_an_hour(client: Client, conversation_id: str) -> None:
    answer = await client.post(f"{ALL}/{conversation_id}/keepalive", json={"second": 5})
    [problem] = (await answer.get_json())["detail"]
    assert (answer.status_code, problem["type"], problem["loc"]) == (422, "extra_forbidden", ["body", "second"])


@pytest.mark.parametrize("verb", ["start", "pause", "resume", "archive", "unarchive", "keepalive"])
async def test_an_unknown_conversation_has_no_lifecycle(client: Client, verb: str) -> None:
    answer = await client.post(f"{ALL}/unknown/{verb}", json={})
    assert answer.status_code == 404
    assert await answer.get_json() == {"status": "error", "conversation_id": "unknown"}
