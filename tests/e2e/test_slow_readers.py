"""Readers that fall behind, on the real server: bounded memory, no gap, no repeat, and nobody is delayed (K33)."""

import http.client
import json
import re
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from bench.crowd import Crowd, open_crowd
from bench.servers import Server
from tests.e2e.server import ServerProcess

pytestmark = pytest.mark.wallclock

EVENT_ID = re.compile(rb'42\["oh_event",\{"id":(\d+),')

WEBSOCKETS, POLLERS = 20, 3

BURST_EVENTS, BURST_BYTES = 8000, 1000

READER_BYTES_MAX = 1_000_000
"""A reader's outbox, what it holds of the log, and what Python's allocator makes of that. All that it was to be sent is
ten times as much."""

SMALL_BUFFER_BYTES = 4096


class Poller:
    """A client by polling that fetches nothing unless it is told to."""

    def __init__(self, url: str, conversation_id: str) -> None:
        address = urlsplit(url)
        self._http = http.client.HTTPConnection(str(address.hostname), address.port or 80, timeout=20)
        self._query = f"/socket.io/?EIO=4&transport=polling&conversation_id={conversation_id}"
        opened = self._ask("GET")
        self._query += f"&sid={json.loads(opened[1:])['sid']}"
        self._ask("POST", "40")
        self.ids: list[int] = []

    def _ask(self, method: str, body: str | None = None) -> bytes:
        self._http.request(method, self._query, body)
        answer = self._http.getresponse()
        found = answer.read()
        assert answer.status == 200, (answer.status, found)
        return found

    def fetch(self) -> None:
        """One GET."""
        found = self._ask("GET")
        self.ids += map(int, EVENT_ID.findall(found))
        if b"\x1e2" in b"\x1e" + found:
            self._ask("POST", "3")


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    with open_crowd() as found:
        yield found


def burst(server: ServerProcess, conversation_id: str) -> None:
    """Have the agent say much, and wait until it has."""
    said = server.request("GET", f"/api/conversations/{conversation_id}")["lifecycle"]["last_event_id"]
    text = {"message": f"/burst {BURST_EVENTS} {BURST_BYTES}"}
    server.request("POST", f"/api/conversations/{conversation_id}/message", text)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = server.request("GET", f"/api/conversations/{conversation_id}")["lifecycle"]
        if found["last_event_id"] >= said + BURST_EVENTS and found["agent_state"] == "awaiting_user_input":
            return
        time.sleep(0.05)
    raise AssertionError(f"the burst does not end: {found}")


def visible_ids(server: ServerProcess, conversation_id: str) -> list[int]:
    events = server.request("GET", f"/api/conversations/{conversation_id}/trajectory")["trajectory"]
    return [event["id"] for event in events if not str(event.get("observation")).startswith("greenroom.")]


def test_k33_who_falls_behind_costs_bounded_memory_and_catches_up_without_gap_or_repeat(
    server: ServerProcess, crowd: Crowd
) -> None:
    process, conversation_id = Server("it", server.url, server.pid), server.create()
    query = {"conversation_id": conversation_id}
    burst(server, conversation_id)  # what a server takes once for so much
    [quick] = crowd.join(server.url, [query])
    crowd.settle(1.0)
    before = process.memory_bytes()
    slow = [crowd.dial(server.url, query, SMALL_BUFFER_BYTES) for _ in range(WEBSOCKETS)]
    crowd.wait(slow, lambda listener: listener.joined)
    for listener in slow:
        crowd.ignore(listener)
    pollers = [Poller(server.url, conversation_id) for _ in range(POLLERS)]
    burst(server, conversation_id)
    grown = process.memory_bytes() - before
    ids = visible_ids(server, conversation_id)
    crowd.wait([quick], lambda listener: listener.last_id == ids[-1], seconds=10)
    inside = server.request("GET", f"/api/admin/actors/{conversation_id}")["actor"]
    assert inside["clients_behind"] == WEBSOCKETS + POLLERS
    assert grown < (WEBSOCKETS + POLLERS) * READER_BYTES_MAX, f"{grown:,} bytes"
    for listener in slow:
        crowd.heed(listener)
    crowd.wait(slow, lambda listener: listener.last_id == ids[-1])
    assert [listener.count for listener in (quick, *slow)] == [len(ids)] * (1 + WEBSOCKETS)
    for poller in pollers:
        while len(poller.ids) < len(ids):
            poller.fetch()
        assert poller.ids == ids
