"""A page of another origin: with permission it polls like one of ours, without it reaches nothing."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.server import ServerProcess

pytestmark = pytest.mark.wallclock

PERMITTED, FOREIGN = "http://ui.example", "http://evil.example"
POLLING = "/socket.io/?EIO=4&transport=polling"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path / "data", {"PERMITTED_CORS_ORIGINS": PERMITTED})
    process.start()
    yield process
    process.kill()


def ask(server: ServerProcess, method: str, origin: str) -> tuple[int, str | None]:
    """Status, and which origin may read the answer."""
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    request = urllib.request.Request(server.url + POLLING, headers=headers, method=method)  # noqa: S310 - our own server
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - as above
            return answer.status, answer.headers["access-control-allow-origin"]
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.headers["access-control-allow-origin"]


@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("OPTIONS", 204)])
def test_a_permitted_page_may_poll_and_ask_before(server: ServerProcess, method: str, status: int) -> None:
    assert ask(server, method, PERMITTED) == (status, PERMITTED)


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_a_foreign_page_gets_nothing(server: ServerProcess, method: str) -> None:
    assert ask(server, method, FOREIGN) == (403, None)
