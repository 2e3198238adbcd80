"""A trajectory over real sockets: streamed whole, and left in the middle."""

import http.client
import json

import pytest

from tests.e2e.server import ServerProcess

pytestmark = pytest.mark.wallclock


def _ask(server: ServerProcess, conversation_id: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=30)
    connection.request("GET", f"/api/conversations/{conversation_id}/trajectory")
    return connection.getresponse()


def test_10000_events_come_whole_and_in_order_and_a_reader_may_leave(server: ServerProcess) -> None:
    conversation_id = server.create("/burst 10000 300")
    server.wait_for(conversation_id, "greenroom.run_ended", 60)
    with _ask(server, conversation_id) as left:
        assert left.read(100_000).startswith(b'{"trajectory":[')
    with _ask(server, conversation_id) as answer:
        assert answer.getheader("content-length") is None  # nobody counted it beforehand
        body = json.load(answer)
    shown = [event for event in server.events(conversation_id) if "greenroom." not in str(event.get("observation"))]
    assert body == {"trajectory": shown}
    assert len(shown) > 10_000
