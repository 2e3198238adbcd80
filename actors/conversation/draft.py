"""What the agent is writing at the moment: shown as it comes, stored never (K34). Pure.

What lives here: the text so far, and which part of it somebody is shown next. What must not: when a draft is over (the
actor knows), and how clients are reached (`cursor`).
"""

from collections.abc import Iterable
from typing import Any

import attrs
import orjson

from actors.conversation.published import Published
from actors.domain.codec import kind_of_body, visible
from actors.domain.events import Event, Source
from actors.domain.masks import Masks

__all__ = ["CHARACTERS_MAX", "Draft", "ends_draft"]

CHARACTERS_MAX = 100_000
"""More than anybody reads while it is being written; what comes after it is seen when the message is there."""


@attrs.define(eq=False)
class Draft:
    """What a run has begun to write when the event with the id `after` was the last one. `text` is what may be shown of
    it: it only grows."""

    run: int
    after: int
    text: str = ""
    _written: str = ""
    _part: tuple[int, int, Published[Any]] | None = None

    def write(self, more: str, masks: Masks) -> None:
        """The agent goes on."""
        if len(self._written) < CHARACTERS_MAX:
            self._written = (self._written + more)[:CHARACTERS_MAX]
            self.text = masks.hide_growing(self._written)

    def part(self, start: int) -> Published[Any]:
        """What there is from this character on; encoded once for all who have seen as much."""
        if self._part is None or self._part[:2] != (start, len(self.text)):
            wire = {"after": self.after, "text": self.text[start:]}
            self._part = (start, len(self.text), Published([orjson.dumps(wire)]))
        return self._part[2]


def ends_draft(events: Iterable[Event]) -> bool:
    """Whether clients forget what they were shown of a draft: at the first event that is not the user's and that they
    see."""
    return any(event.source is not Source.USER and visible(*kind_of_body(event.body)) for event in events)
