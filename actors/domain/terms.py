"""On what terms a client has a command carried out: once under a key (K11), only on what it has seen (K12). Pure.

What lives here: `Terms`, which texts and numbers may stand in them, and how they are read off an action. What must not:
what becomes of a command whose terms do not hold, or were used before (`actors.conversation.terms`).
"""

from collections.abc import Mapping
from typing import Any

import attrs

from actors.domain.codec import DecodeError

__all__ = [
    "EVENT_ID_EXPECTED",
    "EXPECTED_FIELD",
    "KEY_CHARACTERS_MAX",
    "KEY_EXPECTED",
    "KEY_FIELD",
    "Terms",
    "decode_terms",
    "is_event_id",
    "is_key",
]

KEY_CHARACTERS_MAX = 255
"""As other services that take such keys; a UUID has 36."""

EVENT_ID_MAX = 2**53
"""Beyond this JSON's readers disagree about whole numbers."""

KEY_FIELD, EXPECTED_FIELD = "idempotency_key", "expected_event_id"
KEY_EXPECTED = f"should be a text of 1 to {KEY_CHARACTERS_MAX} printable ASCII characters without spaces"
EVENT_ID_EXPECTED = "should be the id of an event, a whole number from 0 on"


@attrs.frozen
class Terms:
    """`expected_event_id` is the id of the last event that the client knows of, house facts included."""

    key: str | None = None
    expected_event_id: int | None = None


def is_key(value: object) -> bool:
    """Whether this can be a key: printable ASCII, so that every proxy, log and terminal shows it as it is."""
    if not isinstance(value, str) or not 1 <= len(value) <= KEY_CHARACTERS_MAX:
        return False
    return all("!" <= sign <= "~" for sign in value)


def is_event_id(value: object) -> bool:
    """Whether this can be an event's id; bool is an int to Python, and never to us."""
    return type(value) is int and 0 <= value <= EVENT_ID_MAX


def decode_terms(wire: Mapping[str, Any]) -> Terms | None:
    """The terms that stand beside `action`, None where there are none; null is none. Raises `DecodeError`."""
    key, expected_event_id = wire.get(KEY_FIELD), wire.get(EXPECTED_FIELD)
    if key is None and expected_event_id is None:
        return None
    if key is not None and not is_key(key):
        raise DecodeError(f"`{KEY_FIELD}` {KEY_EXPECTED}")
    if expected_event_id is not None and not is_event_id(expected_event_id):
        raise DecodeError(f"`{EXPECTED_FIELD}` {EVENT_ID_EXPECTED}")
    return Terms(key, expected_event_id)
