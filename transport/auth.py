"""The session key: who has shown it, and the cookie that stands for it. Pure but for the hashes it is made of.

What lives here: where a key may be shown (contract §5), comparing it in constant time, and signing cookies with it.
What must not: which route wants it, or how often one may guess (`admission`). The key itself is never in a repr, and a
cookie is no key: it says until when it is good and is signed by the key, so a new key ends every cookie.
"""

import hmac
from collections.abc import Mapping
from enum import Enum
from hashlib import sha256

import attrs

__all__ = ["COOKIE", "HEADER", "QUERY", "SessionKey", "Verdict", "shown_key"]

HEADER = "x-session-api-key"
QUERY = "session_api_key"
COOKIE = "greenroom_session"

COOKIE_SECONDS = 7 * 24 * 3600
"""A week: a browser logs in as often as a person changes desks, and a stolen cookie does not live for ever."""

NO_KEY = frozenset({"", "null", "undefined"})
"""What V0's page sends where it has none (contract §2.7)."""


class Verdict(Enum):
    """What a request has shown."""

    RIGHT = "right"
    WRONG = "wrong"
    ABSENT = "absent"


@attrs.frozen
class SessionKey:
    """The server's key. Header names are in lower case; `now` is in seconds since the epoch."""

    _key: bytes = attrs.field(repr=False)

    def is_right(self, shown: str) -> bool:
        """Compares in constant time, whatever the length."""
        return hmac.compare_digest(self.digest(shown), self._sign(b"key", self._key))

    def digest(self, shown: str) -> bytes:
        """A name for what was shown, by which it can be remembered without being kept."""
        return self._sign(b"key", shown.encode("utf-8", "replace"))

    def new_cookie(self, now: float) -> str:
        """The value of a cookie that is good for `COOKIE_SECONDS`."""
        until = str(int(now) + COOKIE_SECONDS)
        return f"{until}.{self._sign(b'cookie', until.encode()).hex()}"

    def has_cookie(self, headers: Mapping[str, str], now: float) -> bool:
        """Whether there is a cookie of ours that is still good. An old one is as good as none."""
        until, _, signature = _cookie(headers.get("cookie", "")).partition(".")
        signed = self._sign(b"cookie", until.encode()).hex()
        if not hmac.compare_digest(signed.encode(), signature.encode()):
            return False
        return now < int(until)  # what we signed is a number

    def _sign(self, purpose: bytes, text: bytes) -> bytes:
        return hmac.digest(self._key, purpose + b"\0" + text, sha256)


def shown_key(headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
    """The key that a request shows in its header or, on a socket, in its query; None when it shows none."""
    for shown in (headers.get(HEADER, ""), query.get(QUERY, "")):
        if shown not in NO_KEY:
            return shown
    return None


def _cookie(header: str) -> str:
    # Not http.cookies: it drops all of them for one that it cannot read, and other servers of this host set theirs.
    for pair in header.split(";"):
        name, _, value = pair.strip().partition("=")
        if name == COOKIE:
            return value
    return ""
