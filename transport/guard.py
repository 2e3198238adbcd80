"""The connection's guard: the place where a crash inside one connection stops being anybody else's problem.

What lives here: one context manager. It is one of the two `except Exception` of the project; everything that runs
on behalf of a single client (the accept loop's tasks, a namespace handler, a connection's own tasks) runs inside
it. What must not live here: decisions about what the client is told, which differ by place.
"""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import attrs
import structlog

__all__ = ["Outcome", "connection_guard", "log_failure"]

log = structlog.get_logger(__name__)


@attrs.define
class Outcome:
    """What became of the guarded block: `error_id` is set when it crashed, and the log line carries the same id."""

    error_id: str | None = None

    @property
    def crashed(self) -> bool:
        return self.error_id is not None


@contextmanager
def connection_guard(event: str, facts: Mapping[str, object] | None = None) -> Iterator[Outcome]:
    """Run a block for one client; a crash is logged as `event` with an error id and goes no further.

    `facts` are looked at when there is a line to write: of a connection more is known as time goes on.
    Cancellation passes through. A group that mixes cancellation with errors is taken apart: the errors are logged
    and the rest goes on its way, since an `ExceptionGroup` would slip past a narrower clause.
    """
    outcome = Outcome()
    try:
        yield outcome
    except Exception as failure:  # noqa: BLE001 - the connection's guard, one of the two of the project
        outcome.error_id = log_failure(event, failure, **(facts or {}))
    except BaseExceptionGroup as group:
        errors, rest = group.split(Exception)
        if errors is not None:
            outcome.error_id = log_failure(event, errors, **(facts or {}))
        if rest is not None:
            raise rest from None


def log_failure(event: str, failure: BaseException, **facts: object) -> str:
    """Log what a stranger may not be told, and return the id that may be told instead."""
    error_id = secrets.token_hex(4)
    log.error(event, error_id=error_id, exc_info=failure, **facts)
    return error_id
