"""Structured logs: one line a fact, to stderr, for people or as JSON.

What lives here: the set-up of structlog for the process, and the way of the standard library's `logging` into it,
since libraries speak to that one. What must not: a logger of a room; each names its own.
"""

import logging
import sys
from collections.abc import Callable
from typing import Any

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict

from actors.domain.masks import NO_MASKS, Masks, mask

__all__ = ["configure"]


def configure(level: str, *, as_json: bool, masks: Callable[[], Masks] = lambda: NO_MASKS) -> None:
    """Set structlog and the root of `logging` up for the process; `level` is debug, info, warning or error.

    `masks` tells, whenever a line is written, what it may not show.
    """

    def hide_facts(_logger: Any, _name: str, facts: EventDict) -> EventDict:
        # Before JSON writes them in its own way, in which they would not be found. An exception is no text yet.
        exception = {"exc_info": facts.pop("exc_info")} if "exc_info" in facts else {}
        return {**mask(masks(), facts), **exception}

    def hide_line(_logger: Any, _name: str, line: Any) -> str:
        # What a traceback quotes is text only now.
        return masks().hide(str(line))

    # Tracebacks without the values of variables, keys among them, which both renderers would show unasked.
    renderer = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    exceptions = (
        [structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))] if as_json else []
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _name_conversation,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *exceptions,
            hide_facts,
            renderer,
            hide_line,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    root = logging.getLogger()
    root.handlers = [_ToStructlog()]
    root.setLevel(getattr(logging, level.upper()))
    # It would log every header of an upgrade, keys among them, and every frame; and a line for whoever connects, which
    # is as many as a stranger likes.
    logging.getLogger("websockets").setLevel(max(logging.WARNING, root.level))


def _name_conversation(_logger: Any, _name: str, facts: EventDict) -> EventDict:
    """The kernel knows keys; here every key is a conversation, and is looked for under one name."""
    if "key" in facts:
        facts["conversation_id"] = facts.pop("key")
    return facts


class _ToStructlog(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        # Libraries may invent levels; structlog knows the five.
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        logger = structlog.get_logger().bind(logger=record.name)
        logger.log(level, record.getMessage(), exc_info=record.exc_info)
