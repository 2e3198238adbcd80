"""What a person is shown of an event."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport.cli.lines import line

STATE = {"observation": "agent_state_changed"}


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ({"source": "user", "action": "message", "args": {"content": "hi"}}, "user: hi"),
        ({"status_update": True, "type": "info", "id": "SESSION$TIMEOUT_MESSAGE", "message": "Closed"}, "[Closed]"),
        ({"status_update": True, "type": "info", "id": "STATUS$READY", "message": ""}, None),
        ({"source": "agent", "action": "run", "args": {"command": "ls"}}, "$ ls"),
        ({"action": "run", "args": {"command": "ls", "confirmation_state": "confirmed"}}, "$ ls"),
        ({"action": "run", "args": {"command": "ls", "confirmation_state": "rejected"}}, "[not run: ls]"),
        (
            {"action": "run", "args": {"command": "ls", "confirmation_state": "awaiting_confirmation"}},
            "$ ls\n[run it? yes or no]",
        ),
        (
            {"observation": "run", "content": "a\nb\n", "extras": {"metadata": {"exit_code": 2}}},
            "a\nb\n[exit code 2]",
        ),
        ({"observation": "error", "content": "no"}, "[error: no]"),
        (STATE | {"extras": {"agent_state": "running", "reason": ""}}, "[agent: running]"),
        (STATE | {"extras": {"agent_state": "error", "reason": "x"}}, "[agent: error: x]"),
        ({"action": "finish", "message": "done"}, "agent: done"),
        ({"error": True, "message": "too much"}, "[refused: too much]"),
        ({"status_update": True, "message": "starting"}, None),
        ({"observation": "null", "content": ""}, None),
    ],
)  # fmt: skip
def test_each_kind_has_its_line(event: dict[str, Any], text: str | None) -> None:
    assert line(event) == text


KEYS = st.sampled_from(["action", "observation", "args", "extras", "content", "message", "source", "error", "metadata"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["message", "run", "error", "agent_state_changed"]),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
)


@given(JSON)
def test_any_json_is_a_line_or_nothing(event: object) -> None:
    assert line(event) is None or isinstance(line(event), str)
