"""What holds for every request and every answer: health, headers, checks, errors."""

from pathlib import Path
from typing import Any

import pytest
from quart.typing import TestClientProtocol as Client
from structlog.testing import capture_logs

from actors.conversation.errors import Refused, TooManyConversations
from actors.conversation.service import Conversations
from actors.conversation.summary import Summary
from actors.runtime import AskTimedOut, Expired, MailboxFull, ServerFull
from storage.errors import ConversationNotFound, CorruptLog, OutcomeUnknown, StorageDegraded, Unreadable
from tests.transport.http.conftest import OPEN, POLICY
from transport.addresses import OWN_NAMES
from transport.admission import Admission
from transport.http.app import make_app
from transport.messages import MESSAGES
from transport.refusals import refusal

ALL = "/api/conversations"


class Failing(Conversations):
    """A service in which every question ends in the same error."""

    def __init__(self, failure: Exception) -> None:
        self.failure = failure

    async def summary(self, _: str) -> Summary | None:
        raise self.failure


def _failing(failure: Exception, *, serves_page: bool = True, admission: Admission = OPEN) -> Client:
    readiness = {"ready": False, "durability": "sync"}
    return make_app(Failing(failure), POLICY, admission, lambda: readiness, serves_page=serves_page).test_client()


async def test_health(client: Client) -> None:
    assert await (await client.get("/alive")).get_json() == {"status": "ok"}
    assert await (await client.get("/health")).get_json() == "OK"
    ready = await client.get("/readyz")
    assert (ready.status_code, await ready.get_json()) == (200, {"status": "ready", "durability": "sync"})


async def test_a_server_that_stops_is_alive_and_not_ready() -> None:
    client = _failing(ValueError())
    assert (await client.get("/alive")).status_code == 200
    ready = await client.get("/readyz")
    assert (ready.status_code, (await ready.get_json())["status"]) == (503, "stopping")


@pytest.mark.parametrize(
    ("method", "path", "status", "detail"),
    [
        ("GET", "/nowhere", 404, "Not Found"),
        ("GET", "/api/nowhere", 404, "Not Found"),
        ("GET", "/api//conversations", 404, "Not Found"),
        ("PUT", ALL, 405, "Method Not Allowed"),
    ],
)
async def test_no_route_is_json_too(client: Client, method: str, path: str, status: int, detail: str) -> None:
    answer = await client.open(path, method=method, json={})
    assert (answer.status_code, await answer.get_json()) == (status, {"detail": detail})


async def test_no_route_begins_with_what_a_prefix_may_begin_with(client: Client) -> None:
    paths = [rule.rule for rule in client.app.url_map.iter_rules()]
    assert {path.split("/")[1] for path in paths if path != "/"} <= OWN_NAMES


async def test_a_405_names_what_is_allowed(client: Client) -> None:
    allow = (await client.put(ALL)).headers["allow"]
    assert {"GET", "POST"} <= set(allow.split(", "))


@pytest.mark.parametrize("path", ["/alive", ALL, f"{ALL}/a..b", "/nowhere"])
async def test_no_answer_is_cached(client: Client, path: str) -> None:
    headers = (await client.get(path)).headers
    assert headers["cache-control"] == "no-cache, no-store, must-revalidate, max-age=0"
    assert (headers["pragma"], headers["expires"]) == ("no-cache", "0")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Origin": "http://ui.example", "Content-Type": "application/json"}, 200),
    ],
)
async def test_pages_of_others_create_nothing(client: Client, headers: dict[str, str], status: int) -> None:
    assert (await client.post(ALL, data=b"{}", headers=headers)).status_code == status
    found = (await (await client.get(ALL)).get_json())["results"]
    assert len(found) == (1 if status == 200 else 0)


async def test_a_permitted_page_may_ask_first(client: Client) -> None:
    asked = {"Origin": "http://ui.example", "Access-Control-Request-Method": "POST"}
    answer = await client.options(ALL, headers=asked)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (204, "http://ui.example")
    refused = await client.options(ALL, headers=asked | {"Origin": "http://evil.example"})
    assert (refused.status_code, "access-control-allow-origin" in refused.headers) == (403, False)


async def test_a_body_beyond_the_limit_is_a_413(client: Client) -> None:
    data = b'{"initial_user_msg":"' + b"x" * 4 * 1024 * 1024 + b'"}'
    assert (await client.post(ALL, data=data, headers={"Content-Type": "application/json"})).status_code == 413


@pytest.mark.parametrize(
    ("failure", "status", "retry_after"),
    [
        (Refused("run_over", "no"), 409, None),
        (MailboxFull("x"), 429, "1"),
        (ServerFull("x"), 503, "1"),
        (Expired("x"), 503, "1"),
        (StorageDegraded("/secret/place: full"), 503, "5"),
        (Unreadable("/secret/place: unreadable"), 503, "5"),
        (OutcomeUnknown("/secret/place: gone"), 503, "5"),
        (AskTimedOut("x"), 504, None),
        (TooManyConversations(), 503, "10"),
        (ConversationNotFound("x"), 404, None),
        (CorruptLog("x", offset=7, event_id=1, why="/secret/place: line 7"), 409, None),
    ],
)
async def test_a_known_error_is_answered_by_the_table(failure: Exception, status: int, retry_after: str | None) -> None:
    answer = await _failing(failure).get(f"{ALL}/x")
    told = refusal(failure)
    assert told is not None
    assert (answer.status_code, answer.headers.get("retry-after")) == (status, retry_after)
    assert await answer.get_json() == {
        "status": "error", "message": told.message, "msg_id": told.msg_id, "detail": told.message,
        "error": told.message, "success": False, "code": told.code,
    }  # fmt: skip
    assert told.msg_id in MESSAGES
    assert "secret" not in told.message


async def test_a_stranger_gets_an_id_that_the_log_explains() -> None:
    failure = RuntimeError("the key is hunter2")
    with capture_logs() as logs:
        answer = await _failing(failure).get(f"{ALL}/x")
    body: dict[str, Any] = await answer.get_json()
    assert (answer.status_code, body["error"], body["msg_id"]) == (500, "Internal server error", "internal_error")
    assert "hunter2" not in await answer.get_data(as_text=True)
    (line,) = [line for line in logs if line.get("error_id") == body["error_id"]]
    assert (line["exc_info"], line["conversation_id"]) == (failure, "x")


async def test_every_route_is_in_the_document_of_the_seed(client: Client) -> None:
    document = (Path(__file__).parents[3] / "docs" / "seed.md").read_text()
    rules = {str(rule) for rule in client.app.url_map.iter_rules()}
    assert len(rules) > 30
    for rule in rules:
        path = rule.replace("/api/conversations/<conversation_id>/", "\u2026/")
        assert f"{path}`" in document, f"{path} is not in docs/seed.md"
