"""`Idempotency-Key` and `Expected-Event-Id`: on what terms a request is carried out (K11, K12), and how it is told.

What lives here: the headers, and which routes take them. What must not: what a key means. Headers, since bodies are the
contract's, and strict. A route that cannot keep the promise refuses the header: whoever sends it counts on it.
"""

from collections.abc import Mapping
from typing import Any

from quart import Response, request

from actors.conversation.keys import Receipt
from actors.domain.terms import EVENT_ID_EXPECTED, EXPECTED_FIELD, KEY_EXPECTED, KEY_FIELD, Terms, is_event_id, is_key
from transport.http.bodies import Invalid, Problem, answer

__all__ = ["asked_terms", "refuse_where_not_kept", "tell"]

KEY, EXPECTED, REPLAYED = "Idempotency-Key", "Expected-Event-Id", "Idempotency-Replayed"

DIGITS_MAX = 16
"""Of the largest whole number that JSON's readers agree about."""

_BLUEPRINTS = frozenset({"conversations", "events", "lifecycle"})
_CREATE = "conversations.create"


def refuse_where_not_kept() -> None:
    """Raises `Invalid` when this route changes something and does not keep what these headers ask for."""
    if request.endpoint is None or request.method in ("GET", "HEAD", "OPTIONS"):
        return
    is_taken = request.blueprint in _BLUEPRINTS and request.method != "DELETE"
    for name in (KEY, EXPECTED):
        if name in request.headers and (not is_taken or (name is EXPECTED and request.endpoint == _CREATE)):
            told = f"This route takes no {name}; see the documentation on trying again"
            raise Invalid(Problem("unsupported", ("header", name), told, request.headers[name]))


def asked_terms(body: Mapping[str, Any] | None = None) -> Terms | None:
    """None without either header. Raises `Invalid`, also for a body that has the socket's fields, which are not looked
    at here, and must not be passed over."""
    for name in (KEY_FIELD, EXPECTED_FIELD):
        if body is not None and name in body:
            raise Invalid(Problem("extra_forbidden", ("body", name), "Over HTTP this is a header", body[name]))
    key, expected = _one(KEY), _one(EXPECTED)
    if key is None and expected is None:
        return None
    if key is not None and not is_key(key):
        raise Invalid(Problem("key_format", ("header", KEY), f"Input {KEY_EXPECTED}", key))
    return Terms(key, None if expected is None else _event_id(expected))


def _one(name: str) -> str | None:
    values = request.headers.getlist(name)
    if len(values) > 1:
        raise Invalid(Problem("too_many", ("header", name), "Input should be given once", values))
    return values[0] if values else None


def _event_id(text: str) -> int:
    # Python takes more for a number than HTTP's headers have: signs, underscores, digits of other scripts.
    event_id = int(text) if text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX else -1
    if not is_event_id(event_id):
        raise Invalid(Problem("int_parsing", ("header", EXPECTED), f"Input {EVENT_ID_EXPECTED}", text))
    return event_id


def tell(body: Any, receipt: Receipt, terms: Terms | None) -> Response:
    """The answer of a command; under a key also the id of its event, where the body is an object, and whether it was
    given before."""
    if terms is not None and terms.key is not None and isinstance(body, dict):
        body = {**body, "event_id": receipt.event_id}
    return answer(body, headers={REPLAYED: "true"} if receipt.replayed else None)
