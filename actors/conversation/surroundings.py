"""What no command decides: what time it is, how a new conversation is called, and chance.

What lives here: where a server takes these from, and what o'clock it is at some time of trio's. A simulation takes
them from its seed.
"""

import random
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import uuid4

import attrs
import trio

__all__ = ["Clock", "Surroundings", "utc_now"]


class _WallClock:
    """Every event asks for the time, so the text of a second is written once."""

    def __init__(self) -> None:
        self._second, self._text = -1, ""

    def __call__(self) -> str:
        """UTC, ISO 8601 with microseconds and `Z`."""
        second, microseconds = divmod(time.time_ns() // 1000, 1_000_000)
        if second != self._second:
            self._second, self._text = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._text}.{microseconds:06d}Z"


utc_now = _WallClock()


def _new_id() -> str:
    return uuid4().hex


@attrs.frozen
class Clock:
    """One moment on both clocks: `now` in `trio.current_time()` seconds, and the same in UTC."""

    now: float
    utc: datetime

    def at(self, seconds: float) -> str:
        """What o'clock it is when `trio.current_time()` is so much: UTC, ISO 8601 with milliseconds and `Z`."""
        # No finer: the two clocks are not read at the very same moment.
        moment = self.utc + timedelta(seconds=seconds - self.now)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@attrs.frozen
class Surroundings:
    """`now` is the time of an event (contract §3.1), `new_id` a conversation's, `chance` in [0, 1) spreads restarts."""

    now: Callable[[], str] = utc_now
    new_id: Callable[[], str] = _new_id
    chance: Callable[[], float] = random.random

    def clock(self) -> Clock:
        """This moment."""
        return Clock(trio.current_time(), datetime.fromisoformat(self.now()))
