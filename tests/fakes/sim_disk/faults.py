"""Which of a disk's operations fail, and how: said beforehand by kind, path and count. Pure."""

import errno
from enum import StrEnum
from fnmatch import fnmatchcase

import attrs

__all__ = ["CHANGES", "Fault", "FaultPlan", "Operation", "PoweredOff", "Step"]


class PoweredOff(BaseException):
    """The machine is off, or this process is dead: no handler of a running program hears of it."""


class Operation(StrEnum):
    """What a disk is asked, in the smallest pieces that it is done in."""

    CREATE = "create"
    READ = "read"
    WRITE = "write"
    TRUNCATE = "truncate"
    SYNC = "sync"
    MAKE_FOLDER = "make folder"
    RENAME = "rename"
    REMOVE = "remove"
    SYNC_FOLDER = "sync folder"


CHANGES = frozenset(Operation) - {Operation.READ}


@attrs.frozen
class Step:
    """An operation that is about to be done; `target` is where a rename leads to."""

    operation: Operation
    path: str
    target: str = ""

    def __str__(self) -> str:
        return f"{self.operation} {self.path}{' -> ' + self.target if self.target else ''}"


@attrs.define(eq=False)
class Fault:
    """Fail the `nth` matching operation from now on, and those after it: `times` of them, or all when that is None.

    No `operation` is any that changes something; `path` may have wildcards, and a rename matches by either end. A
    failing write leaves `keep_bytes` behind. After a failing sync with `pages_turn_clean`, the next one succeeds though
    the data never reach the media.
    """

    operation: Operation | None = None
    path: str = "*"
    nth: int = 1
    times: int | None = 1
    code: int = errno.EIO
    keep_bytes: int = 0
    pages_turn_clean: bool = False
    seen: int = 0

    def strikes(self, step: Step) -> bool:
        """Whether this very step fails; counts it."""
        if step.operation not in (CHANGES if self.operation is None else {self.operation}):
            return False
        if not any(fnmatchcase(path, self.path) for path in (step.path, step.target) if path):
            return False
        self.seen += 1
        return self.seen >= self.nth and (self.times is None or self.seen < self.nth + self.times)


@attrs.define
class FaultPlan:
    """All that is to fail; the first that matches decides how."""

    faults: list[Fault] = attrs.field(factory=list)

    def strike(self, step: Step) -> Fault | None:
        struck = [fault for fault in self.faults if fault.strikes(step)]
        return struck[0] if struck else None
