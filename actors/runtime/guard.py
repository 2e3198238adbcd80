"""The supervisors' guard: one of the two places of the project that catch everything (the other is a connection's).

Whatever a supervised child raises ends here, in the log and in the child's history, and never reaches a sibling.
"""

from collections.abc import Awaitable, Callable

import structlog

__all__ = ["guarded"]

logger = structlog.get_logger(__name__)


async def guarded(work: Callable[[], Awaitable[object]], event: str, **facts: object) -> Exception | None:
    """Do the work; what it raises is logged as `event` with the facts, and returned. Cancellation passes through."""
    try:
        await work()
    except Exception as failure:
        logger.exception(event, **facts)
        return failure
    except BaseExceptionGroup as group:
        # Errors and a cancellation at once: a narrower clause would let the errors slip past.
        errors, rest = group.split(Exception)
        if errors is not None:
            logger.exception(event, exc_info=errors, **facts)
        if rest is not None:
            raise rest from None
        return errors
    return None
