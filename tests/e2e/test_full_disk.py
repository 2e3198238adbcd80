"""K14 on real file systems: a small one that is filled up, and a limit on the size of files for where none can be
mounted."""

import json
import resource
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.server import ServerProcess
from tests.e2e.test_metrics import scrape
from tests.e2e.test_real_clients import PythonClient, visible

pytestmark = pytest.mark.wallclock

SIZE = "4m"

RECOVERY_SECONDS_MAX = 10.0
"""The server looks every 4 s at the latest."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", place], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"a file system can be mounted by root alone: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.fixture
def small_server(small_disk: Path) -> Iterator[ServerProcess]:
    process = ServerProcess(small_disk)
    process.start()
    yield process
    process.kill()


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            return


def readiness(server: ServerProcess) -> tuple[int, dict[str, Any]]:
    with urllib.request.urlopen(f"{server.url}/readyz", timeout=10) as answer:  # noqa: S310 - our own server
        return answer.status, json.load(answer)


def say(server: ServerProcess, conversation_id: str, text: str) -> None:
    server.request("POST", f"/api/conversations/{conversation_id}/message", {"message": f"/note {text}"})


def refused(attempt: Callable[[], object]) -> urllib.error.HTTPError:
    with pytest.raises(urllib.error.HTTPError) as failure:
        attempt()
    return failure.value


def is_degraded(failure: urllib.error.HTTPError) -> bool:
    return (failure.code, failure.headers["Retry-After"]) == (503, "5") and b"storage_degraded" in failure.read()


def is_taken(server: ServerProcess, conversation_id: str, text: str) -> bool:
    """False when it is refused for the disk; anything else is an error."""
    try:
        say(server, conversation_id, text)
    except urllib.error.HTTPError as failure:
        if not is_degraded(failure):
            raise
        return False
    return True


def say_until_refused(server: ServerProcess, conversation_id: str, text: str) -> list[str]:
    """What was acknowledged: the last block of a file may have room for some more."""
    acknowledged: list[str] = []
    while len(acknowledged) < 5000:
        if not is_taken(server, conversation_id, f"{text} {len(acknowledged)}"):
            return acknowledged
        acknowledged.append(f"{text} {len(acknowledged)}")
    raise AssertionError("the disk is never full")


def notes(server: ServerProcess, conversation_id: str) -> list[str]:
    events = server.events(conversation_id)
    assert [event["id"] for event in events] == list(range(len(events)))
    texts = [str(event["args"]["content"]) for event in events if event.get("action") == "message"]
    return [text.removeprefix("/note ") for text in texts if text.startswith("/note ")]


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + RECOVERY_SECONDS_MAX
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def log_lines(server: ServerProcess, event: str) -> int:
    return (server.data.parent / "server.log").read_text().count(event)


def verify(server: ServerProcess) -> None:
    """`greenroom verify` finds nothing."""
    command = [sys.executable, "-m", "transport.cli", "verify", "--data", str(server.data)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_k14_a_full_disk_refuses_writes_and_nothing_else_until_there_is_room_again(small_server: ServerProcess) -> None:
    server = small_server
    busy, bystander = server.create(), server.create()
    clients = [PythonClient(server, bystander, -1, [transport]) for transport in ("websocket", "polling")]
    say(server, busy, "before")
    clients[0].say("/note seen")
    filler = server.data / "filler"
    fill(filler)

    acknowledged = ["before", *say_until_refused(server, busy, "full")]

    assert readiness(server) == (200, {"status": "ready", "durability": "sync", "storage": "degraded"})
    assert scrape(server)["greenroom_storage_degraded"] == 1
    assert is_degraded(refused(lambda: say(server, bystander, "refused")))
    assert is_degraded(refused(server.create))
    assert is_degraded(refused(lambda: server.request("POST", "/api/settings", {"language": "de"})))
    for client in clients:
        answer = client.say("/note refused")
        assert (answer["error"], answer["code"]) == (True, "storage_degraded")
    assert notes(server, busy) == acknowledged
    assert notes(server, bystander) == ["seen"]
    late = PythonClient(server, busy, -1, ["websocket"])
    seen = visible(server.events(busy))
    assert late.take(len(seen)) == seen

    filler.unlink()
    wait_until(lambda: readiness(server)[1]["storage"] == "ok")

    say(server, busy, "after")
    assert clients[1].say("/note again") is None
    for client in (*clients, late):
        assert client.client.connected
        client.close()
    server.create()
    server.request("POST", "/api/settings", {"language": "de"})
    assert scrape(server)["greenroom_storage_degraded"] == 0
    assert (log_lines(server, "storage_degraded "), log_lines(server, "storage_recovered")) == (1, 1)
    server.kill()
    verify(server)
    server.start()
    assert notes(server, busy) == [*acknowledged, "after"]
    assert notes(server, bystander) == ["seen", "again"]


def test_k14_a_log_that_alone_takes_no_writes_is_nobody_elses_trouble(server: ServerProcess) -> None:
    full, bystander = server.create(), server.create()
    say(server, full, "before")
    size = (server.data / "conversations" / full / "events.jsonl").stat().st_size
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size + 2000, resource.RLIM_INFINITY))

    acknowledged = ["before", *say_until_refused(server, full, "large")]

    assert readiness(server)[1]["storage"] == "ok"
    assert scrape(server)["greenroom_files_ailing"] == 1
    say(server, bystander, "fine")
    assert notes(server, full) == acknowledged
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    wait_until(lambda: is_taken(server, full, "after"))
    assert scrape(server)["greenroom_files_ailing"] == 0
    server.kill()
    verify(server)
    server.start()
    assert notes(server, full) == [*acknowledged, "after"]
    assert notes(server, bystander) == ["fine"]
