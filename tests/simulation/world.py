"""What a simulated run takes from its seed: time, ids, chance; and what is written down of it.

What lives here: the sources of everything that is not a function of the code. What must not: what happens.
"""

import hashlib
import itertools
from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

import attrs
import structlog
import trio
from structlog.typing import EventDict, WrappedLogger
from trio._core import _run

from actors.conversation.surroundings import Surroundings

__all__ = ["Trace", "World", "seed_scheduler"]

DAWN = datetime(2026, 1, 1, tzinfo=UTC)
"""The wall clock when the virtual one says 0."""

UNTOLD = frozenset({"connection", "error_id", "exc_info", "log_level", "event", "error", "quarantine"})
"""What differs from run to run, since sids and error ids are real secrets, or says too much."""


def seed_scheduler(seed: int) -> None:
    """Have trio choose among ready tasks by this seed; there is no public way."""
    _run._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]  # trio's own switch for this
    _run._r.seed(seed)


@attrs.define
class Trace:
    """What happened, in order: as a digest, and in words when somebody wants to read it."""

    keeps_words: bool = False
    words: list[str] = attrs.field(factory=list)
    reached: Counter[str] = attrs.field(factory=Counter)
    """Branches that were taken, by name (see `branches`)."""
    _digest: "hashlib._Hash" = attrs.field(factory=hashlib.sha256)

    def note(self, what: str, /, **facts: object) -> None:
        at = f"{trio.current_time():.6f}" if trio.lowlevel.in_trio_run() else "-"
        line = " ".join([at, what, *(f"{name}={value}" for name, value in facts.items())])
        self._digest.update(line.encode() + b"\n")
        if self.keeps_words:
            self.words.append(line)

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()[:16]

    def log(self, _: WrappedLogger, __: str, line: EventDict) -> EventDict:
        """The server's own log is part of what happened; it goes nowhere else."""
        facts = {name: value for name, value in line.items() if name not in UNTOLD}
        self.note(f"log {line['event']}", **facts)
        self.reached[f"log {line['event']}"] += 1
        raise structlog.DropEvent


@attrs.define
class World:
    """One seed. Each user of chance has a stream of its own, so that one more draw here moves nothing there."""

    seed: int
    trace: Trace = attrs.field(factory=Trace)
    _ids: "itertools.count[int]" = attrs.field(factory=itertools.count)

    def stream(self, name: str) -> Random:
        """Chance for one purpose."""
        return Random(f"{self.seed} {name}")

    def surroundings(self, life: int) -> Surroundings:
        """What the server takes from outside in this life of it."""
        return Surroundings(now, self.new_id, self.stream(f"restarts {life}").random)

    def new_id(self) -> str:
        """Ids of conversations, in the order of their creation."""
        return f"{self.seed:016x}{next(self._ids):016x}"

    def begin(self) -> None:
        """Before trio runs: the scheduler and the log are this world's."""
        seed_scheduler(self.seed)
        structlog.configure(processors=[self.trace.log], cache_logger_on_first_use=False)


def now() -> str:
    """UTC, as events carry it (contract §3.1); virtual."""
    moment = DAWN + timedelta(seconds=trio.current_time())
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
