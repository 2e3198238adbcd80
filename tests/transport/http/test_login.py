"""Logging in and out, over the real application with a key."""

from collections.abc import AsyncIterator

import pytest
from quart.typing import TestClientProtocol as Client

from actors.agent.understudy import Understudy
from actors.conversation.service import open_conversations
from actors.conversation.summary import describe
from storage.memory_disk import MemoryDisk
from storage.store import open_store
from tests.fakes.scripted_sandbox import ScriptedSandbox
from tests.transport.http.conftest import POLICY
from transport.admission import Admission
from transport.auth import SessionKey
from transport.http.app import make_app
from transport.ratelimit import RateLimiter

ALL = "/api/conversations"


@pytest.fixture
async def locked() -> AsyncIterator[Client]:
    """A client that keeps cookies, of a server with the key `right`."""
    admission = Admission(SessionKey(b"right"), RateLimiter(1000, 1000))
    async with (
        open_store(MemoryDisk(), describe) as store,
        open_conversations(store, Understudy(), ScriptedSandbox.open) as conversations,
    ):
        yield make_app(conversations, POLICY, admission, lambda: {"ready": True}).test_client()


async def test_a_cookie_opens_every_route_until_the_logout(locked: Client) -> None:
    refused = await locked.get(ALL)
    assert (refused.status_code, await refused.get_json()) == (401, {"detail": "Unauthorized"})
    assert (await locked.post("/api/login", json={"key": "right"})).status_code == 200
    assert (await locked.get(ALL)).status_code == 200
    assert (await locked.post("/api/logout")).status_code == 200
    assert (await locked.get(ALL)).status_code == 401


async def test_a_wrong_key_sets_no_cookie(locked: Client) -> None:
    answer = await locked.post("/api/login", json={"key": "wrong"})
    assert (answer.status_code, await answer.get_json()) == (401, {"detail": "Unauthorized"})
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("data", "content_type", "status"),
    [
        (b"{}", "application/json", 422),
        (b'{"key": null}', "application/json", 422),
        (b'{"key": ["hunter2"]}', "application/json", 422),
        (b'["hunter2"]', "application/json", 422),
        (b'"hunter2"', "application/json", 422),
        (b"[", "application/json", 422),
        (b"key=right", "application/x-www-form-urlencoded", 415),
    ],
)
async def test_what_is_no_key_is_told(locked: Client, data: bytes, content_type: str, status: int) -> None:
    answer = await locked.post("/api/login", data=data, headers={"Content-Type": content_type})
    assert (answer.status_code, "set-cookie" in answer.headers) == (status, False)
    assert "hunter2" not in await answer.get_data(as_text=True)


async def test_a_foreign_page_logs_nobody_in_or_out(locked: Client) -> None:
    foreign = {"Origin": "http://evil.example"}
    assert (await locked.post("/api/login", json={"key": "right"}, headers=foreign)).status_code == 403
    assert (await locked.post("/api/logout", headers=foreign)).status_code == 403


async def test_a_preflight_needs_no_key_and_the_refusal_can_be_read(locked: Client) -> None:
    permitted = {"Origin": "http://ui.example", "Access-Control-Request-Headers": "x-session-api-key"}
    asked = await locked.options(ALL, headers=permitted)
    assert (asked.status_code, asked.headers["access-control-allow-headers"]) == (204, "x-session-api-key")
    refused = await locked.get(ALL, headers=permitted)
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "http://ui.example")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/login", "text/html"),
        ("/login?next=/conversations/c1", "text/html"),
        ("/login/login.css", "text/css"),
        ("/login/login.js", "text/javascript"),
    ],
)
async def test_the_page_comes_without_a_key_and_may_load_nothing_of_others(
    locked: Client, path: str, kind: str
) -> None:
    answer = await locked.get(path, headers={"Accept": "text/html"})
    assert (answer.status_code, answer.content_type.partition(";")[0]) == (200, kind)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy


async def test_a_browser_is_led_to_the_login_and_a_program_is_not(locked: Client) -> None:
    answer = await locked.get("/conversations/c1", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/conversations/c1")
    assert (await locked.get("/nowhere")).status_code == 401
    assert (await locked.get("/alive", headers={"Accept": "text/html"})).status_code == 200


async def test_a_server_without_a_key_needs_no_login(client: Client) -> None:
    answer = await client.get("/login")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    logged_in = await client.post("/api/login", json={"key": "any"})
    assert (logged_in.status_code, "set-cookie" in logged_in.headers) == (200, False)
