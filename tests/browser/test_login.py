"""Logging in with a browser: led there, told what is wrong, and back to where one wanted to go."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PATIENCE_MS, Tabs
from tests.e2e.server import ServerProcess
from tests.e2e.test_behind_a_proxy import behind_nginx

pytestmark = pytest.mark.wallclock

expect.set_options(timeout=PATIENCE_MS)

KEY = "k3y-of-this-server"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path / "data", {"SESSION_API_KEY": KEY})
    process.start()
    yield process
    process.kill()


def log_in(page: Page, key: str) -> None:
    page.get_by_label("Key").fill(key)
    page.get_by_label("Key").press("Enter")


def test_a_deep_link_leads_to_the_login_and_back_and_the_page_is_live(server: ServerProcess, tabs: Tabs) -> None:
    conversation_id = server.create("/note before")
    address = f"{server.url}/conversations/{conversation_id}"
    page = tabs.open(address)
    expect(page).to_have_url(f"{server.url}/login?next=/conversations/{conversation_id}")
    log_in(page, KEY)
    expect(page).to_have_url(address)
    expect(page.locator("#log")).to_contain_text("before")
    page.get_by_label("Message", exact=True).fill("$ echo $((40+2))")
    page.get_by_label("Message", exact=True).press("Enter")
    expect(page.locator(".output")).to_have_text("42\n")
    other = tabs.open(server.url)
    expect(other.locator("#list li")).to_have_count(1)
    assert page.evaluate("document.cookie") == ""  # scripts do not see it
    assert KEY not in str(page.context.cookies())


def test_who_logs_out_is_out_in_every_tab_and_comes_back_with_the_key(server: ServerProcess, tabs: Tabs) -> None:
    page, other = tabs.open(server.url), tabs.open(server.url)
    log_in(page, KEY)
    expect(page).to_have_url(f"{server.url}/")
    log_in(other, KEY)
    expect(other.locator("#list-empty")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(f"{server.url}/login")
    other.bring_to_front()
    expect(other).to_have_url(f"{server.url}/login?next=/")
    page.goto(server.url)
    expect(page).to_have_url(f"{server.url}/login?next=/")
    log_in(page, KEY)
    expect(page.get_by_role("button", name="Log out")).to_be_visible()


def test_a_wrong_key_is_told_and_another_may_be_tried(server: ServerProcess, tabs: Tabs) -> None:
    page = tabs.open(server.url)
    log_in(page, "wrong")
    expect(page.get_by_role("alert")).to_have_text("This key is not right.")
    log_in(page, f" {KEY} ")  # as it is pasted
    expect(page).to_have_url(f"{server.url}/")


def test_too_many_tries_and_a_server_that_is_away_are_told(server: ServerProcess, tabs: Tabs) -> None:
    page = tabs.open(server.url)
    page.evaluate(
        """async () => {
            for (let number = 0; number < 12; number += 1) {
                const headers = { "Content-Type": "application/json" };
                await fetch("/api/login", { method: "POST", headers, body: JSON.stringify({ key: `k${number}` }) });
            }
        }"""
    )
    log_in(page, KEY)
    expect(page.get_by_role("alert")).to_have_text(re.compile(r"Too many tries\. Try again in [1-6] s\."))
    server.kill()
    log_in(page, KEY)
    expect(page.get_by_role("alert")).to_have_text("The server does not answer. Is it running?")


@pytest.mark.parametrize(
    "wanted", ["//evil.example/", "/\\evil.example", "https://evil.example/", "javascript:alert(1)"]
)
def test_nobody_is_sent_elsewhere_after_the_login(server: ServerProcess, tabs: Tabs, wanted: str) -> None:
    page = tabs.open(server.url)
    page.evaluate("wanted => location.assign('/login?next=' + encodeURIComponent(wanted))", wanted)
    page.wait_for_url(re.compile("evil|javascript"))
    log_in(page, KEY)
    expect(page).to_have_url(f"{server.url}/")


def test_who_is_logged_out_is_led_back(server: ServerProcess, tabs: Tabs) -> None:
    page = tabs.open(server.url)
    log_in(page, KEY)
    expect(page).to_have_url(f"{server.url}/")
    # The page asks for its list again and again, and the first 401 leads away: no navigation of ours beside it.
    page.evaluate("fetch('/api/logout', { method: 'POST' })")
    expect(page).to_have_url(f"{server.url}/login?next=/")
    page.goto(f"{server.url}/")
    expect(page).to_have_url(f"{server.url}/login?next=/")


def test_a_live_page_is_led_to_the_login_when_the_key_is_another(server: ServerProcess, tabs: Tabs) -> None:
    conversation_id = server.create("/note before")
    page = tabs.open(f"{server.url}/conversations/{conversation_id}")
    log_in(page, KEY)
    expect(page.locator("#log")).to_contain_text("before")
    server.kill()
    server.environment["SESSION_API_KEY"] = "an0ther"
    server.start()
    expect(page).to_have_url(f"{server.url}/login?next=/conversations/{conversation_id}")
    log_in(page, "an0ther")
    expect(page.locator("#log")).to_contain_text("before")


def test_in_chinese(server: ServerProcess, tabs: Tabs) -> None:
    page = tabs.open(server.url, "zh-CN")
    expect(page.get_by_role("button")).to_have_text("登录")
    page.get_by_label("密钥").fill("wrong")
    page.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_have_text("密钥不正确。")


def test_it_fits_a_telephone_and_needs_only_a_keyboard(server: ServerProcess, tabs: Tabs) -> None:
    page = tabs.open(server.url)
    page.set_viewport_size({"width": 320, "height": 480})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.keyboard.type(KEY)  # the field has the focus
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{server.url}/")


@pytest.mark.parametrize("how", ["kept", "stripped"])
def test_behind_nginx_and_below_a_path_the_whole_page_is_there(tmp_path: Path, tabs: Tabs, how: str) -> None:
    with behind_nginx(tmp_path / "nginx", how, SESSION_API_KEY=KEY) as behind:
        page = tabs.open(behind.url)
        expect(page).to_have_url(f"{behind.url}/login?next=/greenroom/")
        log_in(page, KEY)
        expect(page).to_have_url(f"{behind.url}/")
        page.locator("#first").fill("$ echo $((40+2))")
        page.locator("#first").press("Enter")
        expect(page).to_have_url(re.compile(f"^{behind.url}/conversations/[0-9a-f]+$"))
        expect(page.locator(".output")).to_have_text("42\n")
        page.reload()
        expect(page.locator(".output")).to_have_text("42\n")
        page.get_by_role("link", name="Greenroom").click()
        expect(page).to_have_url(f"{behind.url}/")
        page.locator("#list a").click()
        expect(page.locator(".output")).to_have_text("42\n")
        [cookie] = page.context.cookies()
        assert (cookie["path"], cookie["secure"]) == ("/greenroom", True)
        page.get_by_role("button", name="Log out").click()
        expect(page).to_have_url(f"{behind.url}/login")
