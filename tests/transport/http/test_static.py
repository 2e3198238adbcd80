"""The page's files: their types, their keeping, what they may do, and that nothing else is served."""

import re

import pytest
from quart.typing import TestClientProtocol as Client

from tests.transport.http.test_app import _failing
from transport.admission import Admission
from transport.http.static import TYPES
from transport.messages import MESSAGES
from transport.ratelimit import RateLimiter

NAMES = ("app.js", "messages.js", "style.css", "icon.svg")


@pytest.mark.parametrize("path", ["/", "/conversations/0f3ab", f"/conversations/{'f' * 32}"])
async def test_the_document_is_under_each_of_its_addresses(client: Client, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert (await answer.get_data(as_text=True)).startswith("<!doctype html>")


@pytest.mark.parametrize("name", NAMES)
async def test_a_file_has_its_type_and_is_asked_for_anew(client: Client, name: str) -> None:
    answer = await client.get(f"/static/{name}")
    assert answer.headers["content-type"] == TYPES[name.rpartition(".")[2]]
    assert (answer.headers["cache-control"], answer.headers["x-content-type-options"]) == ("no-cache", "nosniff")
    again = await client.get(f"/static/{name}", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, await again.get_data()) == (304, b"")
    other = await client.get(f"/static/{name}", headers={"If-None-Match": '"another"'})
    assert other.status_code == 200


@pytest.mark.parametrize("path", ["/", "/static/app.js"])
async def test_scripts_come_from_here_alone_and_nobody_frames_the_page(client: Client, path: str) -> None:
    policy = (await client.get(path)).headers["content-security-policy"]
    assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} <= set(policy.split("; "))
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    "path",
    [
        "/static/nothing.js",
        "/static/",
        "/static/index.html",
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e%2fconfig.py",
        "/static//etc/passwd",
        "/assets/app.js",
        "/conversations",
        "/conversations/",
        "/conversations/a/b",
    ],
)
async def test_what_is_no_file_is_404_and_not_the_document(client: Client, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, await answer.get_json()) == (404, {"detail": "Not Found"})


async def test_the_page_asks_only_for_files_that_are_there(client: Client) -> None:
    document = await (await client.get("/")).get_data(as_text=True)
    wanted = set(re.findall(r"/static/([\w.]+)", document))
    modules = {"app.js"}
    while modules:
        name = modules.pop()
        text = await (await client.get(f"/static/{name}")).get_data(as_text=True)
        modules |= set(re.findall(r'from "\./([\w.]+)"', text)) - wanted
        wanted |= modules
    assert {"app.js", "socket.js", "messages.js", "style.css", "icon.svg"} <= wanted
    for name in wanted:
        assert (await client.get(f"/static/{name}")).status_code == 200, name


async def test_the_catalogue_is_a_module_of_the_page(client: Client) -> None:
    text = await (await client.get("/static/messages.js")).get_data(as_text=True)
    assert text.startswith("export const messages = {")
    assert all(f'"{name}":' in text for name in MESSAGES)


async def test_the_page_can_be_left_out() -> None:
    client = _failing(ValueError(), serves_page=False)
    assert (await client.get("/")).status_code == 404
    assert (await client.get("/static/app.js")).status_code == 404
    assert (await client.get("/alive")).status_code == 200


async def test_below_a_path_the_document_asks_for_its_files_there() -> None:
    client = _failing(ValueError(), admission=Admission(None, RateLimiter(0, 1), path_prefix="/green"))
    document = await (await client.get("/")).get_data(as_text=True)
    addresses = re.findall(r'(?:src|href)="(/[^"]*)"', document)
    assert "/green/static/app.js" in addresses
    assert all(address.startswith("/green/") for address in addresses)
