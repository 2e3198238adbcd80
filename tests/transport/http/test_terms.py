"""K11, K12 over REST: headers in, the same answer out, and a header that is not kept is never passed over."""

from typing import Any

import pytest
from quart.typing import TestClientProtocol as Client

ALL = "/api/conversations"


async def ask(client: Client, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, str | None]:
    """Status, body and what `Idempotency-Replayed` says."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = await client.open(path, method=method, headers=sent, **({} if body is None else {"json": body}))
    return answer.status_code, await answer.get_json(), answer.headers.get("Idempotency-Replayed")


async def last_event_id(client: Client, conversation_id: str) -> int:
    _, found, _ = await ask(client, "GET", f"{ALL}/{conversation_id}")
    return int(found["lifecycle"]["last_event_id"])


MUTATIONS: list[tuple[str, str, Any]] = [
    ("POST", "/message", {"message": "/note hi"}),
    ("POST", "/events", {"action": "message", "args": {"content": "/note hi"}}),
    ("PATCH", "", {"title": "t"}),
    ("POST", "/start", {}),
    ("POST", "/pause", None),
    ("POST", "/resume", None),
    ("POST", "/keepalive", {"seconds": 60}),
    ("POST", "/stop", None),
    ("POST", "/unarchive", None),
]


@pytest.mark.parametrize(("method", "path", "body"), MUTATIONS)
async def test_k11_the_same_key_and_body_give_the_same_status_and_body_and_no_second_effect(
    client: Client, conversation_id: str, method: str, path: str, body: Any
) -> None:
    one = f"{ALL}/{conversation_id}"
    if path == "/unarchive":
        await ask(client, "POST", f"{one}/stop")
        await ask(client, "POST", f"{one}/archive")
    first = await ask(client, method, one + path, body, Idempotency_Key="k")
    assert (first[0], first[2]) == (200, None), first
    if path == "/pause":
        await ask(client, "POST", f"{one}/resume")
    at = await last_event_id(client, conversation_id)
    again = await ask(client, method, one + path, body, Idempotency_Key="k")
    assert again == (*first[:2], "true")
    assert await last_event_id(client, conversation_id) == at
    if isinstance(first[1], dict):
        _, page, _ = await ask(client, "GET", f"{one}/events?start_id={first[1]['event_id']}&limit=100")
        assert any(
            event["extras"]["event_id"] == first[1]["event_id"]
            for event in page["events"]
            if "greenroom.key_used" in str(event)
        )


async def test_k11_archive_and_its_retry_answer_archived(client: Client, conversation_id: str) -> None:
    one = f"{ALL}/{conversation_id}"
    await ask(client, "POST", f"{one}/pause")
    first = await ask(client, "POST", f"{one}/archive", Idempotency_Key="k")
    assert (first[0], first[1]["conversation_status"]) == (200, "ARCHIVED")
    assert await ask(client, "POST", f"{one}/archive", Idempotency_Key="k") == (*first[:2], "true")


async def test_k11_a_creation_is_one(client: Client) -> None:
    body = {"initial_user_msg": "/note hi", "repository": "a/b", "git_provider": "github"}
    first = await ask(client, "POST", ALL, body, Idempotency_Key="k")
    assert (first[0], first[1]["event_id"], first[1]["conversation_status"]) == (200, 0, "STARTING")
    assert await ask(client, "POST", ALL, body, Idempotency_Key="k") == (*first[:2], "true")
    assert len((await ask(client, "GET", ALL))[1]["results"]) == 1
    status, told, _ = await ask(client, "POST", ALL, body | {"repository": "a/c"}, Idempotency_Key="k")
    assert (status, told["code"]) == (422, "key_reused")
    status, other, replayed = await ask(client, "POST", ALL, body)
    assert (status, replayed, set(other)) == (
        200, None, {"status", "conversation_id", "message", "conversation_status"},
    )  # fmt: skip


async def test_k11_another_body_is_a_422_with_a_code(client: Client, conversation_id: str) -> None:
    one = f"{ALL}/{conversation_id}"
    await ask(client, "POST", f"{one}/message", {"message": "/note hi"}, Idempotency_Key="k")
    for path, body in (("message", {"message": "/note ho"}), ("keepalive", {"seconds": 1}), ("pause", None)):
        status, told, replayed = await ask(client, "POST", f"{one}/{path}", body, Idempotency_Key="k")
        assert (status, told["code"], told["success"], replayed) == (422, "key_reused", False, None)


async def test_k11_a_retry_may_come_by_the_other_route_of_the_same_command(
    client: Client, conversation_id: str
) -> None:
    one = f"{ALL}/{conversation_id}"
    first = await ask(client, "POST", f"{one}/message", {"message": "/note hi"}, Idempotency_Key="k")
    action = {"args": {"content": "/note hi"}, "action": "message"}
    assert await ask(client, "POST", f"{one}/events", action, Idempotency_Key="k") == (*first[:2], "true")


@pytest.mark.parametrize("key", ["", "a b", "k" * 256, "\u00e9"])
async def test_k11_what_is_no_key_is_a_422_that_names_the_header(
    client: Client, conversation_id: str, key: str
) -> None:
    for method, path, body in MUTATIONS:
        status, told, _ = await ask(client, method, f"{ALL}/{conversation_id}{path}", body, Idempotency_Key=key)
        assert (status, told["detail"][0]["loc"]) == (422, ["header", "Idempotency-Key"]), path
    assert (await ask(client, "POST", ALL, {}, Idempotency_Key=key))[0] == 422


@pytest.mark.parametrize("name", ["Idempotency-Key", "Expected-Event-Id"])
async def test_a_header_that_is_given_twice_is_a_422(client: Client, conversation_id: str, name: str) -> None:
    path = f"{ALL}/{conversation_id}/message"
    answer = await client.post(path, json={"message": "/note hi"}, headers=[(name, "1"), (name, "2")])
    assert (answer.status_code, (await answer.get_json())["detail"][0]["loc"]) == (422, ["header", name])


@pytest.mark.parametrize("expected", ["", "-1", "+1", "1.0", "x", "1_0", "\u0661", "9" * 17])
async def test_k12_what_is_no_id_is_a_422_that_names_the_header(
    client: Client, conversation_id: str, expected: str
) -> None:
    status, told, _ = await ask(
        client, "POST", f"{ALL}/{conversation_id}/message", {"message": "/note hi"}, Expected_Event_Id=expected
    )
    assert (status, told["detail"][0]["loc"]) == (422, ["header", "Expected-Event-Id"])


@pytest.mark.parametrize(("method", "path", "body"), MUTATIONS)
async def test_k12_another_last_id_is_a_409_that_tells_it_and_has_no_effect(
    client: Client, conversation_id: str, method: str, path: str, body: Any
) -> None:
    one, at = f"{ALL}/{conversation_id}", await last_event_id(client, conversation_id)
    for expected in (at - 1, at + 1):
        status, told, _ = await ask(
            client, method, one + path, body, Expected_Event_Id=str(expected), Idempotency_Key="k"
        )
        assert (status, told["code"], told["last_event_id"]) == (409, "event_id_mismatch", at)
    assert await last_event_id(client, conversation_id) == at


async def test_k12_the_right_id_and_a_retry_with_it_are_taken(client: Client, conversation_id: str) -> None:
    await ask(client, "PATCH", f"{ALL}/{conversation_id}", {"title": "named"})  # or the first message would
    path, at = f"{ALL}/{conversation_id}/message", await last_event_id(client, conversation_id)
    headers = {"Expected_Event_Id": str(at), "Idempotency_Key": "k"}
    first = await ask(client, "POST", path, {"message": "/note hi"}, **headers)
    assert first == (200, {"success": True, "event_id": at + 1}, None)
    assert await ask(client, "POST", path, {"message": "/note hi"}, **headers) == (*first[:2], "true")
    # Without a key nothing tells a retry from a second message: that is what the expected id is for.
    status, told, _ = await ask(client, "POST", path, {"message": "/note hi"}, Expected_Event_Id=str(at))
    assert (status, told["last_event_id"]) == (409, at + 2)


async def test_without_a_key_answers_are_v0s(client: Client, conversation_id: str) -> None:
    path = f"{ALL}/{conversation_id}/message"
    assert await ask(client, "POST", path, {"message": "/note hi"}) == (200, {"success": True}, None)


@pytest.mark.parametrize("name", ["Idempotency-Key", "Expected-Event-Id"])
async def test_a_route_that_does_not_keep_the_promise_refuses_the_header(
    client: Client, conversation_id: str, name: str
) -> None:
    routes: list[tuple[str, str, Any]] = [
        ("DELETE", f"{ALL}/{conversation_id}", None),
        ("POST", "/api/settings", {"language": "en"}),
        ("POST", "/api/secrets", {"name": "A", "value": "a-long-secret"}),
        ("PUT", "/api/secrets/A", {"name": "A"}),
        ("DELETE", "/api/secrets/A", None),
        ("POST", "/api/logout", None),
    ]
    if name == "Expected-Event-Id":
        routes.append(("POST", ALL, {}))
    for method, path, body in routes:
        status, told, _ = await ask(client, method, path, body, **{name: "1"})
        assert (status, told["detail"][0]["type"], told["detail"][0]["loc"]) == (422, "unsupported", ["header", name])
    assert (await ask(client, "GET", f"{ALL}/{conversation_id}"))[1] is not None
    assert len((await ask(client, "GET", ALL))[1]["results"]) == 1


async def test_reads_do_not_mind_the_headers(client: Client, conversation_id: str) -> None:
    for path in (ALL, f"{ALL}/{conversation_id}", f"{ALL}/{conversation_id}/events"):
        assert (await ask(client, "GET", path, Idempotency_Key="k", Expected_Event_Id="7"))[0] == 200


@pytest.mark.parametrize("name", ["idempotency_key", "expected_event_id"])
async def test_the_sockets_fields_in_a_rest_body_are_refused_and_not_passed_over(
    client: Client, conversation_id: str, name: str
) -> None:
    bodies: dict[str, Any] = {
        "events": {"action": "message", "args": {"content": "/note hi"}},
        "message": {"message": "/note hi"},
        "start": {},
        "keepalive": {},
    }
    for path, body in bodies.items():
        status, told, _ = await ask(client, "POST", f"{ALL}/{conversation_id}/{path}", body | {name: 1})
        assert (status, told["detail"][0]["loc"]) == (422, ["body", name])
    assert (await ask(client, "POST", ALL, {name: 1}))[0] == 422


@pytest.mark.parametrize(("path", "status"), [("stop", 200), ("start", 404), ("message", 404)])
async def test_an_unknown_conversation_keeps_no_key(client: Client, path: str, status: int) -> None:
    body = {"message": "hi"}
    for _ in range(2):
        found = await ask(client, "POST", f"{ALL}/{'0' * 32}/{path}", body, Idempotency_Key="k")
        assert (found[0], found[2]) == (status, None)


async def test_a_browser_elsewhere_may_read_that_it_was_a_replay(client: Client, conversation_id: str) -> None:
    answer = await client.post(f"{ALL}/{conversation_id}/pause", headers={"Origin": "http://ui.example"})
    assert "idempotency-replayed" in answer.headers["Access-Control-Expose-Headers"]
