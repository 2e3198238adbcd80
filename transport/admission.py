"""Who may come in, and how often: one question at every door (REST, polling, upgrade, login), one answer.

What lives here: which paths are open, what a wrong key costs, and what is told to whoever is refused. What must not:
the key and the buckets themselves (`auth`, `ratelimit`), or sockets. Whoever has shown the key is counted apart from
strangers, so a stranger behind the same address cannot use up what is theirs.
"""

import time
from collections.abc import Mapping
from math import ceil
from urllib.parse import quote

import attrs
import trio

from transport.auth import COOKIE, COOKIE_SECONDS, SessionKey, Verdict, shown_key
from transport.proxies import TrustedProxies
from transport.ratelimit import RateLimiter

__all__ = ["Admission", "Denial"]

HEALTH = frozenset({"/alive", "/health", "/readyz"})
"""Never counted and never asked for a key: whoever watches the server must not be told that it is down."""

OPEN = frozenset({"/", "/login", "/api/login", "/api/logout"})
OPEN_BELOW = ("/login/", "/static/", "/assets/", "/conversations/")
"""The page and its parts, which tell nothing; what they show they ask for with the key."""

GUESSES_PER_SECOND = 1 / 6
GUESSES_BURST = 10
"""Ten wrong keys at once and ten a minute: more than a person mistypes, and for a program as good as none."""


@attrs.frozen
class Denial:
    """An answer that refuses: a status, a JSON body, headers."""

    status: int
    body: Mapping[str, str]
    headers: Mapping[str, str] = attrs.field(factory=dict)


UNAUTHORIZED = Denial(401, {"detail": "Unauthorized"})
"""Contract §5."""


@attrs.define
class Admission:
    """`key` is None where everybody may come in. Headers are `folded`; `peer` is the socket's other end. Paths come in
    without `path_prefix`, and are told to browsers with it."""

    key: SessionKey | None
    requests: RateLimiter
    proxies: TrustedProxies = attrs.field(factory=TrustedProxies)
    path_prefix: str = ""
    _guesses: RateLimiter = attrs.field(factory=lambda: RateLimiter(GUESSES_PER_SECOND, GUESSES_BURST), init=False)
    _same_guess: RateLimiter = attrs.field(factory=lambda: RateLimiter(GUESSES_PER_SECOND, GUESSES_BURST), init=False)

    def request(self, method: str, target: str, headers: Mapping[str, str], peer: str) -> Denial | None:
        """Why this request to REST or for a page is refused, or None. `target` is the path with its query."""
        path = target.partition("?")[0]
        if path in HEALTH:
            return None
        address = self.address(headers, peer)
        verdict = self._look(headers, {}, address)
        if isinstance(verdict, Denial):
            return verdict
        wait = self.requests.take((verdict is Verdict.RIGHT, address), trio.current_time())
        if wait > 0:
            return _too_many(wait)
        if verdict is Verdict.RIGHT:
            return None
        if _is_page(method, path, headers):
            wanted = quote(self.path_prefix + target, safe="/")
            return Denial(303, {"detail": "Log in"}, {"location": f"{self.path_prefix}/login?next={wanted}"})
        return None if _is_open(path) else UNAUTHORIZED

    def handshake(self, headers: Mapping[str, str], query: Mapping[str, str], peer: str) -> Denial | None:
        """Why a new Engine.IO session is refused before it is one. One without the right key is let in this often, to
        be told so by its `44` (contract §2.2)."""
        address = self.address(headers, peer)
        verdict = self._look(headers, query, address)
        if isinstance(verdict, Denial):
            return verdict
        wait = self._wrong(b"", address) if verdict is Verdict.ABSENT else 0.0
        return _too_many(wait) if wait > 0 else None

    def admits(self, headers: Mapping[str, str], query: Mapping[str, str]) -> bool:
        """Whether a request has shown the key. Counts nothing, so it must only be asked behind `handshake`."""
        if self.key is None or self.key.has_cookie(headers, time.time()):
            return True
        shown = shown_key(headers, query)
        return shown is not None and self.key.is_right(shown)

    def login(self, shown: str, headers: Mapping[str, str], peer: str) -> Mapping[str, str] | Denial:
        """The headers that log a browser in with this key, or why not."""
        if self.key is None:
            return {}
        verdict = self._judge(self.key, shown, self.address(headers, peer))
        if isinstance(verdict, Denial):
            return verdict
        if verdict is not Verdict.RIGHT:
            return UNAUTHORIZED
        return {"set-cookie": self._cookie(self.key.new_cookie(time.time()), COOKIE_SECONDS, headers, peer)}

    def logout(self, headers: Mapping[str, str], peer: str) -> Mapping[str, str]:
        """The headers that take a browser's cookie back."""
        return {"set-cookie": self._cookie("", 0, headers, peer)}

    def _look(self, headers: Mapping[str, str], query: Mapping[str, str], address: str) -> Verdict | Denial:
        if self.key is None or self.key.has_cookie(headers, time.time()):
            return Verdict.RIGHT
        shown = shown_key(headers, query)
        return Verdict.ABSENT if shown is None else self._judge(self.key, shown, address)

    def _judge(self, key: SessionKey, shown: str, address: str) -> Verdict | Denial:
        # Who has guessed too often is not even told when it is right, or guessing would go on.
        wait = self._guesses.wait(address, trio.current_time())
        if wait == 0:
            if key.is_right(shown):
                return Verdict.RIGHT
            wait = self._wrong(key.digest(shown), address)
        return _too_many(wait) if wait > 0 else Verdict.WRONG

    def _wrong(self, guess: bytes, address: str) -> float:
        """Count a wrong key. The same one again costs only itself: a forgotten client that goes on trying must not
        lock out its neighbours behind the same address."""
        now = trio.current_time()
        if self._same_guess.is_full((guess, address), now):
            wait = self._guesses.take(address, now)
            if wait > 0:
                return wait
        return self._same_guess.take((guess, address), now)

    def address(self, headers: Mapping[str, str], peer: str) -> str:
        """Whom a request counts for."""
        return self.proxies.client(peer, headers.get("x-forwarded-for", ""))

    def hosts(self, headers: Mapping[str, str], peer: str) -> tuple[str, ...]:
        """Under which names a request has come here, the browser's first."""
        return self.proxies.hosts(peer, headers.get("host", ""), headers.get("x-forwarded-host", ""))

    def _cookie(self, value: str, seconds: int, headers: Mapping[str, str], peer: str) -> str:
        secure = "; Secure" if self.proxies.is_https(peer, headers.get("x-forwarded-proto", "")) else ""
        path = self.path_prefix or "/"
        return f"{COOKIE}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"

    def statistics(self) -> dict[str, int]:
        return {
            "requests_counted": self.requests.statistics()["buckets"],
            "guesses_counted": self._guesses.statistics()["buckets"],
        }

    def __repr__(self) -> str:
        return f"<Admission {'with' if self.key is not None else 'without'} a key, {self.requests!r}>"


def _too_many(wait_seconds: float) -> Denial:
    return Denial(429, {"message": "Too many requests"}, {"retry-after": str(ceil(wait_seconds))})


def _is_open(path: str) -> bool:
    return path in OPEN or path.startswith(OPEN_BELOW)


def _is_page(method: str, path: str, headers: Mapping[str, str]) -> bool:
    """Whether a browser goes to a page: then it is led to the login, where a program is told 401."""
    is_elsewhere = path == "/login" or path.startswith(("/api/", "/login/"))
    return method == "GET" and not is_elsewhere and "text/html" in headers.get("accept", "")
