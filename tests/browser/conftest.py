"""A server process and Debian's chromium, driven by Playwright. Without chromium these tests are skipped, not in CI."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.e2e.server import ServerProcess
from tests.needs import lacking

PATIENCE_MS = 15_000


@pytest.fixture
def environment() -> dict[str, str]:
    """What the server is configured with; a test has its own by parametrizing it."""
    return {}


@pytest.fixture
def server(tmp_path: Path, environment: dict[str, str]) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path / "data", environment)
    process.start()
    yield process
    process.kill()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        lacking("chromium (apt-get install chromium)")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path)
        yield found
        found.close()


class Tabs:
    """Tabs of one browser profile; what their scripts complained about."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        # Those who stand behind a proxy have a certificate that they signed themselves.
        self._context = browser.new_context(locale="en-US", ignore_https_errors=True)
        self.complaints: list[str] = []

    def open(self, url: str, locale: str = "en-US") -> Page:
        context = self._context if locale == "en-US" else self._browser.new_context(locale=locale)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(url)
        return page

    def _hear(self, message: ConsoleMessage) -> None:
        # A server that is away is told to the console by the browser itself.
        if (
            message.type == "error"
            and "Failed to load resource" not in message.text
            and "WebSocket" not in message.text
        ):
            self.complaints.append(message.text)


@pytest.fixture
def tabs(browser: Browser) -> Iterator[Tabs]:
    """Fails a test whose pages raised anything, a breach of their Content-Security-Policy included."""
    found = Tabs(browser)
    yield found
    for context in browser.contexts:
        context.close()
    assert found.complaints == []
