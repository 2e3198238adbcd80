"""Notices: what clients are told of the moment, without an id and never stored (contract §3.5). Pure.

They go out beside events on the same channel, are rebuilt from the state when a client joins, and never come before
the durable event that causes them (semantics, "Status updates without id").
"""

from typing import Any

import attrs
import orjson

__all__ = ["Notice", "encode_notice", "failed", "ready", "starting", "timed_out", "title_changed", "too_many"]


@attrs.frozen
class Notice:
    """`about` names what a newer notice replaces: of the run-time's, only the latest is true."""

    about: str
    type: str
    id: str | None
    message: str = ""
    conversation_title: str | None = None


def starting() -> Notice:
    """The run-time is being opened."""
    return Notice("run-time", "info", "STATUS$STARTING_RUNTIME")


def ready() -> Notice:
    """The run-time is open."""
    return Notice("run-time", "info", "STATUS$READY")


def failed(reason: str) -> Notice:
    """The run-time could not be opened."""
    return Notice("run-time", "error", "STATUS$ERROR", reason)


def timed_out() -> Notice:
    """The conversation is closed because nobody used it."""
    return Notice("run-time", "info", "SESSION$TIMEOUT_MESSAGE", "Closed after a while without activity")


def too_many() -> Notice:
    """There is no room for this conversation's run-time, or another one needed it more."""
    return Notice("run-time", "error", "AGENT_ERROR$TOO_MANY_CONVERSATIONS", "Too many conversations at once")


def title_changed(conversation_id: str, title: str) -> Notice:
    """V0 puts the conversation's id where the message stands."""
    return Notice("title", "info", None, conversation_id, title)


def encode_notice(notice: Notice) -> bytes:
    """The wire form, keys in V0's order; what is None is left out."""
    wire: dict[str, Any] = {"status_update": True, "type": notice.type}
    if notice.id is not None:
        wire["id"] = notice.id
    wire["message"] = notice.message
    if notice.conversation_title is not None:
        wire["conversation_title"] = notice.conversation_title
    return orjson.dumps(wire)
