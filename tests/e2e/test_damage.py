"""A real server whose disk flips a bit under it, seen from outside (K16): by REST and by python-socketio's client."""

import time
import urllib.error
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.server import ServerProcess
from tests.e2e.test_real_clients import PythonClient

pytestmark = pytest.mark.wallclock

NOTES = 300
DAMAGED = 100


def flip(data: Path, conversation_id: str) -> bytes:
    """One bit of a note in the middle, in place, as hardware does it; the log as it is then."""
    path = data / "conversations" / conversation_id / "events.jsonl"
    place = path.read_bytes().index(b"/note %d " % DAMAGED)
    with path.open("r+b") as file:
        file.seek(place)
        file.write(b".")
    return path.read_bytes()


def notes_of(events: list[dict[str, Any]]) -> list[int]:
    return [int(event["args"]["content"].split()[1]) for event in events if event.get("action") == "message"]


def read_up_to_damage(server: ServerProcess, it: str) -> tuple[list[int], int]:
    """By REST, page by page: what precedes it, and where it is."""
    found: list[dict[str, Any]] = []
    while True:
        page = server.request("GET", f"/api/conversations/{it}/events?limit=100&start_id={len(found)}")
        found += page["events"]
        if not page["has_more"]:
            return notes_of(found), page["damaged_at"]


def told_of(client: PythonClient) -> dict[str, Any]:
    while True:
        notice: dict[str, Any] = client.notices.get(timeout=10)
        if "error" in notice:
            return notice


def taken_notes(client: PythonClient) -> list[int]:
    """All that it was sent; it runs a thread for each message, so the last ones may still be on their way."""
    found: list[dict[str, Any]] = []
    while len(notes_of(found)) < DAMAGED:
        found += client.take(1)
    time.sleep(0.2)
    return sorted(notes_of([*found, *client.take(client.events.qsize())]))


def test_k16_a_bit_that_flips_under_a_hot_conversation_ends_it_alone_and_all_that_precedes_it_can_be_read(
    server: ServerProcess,
) -> None:
    it, sibling = server.create(), server.create()
    writer = PythonClient(server, it, -1, ["websocket"])
    for number in range(NOTES):
        writer.say(f"/note {number} ".ljust(2000, "."))
    damaged = flip(server.data, it)

    late = PythonClient(server, it, -1, ["websocket"])
    assert "damaged" in told_of(late)["message"]
    assert taken_notes(late) == list(range(DAMAGED))
    assert "log_corrupt" in told_of(writer)["message"]

    for _ in ("while the server goes on", "and after a restart"):
        shown, damaged_at = read_up_to_damage(server, it)
        assert shown == list(range(DAMAGED))
        trajectory = server.request("GET", f"/api/conversations/{it}/trajectory")
        assert notes_of(trajectory["trajectory"]) == shown
        assert trajectory["damaged_at"] == damaged_at
        about = server.request("GET", f"/api/conversations/{it}")
        assert (about["status"], about["lifecycle"]["residency"]) == ("ERROR", "failed")
        assert about["lifecycle"]["reason"] == "log_corrupt"
        with pytest.raises(urllib.error.HTTPError) as refused:
            server.request("POST", f"/api/conversations/{it}/message", {"message": "/note never"})
        assert refused.value.code == 409
        later = PythonClient(server, it, -1, ["websocket"])
        assert "log_corrupt" in told_of(later)["message"]
        assert taken_notes(later) == shown
        server.request("POST", f"/api/conversations/{sibling}/message", {"message": "/note fine"})
        assert (server.data / f"conversations/{it}/events.jsonl").read_bytes() == damaged
        server.stop()
        server.start()


def test_k15_k35_a_server_that_was_killed_is_told_from_one_that_was_stopped(server: ServerProcess) -> None:
    lock = server.data / "lock"
    it = server.create("/note kept")
    assert '"durability":"sync"' in lock.read_text()
    server.kill()
    assert lock.read_text()
    server.start()
    assert [event for event in server.events(it) if event.get("message") == "/note kept"]
    server.stop()
    assert lock.read_text() == ""
