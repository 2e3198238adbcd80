"""The connection's guard: the place where a crash inside one connection stops being anybody else's problem.

What lives here: one context manager. It is one of the two places of the project that catch every `Exception`;
everything that runs on behalf of a single client (the accept loop's tasks, a namespace handler, a connection's own
tasks) runs inside it. What must not live here: decisions about what the client is told, which differ by place.
"""

import secrets
from collections.abc import Mapping
from typing import Self

import structlog

__all__ = ["connection_guard", "log_failure"]

log = structlog.get_logger(__name__)


class connection_guard:  # noqa: N801 - reads as a block, like `suppress`
    """Run a block for one client; a crash is logged as `event` with an error id and goes no further.

    `facts` are looked at when there is a line to write: of a connection more is known as time goes on. Afterwards
    `error_id` is that of the line, or None where nothing crashed.
    Cancellation passes through. A group that mixes cancellation with errors is taken apart: the errors are logged
    and the rest goes on its way, since an `ExceptionGroup` would slip past a narrower clause.
    """

    __slots__ = ("_event", "_facts", "error_id")

    # A class, since every event of every client passes here: a generator's block costs four times as much.
    def __init__(self, event: str, facts: Mapping[str, object] | None = None) -> None:
        self._event = event
        self._facts = facts
        self.error_id: str | None = None

    @property
    def crashed(self) -> bool:
        return self.error_id is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, failure: BaseException | None, trace: object) -> bool:
        if failure is None:
            return False
        if isinstance(failure, Exception):
            self._log(failure)
            return True
        if isinstance(failure, BaseExceptionGroup):
            errors, rest = failure.split(Exception)
            if errors is not None:
                self._log(errors)
            if rest is not None and errors is not None:
                raise rest from None
        return False

    def _log(self, failure: BaseException) -> None:
        self.error_id = log_failure(self._event, failure, **(self._facts or {}))


def log_failure(event: str, failure: BaseException, **facts: object) -> str:
    """Log what a stranger may not be told, and return the id that may be told instead."""
    error_id = secrets.token_hex(4)
    log.error(event, error_id=error_id, exc_info=failure, **facts)
    return error_id
