"""Token buckets by key, each kept as one number: the time at which it will be full again. Pure: time comes in.

What lives here: how many may pass and when the next one may. What must not: who is counted together, clocks, answers.
A bucket that is full is as good as none, so forgetting one can only be generous, never unjust.
"""

from collections import OrderedDict
from collections.abc import Hashable

import attrs

__all__ = ["RateLimiter"]

BUCKETS_MAX = 10_000
"""About 2 MB. Whoever commands more addresses than that is not stopped by counting each of them."""


@attrs.define
class RateLimiter:
    """In any stretch of t seconds at most `burst + rate_per_second * t` pass for one key; a rate of 0 limits nothing.

    `now` is in seconds of any one clock that does not run backwards.
    """

    rate_per_second: float
    burst: int
    buckets_max: int = BUCKETS_MAX
    _full_at: OrderedDict[Hashable, float] = attrs.field(factory=OrderedDict, init=False)

    def take(self, key: Hashable, now: float) -> float:
        """Let one pass and return 0, or let none pass and return the seconds until one may."""
        wait = self.wait(key, now)
        if self.rate_per_second > 0:
            full_at = max(self._full_at.get(key, now), now)
            self._full_at[key] = full_at if wait > 0 else full_at + 1 / self.rate_per_second
            self._full_at.move_to_end(key)
            if len(self._full_at) > self.buckets_max:
                self._full_at.popitem(last=False)
        return wait

    def wait(self, key: Hashable, now: float) -> float:
        """The seconds until one may pass, 0 for now. Takes nothing."""
        if self.rate_per_second == 0:
            return 0.0
        missing = (self._full_at.get(key, now) - now) * self.rate_per_second
        excess = missing + 1 - self.burst
        # What is left of a token after adding and subtracting large times is not worth a refusal.
        return excess / self.rate_per_second if excess > 1e-6 else 0.0

    def is_full(self, key: Hashable, now: float) -> bool:
        """Whether nothing has passed for this key lately."""
        return self._full_at.get(key, now) <= now

    def statistics(self) -> dict[str, int]:
        return {"buckets": len(self._full_at)}

    def __repr__(self) -> str:
        return f"<RateLimiter {self.rate_per_second:g}/s, burst {self.burst}, {len(self._full_at)} buckets>"
