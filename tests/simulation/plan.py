"""What goes wrong in one run, and when: drawn from the seed before anything happens. Pure.

A run is several lives of the server on one disk. Each life ends by the death of the process, a power cut or a drain;
the last one ends by a drain when the faults are over. Times are virtual seconds from the start of a life.
"""

import errno
from enum import StrEnum
from random import Random
from typing import TypeAlias

import attrs

from tests.fakes.sim_disk import Operation

__all__ = [
    "CRASH_POINTS",
    "CrashActor",
    "DiskFails",
    "DiskIsFull",
    "End",
    "Ending",
    "Fault",
    "Life",
    "Passivate",
    "SandboxFails",
    "draw",
]

LIFE_SECONDS = 18.0
"""Several times the idle limits of a simulated server, so that conversations sleep and wake in it."""

CRASH_POINTS = ("activate", "activated", "turn", "turn of many", "publish", "turned", "snapshot")
"""Where the code of an actor can be made to crash: on the way up, before the append, between append and delivery, after
it, and while it saves its state."""

FAULTS_MAX = 5


class Ending(StrEnum):
    """How a life of the server ends."""

    KILLED = "killed"  # the process; what the kernel has stays
    POWER_CUT = "power cut"
    DRAINED = "drained"


@attrs.frozen
class End:
    """At this time, or at the n-th step of the disk if that comes first, in the middle of whatever is being done."""

    ending: Ending
    at: float
    at_step: int | None = None


@attrs.frozen
class DiskFails:
    """So many operations of this kind fail from then on, on files of such a name; at 0 the server starts with it."""

    at: float
    operation: Operation
    path: str
    times: int
    code: int
    keep_bytes: int
    pages_turn_clean: bool


@attrs.frozen
class DiskIsFull:
    """There is room for so many bytes more, for so long."""

    at: float
    bytes_left: int
    seconds: float


@attrs.frozen
class CrashActor:
    """Whatever actor comes to this point next crashes there, so many times; the first `skip` pass."""

    at: float
    point: str
    skip: int
    times: int


@attrs.frozen
class Passivate:
    """Send an actor away at a moment that it has not chosen."""

    at: float
    conversation: int


@attrs.frozen
class SandboxFails:
    """The next so many run-times cannot be opened, or take very long."""

    at: float
    times: int
    seconds: float


Fault: TypeAlias = DiskFails | DiskIsFull | CrashActor | Passivate | SandboxFails


@attrs.frozen
class Life:
    """One life of the server: what fails in it, in order of time, and how it ends."""

    faults: tuple[Fault, ...]
    end: End


def draw(random: Random) -> tuple[Life, ...]:
    """One to three lives; a few runs have no faults but their ends."""
    calm = random.random() < 0.1
    return tuple(_life(random, calm=calm) for _ in range(random.randint(1, 3)))


def _life(random: Random, *, calm: bool) -> Life:
    faults = [] if calm else [_fault(random) for _ in range(random.randint(0, FAULTS_MAX))]
    return Life(tuple(sorted(faults, key=lambda fault: fault.at)), _end(random))


def _end(random: Random) -> End:
    ending = random.choice(list(Ending))
    at = random.uniform(1, LIFE_SECONDS)
    in_a_step = ending is not Ending.DRAINED and random.random() < 0.7
    return End(ending, at, random.randint(20, 300) if in_a_step else None)


def _fault(random: Random) -> Fault:
    at = random.uniform(0, LIFE_SECONDS * 0.8)
    match random.choice(("disk", "disk", "full", "crash", "crash", "passivate", "passivate", "sandbox")):
        case "disk":
            operation = random.choice((Operation.WRITE, Operation.SYNC, Operation.READ, Operation.TRUNCATE))
            times = random.choice((1, 1, 1, 2, 4, 12))
            keep = random.choice((0, 1, 40))
            path = random.choice(("*.jsonl", "*.jsonl", "*"))
            at = random.choice((at, at, at, 0.0))
            return DiskFails(at, operation, path, times, errno.EIO, keep, random.random() < 0.5)
        case "full":
            return DiskIsFull(at, random.choice((0, 100, 2_000)), random.uniform(0.5, 10))
        case "crash":
            return CrashActor(at, random.choice(CRASH_POINTS), random.randint(0, 3), random.choice((1, 1, 2, 7)))
        case "passivate":
            return Passivate(at, random.randint(0, 5))
        case _:
            return SandboxFails(at, random.randint(1, 3), random.choice((0.0, 2.0, 100.0)))
