"""What a server gives out at most, as it stands: how much of each thing is in use, and how often more was wanted.

What lives here: counting. What must not: the figures and their reasons (`options`), sockets, and what becomes of
whoever is refused, which is told where it is asked.
"""

from collections import Counter
from collections.abc import Iterator

import attrs

from transport.engineio.options import Options

__all__ = ["Each", "Limit", "Limits", "PerAddress", "Share"]


@attrs.define(slots=True, eq=False)
class Limit:
    """One for all connections together."""

    maximum: int
    used: int = 0
    refused: int = 0

    def permits(self) -> bool:
        """Whether there may be one more; a no is counted."""
        if self.used < self.maximum:
            return True
        self.refused += 1
        return False

    def take(self) -> None:
        self.used += 1

    def give_back(self) -> None:
        self.used -= 1


@attrs.define(slots=True, eq=False)
class PerAddress:
    """The same for each address. `used` is what the greediest has."""

    maximum: int
    refused: int = 0
    _used: Counter[str] = attrs.field(factory=Counter)

    @property
    def used(self) -> int:
        return max(self._used.values(), default=0)

    @property
    def addresses(self) -> int:
        """How many have anything."""
        return len(self._used)

    def permits(self, address: str) -> bool:
        """Whether there may be one more of this address; a no is counted."""
        if self._used[address] < self.maximum:
            return True
        self.refused += 1
        return False

    def take(self, address: str) -> None:
        self._used[address] += 1

    def give_back(self, address: str) -> None:
        self._used[address] -= 1
        if not self._used[address]:
            del self._used[address]


@attrs.define(slots=True, eq=False)
class Each:
    """A limit that each connection has for itself, where only refusals say something about the server."""

    maximum: int
    refused: int = 0
    used: None = None

    def refuse(self) -> None:
        """Somebody wanted more."""
        self.refused += 1


@attrs.define(slots=True, eq=False)
class Share:
    """What one holder keeps of a limit for all. Up to `free` nobody asks how much the others keep, so that a crowd
    takes nothing from whoever needs little."""

    limit: Limit
    free: int
    kept: int = 0

    def keep(self, amount: int) -> bool:
        """So much is kept from now on, not what was before. False, and counted all the same, when that is too much
        beside all others: then the holder lets go of it soon."""
        grows = amount > self.kept
        self.limit.used += amount - self.kept
        self.kept = amount
        if grows and self.is_tight():
            self.limit.refused += 1
            return False
        return True

    def is_tight(self) -> bool:
        """Whether this holder may not keep more than it does."""
        return self.kept > self.free and self.limit.used > self.limit.maximum


class Limits:
    """Those of one server, by the names of the options that set them, and how often its patience was at an end."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.connections = Limit(options.connections_max)
        self.connections_per_address = PerAddress(options.connections_per_address)
        self.handshakes = Limit(options.handshakes_max)
        self.sessions = Limit(options.sessions_max)
        self.sessions_per_address = PerAddress(options.connections_per_address)
        self.buffered_bytes = Limit(options.buffered_bytes_max)
        self.payload_bytes = Each(options.max_payload_bytes)
        self.outbox_bytes = Each(options.outbox_hard_bytes)
        self.namespaces = Each(options.namespaces_max)
        self.acks = Each(options.acks_max)
        # An HTTP client's request, body, answer; a WebSocket's message, and what it or a poller is sent.
        self.timeouts = Counter({"head": 0, "body": 0, "answer": 0, "message": 0, "websocket": 0, "poll": 0})

    def share_of_bytes(self) -> Share:
        """For one holder of bytes."""
        return Share(self.buffered_bytes, self.options.outbox_low_bytes)

    def __iter__(self) -> Iterator[tuple[str, Limit | PerAddress | Each]]:
        for name, limit in vars(self).items():
            if isinstance(limit, Limit | PerAddress | Each):
                yield name, limit
