"""What an HTTP request asks of Engine.IO, decided from its method, its query and what is known of its sid.

What lives here: query parsing (the last of repeated keys wins, A27), the order of checks (A2) and the bodies of
refusals (A1). What must not: sessions, ASGI, sockets. The answer is a request or one typed refusal.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from urllib.parse import parse_qsl

import attrs
import orjson

from transport.engineio.session import Transport

__all__ = [
    "CLOSING",
    "FORBIDDEN",
    "FULL",
    "NO_ROOM",
    "TOO_MANY",
    "UNKNOWN",
    "Ask",
    "Problem",
    "Query",
    "Refusal",
    "check",
    "parse_query",
]

# A handshake needs five keys; what an application adds is small. Beyond this it is an attack on the parser.
QUERY_FIELDS_MAX = 64


class Problem(Enum):
    """The reference's error codes and their words (A1)."""

    UNKNOWN_TRANSPORT = (0, "Transport unknown")
    UNKNOWN_SID = (1, "Session ID unknown")
    BAD_METHOD = (2, "Bad handshake method")
    BAD_REQUEST = (3, "Bad request")
    FORBIDDEN = (4, "Forbidden")
    UNSUPPORTED_VERSION = (5, "Unsupported protocol version")


@attrs.frozen
class Refusal:
    """An answer that refuses: `status`, and a JSON body for HTTP or the bare words for a refused upgrade (B1).

    `reason` is told instead of the problem's own words, as the reference does for those that it does not admit;
    `retry_after_seconds` where trying again makes sense.
    """

    problem: Problem
    status: int = 400
    reason: str = ""
    retry_after_seconds: int | None = None

    @property
    def body(self) -> bytes:
        return orjson.dumps({"code": self.problem.value[0], "message": self.words})

    @property
    def words(self) -> str:
        return self.reason or self.problem.value[1]

    @property
    def headers(self) -> Mapping[str, str]:
        """Beside those of every answer."""
        return {} if self.retry_after_seconds is None else {"Retry-After": str(self.retry_after_seconds)}


UNKNOWN = Refusal(Problem.UNKNOWN_SID)
"""For a sid of nobody, or of somebody who is gone."""

FORBIDDEN = Refusal(Problem.FORBIDDEN, 403)
"""For whoever may not come in, whatever is asked."""

CLOSING = Refusal(Problem.FORBIDDEN, 503, "The server is shutting down", 1)
FULL = Refusal(Problem.FORBIDDEN, 503, "The server has as many sessions as it takes", 5)
TOO_MANY = Refusal(Problem.FORBIDDEN, 429, "Too many sessions from this address", 5)
NO_ROOM = Refusal(Problem.FORBIDDEN, 503, "All bodies together are larger than the server keeps at a time", 5)
"""For whoever would be one too many; a moment later somebody may have left."""


@attrs.frozen
class Query:
    """The query of a request: `last` by key, `all` with every value in order."""

    last: Mapping[str, str]
    all: Mapping[str, Sequence[str]]


@attrs.frozen
class Ask:
    """An acceptable request: for the session `sid`, or for a new one when it is None."""

    transport: Transport
    sid: str | None


def parse_query(raw: bytes) -> Query | None:
    """Parse a query string; None when it has more fields than any client of ours sends."""
    try:
        pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True, max_num_fields=QUERY_FIELDS_MAX)
    except ValueError:
        return None
    every: dict[str, list[str]] = {}
    for key, value in pairs:
        every.setdefault(key, []).append(value)
    return Query({key: values[-1] for key, values in every.items()}, every)


def check(method: str, query: Query | None, known: Mapping[str, Transport], *, websocket: bool) -> Ask | Refusal:
    """Decide about a request. `known` maps living sids to their transport, `websocket` says it is an upgrade."""
    if query is None:
        return Refusal(Problem.BAD_REQUEST)
    name = query.last.get("transport")
    if name not in ("polling", "websocket"):
        return Refusal(Problem.UNKNOWN_TRANSPORT)
    transport = Transport(name)
    if websocket is not (transport is Transport.WEBSOCKET):
        return Refusal(Problem.BAD_REQUEST)  # A6, B3
    sid = query.last.get("sid")
    if sid is None:
        return _check_new(method, query, transport)
    return _check_known(method, query, Ask(transport, sid), known)


def _check_new(method: str, query: Query, transport: Transport) -> Ask | Refusal:
    if method != "GET":
        return Refusal(Problem.BAD_METHOD)
    if query.last.get("EIO") != "4":
        return Refusal(Problem.UNSUPPORTED_VERSION)  # A5, and B2 before any 101
    return Ask(transport, None)


def _check_known(method: str, query: Query, ask: Ask, known: Mapping[str, Transport]) -> Ask | Refusal:
    current = known.get(ask.sid or "")
    if current is None:
        return UNKNOWN  # A3
    if ask.transport is Transport.POLLING and current is Transport.WEBSOCKET:
        return Refusal(Problem.BAD_REQUEST)  # D11, D12; a second WebSocket is accepted and closed (D9)
    if query.last.get("EIO") != "4" or method not in ("GET", "POST"):
        return Refusal(Problem.BAD_REQUEST)  # A4, A7: the session lives
    return ask
