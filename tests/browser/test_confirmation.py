"""What awaits the user's word, on the page: with the reason, decided by a button, through a kill of the server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PATIENCE_MS, Tabs
from tests.browser.test_page import create, say
from tests.e2e.server import ServerProcess

pytestmark = pytest.mark.wallclock

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    settings = {"SECURITY_CONFIRMATION_MODE": "true", "SECURITY_SECURITY_ANALYZER": "rules"}
    process = ServerProcess(tmp_path / "data", settings)
    process.start()
    yield process
    process.kill()


def asked(server: ServerProcess, tabs: Tabs) -> Page:
    conversation_id = server.create("$ echo cm0gLXJmICouYQ== | base64 -d | sh; echo done")
    page = tabs.open(f"{server.url}/conversations/{conversation_id}")
    expect(page.locator(".card .risk")).to_have_text("high risk: sh runs what another command writes")
    expect(page.get_by_role("button", name="Run it", exact=True)).to_be_visible()
    return page


def test_a_command_runs_when_the_user_says_so_even_after_a_kill(server: ServerProcess, tabs: Tabs) -> None:
    page = asked(server, tabs)
    server.kill()
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    server.start()
    expect(page.locator("#connection")).to_have_text("Live")
    expect(page.locator("#agent")).to_have_text("waits for your decision")
    page.get_by_role("button", name="Run it", exact=True).click()
    expect(page.locator(".output")).to_have_text("done\n")
    expect(page.locator(".card")).to_have_count(1)
    page.reload()
    expect(page.locator(".output")).to_have_text("done\n")
    expect(page.get_by_role("button", name="Run it", exact=True)).to_have_count(0)


def test_what_the_user_is_asked_is_in_view_below_a_long_history(server: ServerProcess, tabs: Tabs) -> None:
    page = tabs.open(server.url)
    create(page, "/burst 40")
    expect(page.locator(".message.theirs")).to_have_count(40)
    say(page, "$ sudo true")
    expect(page.locator("#reason")).to_be_visible()
    for name in ("Run it", "Do not run it"):
        expect(page.get_by_role("button", name=name, exact=True)).to_be_in_viewport(ratio=1)


def test_a_command_that_the_user_does_not_want_is_not_run(server: ServerProcess, tabs: Tabs) -> None:
    page = asked(server, tabs)
    page.get_by_role("button", name="Do not run it").click()
    expect(page.locator(".card .outcome")).to_have_text("rejected")
    expect(page.locator("#agent")).to_have_text("waits for you")
    expect(page.locator(".card-buttons")).to_have_count(0)
