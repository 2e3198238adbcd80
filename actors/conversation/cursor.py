"""A connection is a cursor (K31): a place in the visible log, moved forward by the live feed or by reading.

While it is live, the actor offers every durable batch and the sink takes it at once. When the sink will not take
more, the cursor leaves live mode, reads from the log at the sink's pace, and becomes live again at the head (K33).
It never makes the actor wait.
"""

from collections.abc import Sequence
from typing import Protocol

import attrs
import trio

from actors.conversation.draft import Draft
from actors.conversation.published import Passage, Published, passages
from actors.domain.codec import kind_of, visible
from storage.event_log import EventLog, LogView

__all__ = ["Cursor", "CursorStatistics", "Sink"]

READ_BYTES_MAX = 128 * 1024
"""What a reader that stalls holds of the log, beside what its sink does."""


@attrs.frozen
class CursorStatistics:
    """Where a client is; `notices` wait for it besides what is in the log."""

    position: int
    behind: bool
    ended: bool
    notices: int


class Sink(Protocol):
    """Where a cursor's events go."""

    @property
    def shows_drafts(self) -> bool:
        """Whether its client wants to see what the agent is writing."""

    def try_show(self, part: Published[object]) -> bool:
        """Take a part of a draft, unless anything waits already."""

    def try_send(self, published: Published[object]) -> bool:
        """Take all of it now, or say no and take nothing."""

    async def wait_writable(self) -> None:
        """Return when `try_send` is worth another try."""

    def close(self) -> None:
        """The conversation was stopped; nothing more will come."""


class Cursor:
    """`position` is the id of the last event that is behind it, -1 before the first."""

    def __init__(self, sink: Sink, position: int) -> None:
        self.sink = sink
        self.position = position
        self.ended = False
        self.left = False
        """Its client is gone: whoever takes it over later, from a mailbox, lets it lie."""
        self._live = False
        self._gone = False
        self._log: EventLog | LogView | None = None
        self._notices: dict[str, Published[object]] = {}
        # Of the draft that was begun after this event, so much has been shown. Not the draft: that may be a long text.
        self._draft_after = -1
        self._shown_characters = 0
        self._attention = trio.lowlevel.ParkingLot()

    @property
    def behind(self) -> bool:
        """Whether it reads from the log at its own pace, instead of being offered what comes."""
        return not self._live

    def offer(self, durable: Sequence[Passage]) -> None:
        """What comes next in the log, once it is durable."""
        if not self._live:
            return
        for passage in durable:
            if passage.payloads and not self.sink.try_send(passage):
                self._live = False
                self._attention.unpark_all()
                return
            self.position = passage.last_id

    def notify(self, about: str, published: Published[object]) -> None:
        """Something of the moment: after what is before it in the log, and only the latest of its kind."""
        if self._live and self.sink.try_send(published):
            return
        self._notices[about] = published
        self._live = False
        self._attention.unpark_all()

    def show(self, draft: Draft) -> None:
        """What the sink has not been shown of what the agent is writing, if it takes that now: who is behind has events
        to take first, and nothing of this is worth waiting for (K34)."""
        if not (self._live and self.sink.shows_drafts):
            return
        if self._draft_after != draft.after:
            self._draft_after, self._shown_characters = draft.after, 0
        if self._shown_characters < len(draft.text) and self.sink.try_show(draft.part(self._shown_characters)):
            self._shown_characters = len(draft.text)

    def detach(self) -> None:
        """The actor is gone; whoever pumps must subscribe anew."""
        self._live = False
        self._gone = True
        self._attention.unpark_all()

    def end(self) -> None:
        """The conversation was stopped: the sink is told, and nothing more will come."""
        self.ended = True
        self.detach()
        self.sink.close()

    def switch(self, log: EventLog) -> None:
        """Another incarnation took the conversation over at the same head: read from its log from now on (K22)."""
        self._log = log

    async def pump(self, log: EventLog) -> None:
        """Keep the sink supplied until the actor detaches. One pump a cursor."""
        self._gone, self._log = False, log
        while not self._gone:
            await self._catch_up()
            if self._notices and not self._gone:
                await self._send(self._notices.pop(next(iter(self._notices))))
                continue
            # No checkpoint between the last look at the head and this: nothing falls in between.
            if not self._gone:
                self._live = True
                await self._attention.park()

    async def read_out(self, log: LogView) -> None:
        """Send what the view has, and stay behind: nothing will follow it."""
        self._gone, self._log = False, log
        await self._catch_up()

    async def _catch_up(self) -> None:
        while self._log is not None and self.position + 1 < self._log.next_id and not self._gone:
            first_id = self.position + 1
            read = await self._log.read(first_id, self._log.next_id, bytes_max=READ_BYTES_MAX)
            for passage in passages(first_id, (payload if visible(*kind_of(payload)) else None for payload in read)):
                if passage.payloads:
                    await self._send(passage)
                self.position = passage.last_id

    async def _send(self, published: Published[object]) -> None:
        while not self.sink.try_send(published):
            await self.sink.wait_writable()

    def statistics(self) -> CursorStatistics:
        return CursorStatistics(self.position, self.behind, self.ended, len(self._notices))

    def __repr__(self) -> str:
        return f"<Cursor at {self.position}{' live' if self._live else ''}>"
