"""The clients of a conversation, told together: events once for all of them, and notices.

What lives here: what goes to every cursor. What must not: how one follows the log (`cursor`), or who is there; the
actor keeps that, and a hibernated conversation does (K22).
"""

from collections.abc import Collection, Sequence
from typing import Any

from actors.conversation.cursor import Cursor
from actors.conversation.decision import RunTimePhase
from actors.conversation.published import Published, passages
from actors.conversation.step import Step
from actors.domain import notices
from actors.domain.codec import kind_of_body, visible

__all__ = ["greet", "publish", "tell"]

_NOTICES = {RunTimePhase.OPENING: notices.starting(), RunTimePhase.OPEN: notices.ready()}


def greet(cursor: Cursor, phase: RunTimePhase) -> None:
    """A client that joins is told how the run-time is, once it has the history (semantics, seams)."""
    notice = _NOTICES.get(phase)
    if notice is not None:
        tell((cursor,), notice)


def tell(cursors: Collection[Cursor], notice: notices.Notice) -> None:
    """A notice, encoded once; one about the same thing takes the place of an older one."""
    published: Published[Any] = Published((notices.encode_notice(notice),))
    for cursor in cursors:
        cursor.notify(notice.about, published)


def publish(cursors: Collection[Cursor], first_id: int, steps: Sequence[Step]) -> None:
    """The events of a turn, of which the first has this id; what sockets do not show leaves its place empty."""
    if not cursors:
        return
    shown = [
        payload if visible(*kind_of_body(event.body)) else None
        for step in steps
        for event, payload in zip(step.events, step.payloads, strict=True)
    ]
    if shown:
        durable = passages(first_id, shown)
        for cursor in tuple(cursors):
            cursor.offer(durable)
