"""What no command decides: what time it is, how a new conversation is called, and chance.

What lives here: where a server takes these from. A simulation takes them from its seed.
"""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import attrs

__all__ = ["Surroundings", "utc_now"]


def utc_now() -> str:
    """UTC, ISO 8601 with microseconds and `Z`."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _new_id() -> str:
    return uuid4().hex


@attrs.frozen
class Surroundings:
    """`now` is the time of an event (contract §3.1), `new_id` a conversation's, `chance` in [0, 1) spreads restarts."""

    now: Callable[[], str] = utc_now
    new_id: Callable[[], str] = _new_id
    chance: Callable[[], float] = random.random
