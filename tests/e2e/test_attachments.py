"""Binary attachments where the V0 events have none."""

import pytest

from tests.e2e.server import ServerProcess
from tests.e2e.test_real_clients import PythonClient

pytestmark = pytest.mark.wallclock


def test_a_binary_text_is_refused_and_one_beside_a_good_action_is_ignored(server: ServerProcess) -> None:
    client = PythonClient(server, server.create(), -1, ["websocket"])
    refused = client.client.call("oh_user_action", {"action": "message", "args": {"content": b"\x00"}}, timeout=10)
    assert refused["code"] == "bad_action"
    good = {"action": "message", "args": {"content": "/note kept"}}
    assert client.client.call("oh_user_action", (good, b"\x00"), timeout=10) is None
    assert client.say("/note and on") is None
    client.close()
