"""What a security analyzer is to those who use one. Pure.

What lives here: the port and its answer. What must not: a rule, or what follows from a risk (`policy`).
"""

from enum import IntEnum
from typing import Protocol

import attrs

from actors.domain.events import RunAction

__all__ = ["Analyzer", "Assessment", "Risk"]


class Risk(IntEnum):
    """V0's values of `security_risk` (contract §3.2)."""

    UNKNOWN = -1
    LOW = 0
    MEDIUM = 1
    HIGH = 2


@attrs.frozen
class Assessment:
    """`reason` is for people, half a sentence; empty where there is nothing to say. It repeats no argument of a
    command, since one may be a secret."""

    risk: Risk
    reason: str = ""


class Analyzer(Protocol):
    """Somebody who tells how dangerous an action is. Best effort: what confines a command is its sandbox."""

    @property
    def name(self) -> str: ...

    def assess(self, action: RunAction) -> Assessment:
        """Any text gets an answer, soon; never raises."""
        ...
