"""Which TCP connection may stay: how many there are, of whom, and who has been here long without asking for anything.

What lives here: the limits that hold before a request is read, and what is said to whoever is turned away. What must
not: HTTP's states (`listener`), keys and origins, which are asked about requests (`front`), and the counts (`limits`).
"""

from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from math import inf

import attrs
import orjson
import trio

from transport.engineio.limits import Limits
from transport.stream import Ending, GuardedStream

__all__ = ["SLOW_BODY", "SLOW_HEAD", "UNUSED", "Doorway", "everyone"]

RETRY_SECONDS = 5
"""Room comes with whoever leaves; sooner only adds to the crowd."""

FAREWELL_SECONDS = 1.0
"""For a client that is turned away to take the reason: its request was on its way, and closing over it would take the
answer back."""

FAREWELLS_MAX = 100
"""That are under way at a time; beyond it connections are closed without a reason."""


def answer(status: str, message: str, *headers: str) -> bytes:
    """A whole HTTP answer that ends its connection."""
    body = orjson.dumps({"message": message})
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


RETRY = f"Retry-After: {RETRY_SECONDS}"
FULL = answer("503 Service Unavailable", "The server has as many connections as it takes", RETRY)
TOO_MANY = answer("429 Too Many Requests", "Too many connections from this address", RETRY)

UNUSED = Ending(counted="head")
SLOW_HEAD = Ending(answer("408 Request Timeout", "The request did not come in time"), "head")
SLOW_BODY = Ending(answer("408 Request Timeout", "The body did not come in time"), "body")
CROWDED_OUT = Ending(answer("503 Service Unavailable", "Others wait, and no request came", RETRY))


def everyone(peer: str) -> str | None:
    """No address is a proxy's."""
    return peer


@attrs.define(eq=False)
class Doorway:
    """`whom` tells for an address whom it counts for, None for a proxy, behind which there are many."""

    limits: Limits
    whom: Callable[[str], str | None] = everyone
    _newcomers: OrderedDict[GuardedStream, None] = attrs.field(factory=OrderedDict, init=False)
    _farewells: int = attrs.field(default=0, init=False)

    def enter(self, peer: str) -> bytes | None:
        """Count a connection, or tell why not."""
        owner = self.whom(peer)
        if not self.limits.connections.permits():
            return FULL
        if owner is not None:
            if not self.limits.connections_per_address.permits(owner):
                return TOO_MANY
            self.limits.connections_per_address.take(owner)
        self.limits.connections.take()
        return None

    def leave(self, peer: str) -> None:
        """Whoever has entered goes."""
        self.limits.connections.give_back()
        owner = self.whom(peer)
        if owner is not None:
            self.limits.connections_per_address.give_back(owner)

    async def turn_away(self, stream: trio.SocketStream, words: bytes) -> None:
        """Give the reason; the caller closes the stream."""
        if self._farewells >= FAREWELLS_MAX:
            return
        self._farewells += 1
        try:
            with trio.move_on_after(FAREWELL_SECONDS), suppress(trio.BrokenResourceError):
                await stream.send_all(words)
                await stream.send_eof()
                while await stream.receive_some():
                    pass
        finally:
            self._farewells -= 1

    def expect_head(self, stream: GuardedStream) -> None:
        """A connection begins; the head of its first request is to come."""
        if not self.limits.handshakes.permits():
            oldest = next(iter(self._newcomers))
            self.head_came(oldest)
            oldest.expect(-inf, CROWDED_OUT)
        self.limits.handshakes.take()
        self._newcomers[stream] = None

    def head_came(self, stream: GuardedStream) -> None:
        """Or will not come any more."""
        if stream in self._newcomers:
            del self._newcomers[stream]
            self.limits.handshakes.give_back()
