"""A conversation's memory without a conversation: what a run records, in a list."""

import attrs
import trio

from actors.agent.errors import RunOver
from actors.domain.events import Body, MessageAction, RunAction

__all__ = ["ListRecorder", "Recorded"]


@attrs.frozen
class Recorded:
    id: int
    body: Body
    cause: int | None


@attrs.define
class ListRecorder:
    """Ids count on from the messages that it was given; after `over_after` batches the run counts as ended."""

    messages: list[MessageAction]
    over_after: int | None = None
    forbidden: frozenset[str] = frozenset()
    recorded: list[Recorded] = attrs.field(factory=list)
    batches: list[int] = attrs.field(factory=list)
    left: dict[int, Body] = attrs.field(factory=dict)
    drafts: list[str] = attrs.field(factory=list)
    """What was written before something was recorded."""

    @classmethod
    def of(cls, *contents: str, over_after: int | None = None) -> "ListRecorder":
        return cls([MessageAction(content) for content in contents], over_after=over_after)

    @property
    def message_ids(self) -> tuple[int, ...]:
        return tuple(range(len(self.messages)))

    @property
    def bodies(self) -> list[Body]:
        return [recorded.body for recorded in self.recorded]

    async def record(self, *bodies: Body, cause: int | None = None) -> tuple[int, ...]:
        await trio.lowlevel.checkpoint()
        if self.over_after is not None and len(self.batches) >= self.over_after:
            raise RunOver("the run is over")
        first = len(self.messages) + len(self.recorded)
        new = [Recorded(first + offset, body, cause) for offset, body in enumerate(bodies)]
        self.recorded += new
        self.batches.append(len(new))
        return tuple(recorded.id for recorded in new)

    async def act(self, action: RunAction, cause: int | None = None) -> int | None:
        """Everything may be done, unless it is `forbidden`."""
        if action.command in self.forbidden:
            await trio.lowlevel.checkpoint()
            return None
        [action_id] = await self.record(action, cause=cause)
        return action_id

    async def draft(self, text: str) -> None:
        await trio.lowlevel.checkpoint()
        self.drafts.append(text)

    async def message(self, message_id: int) -> MessageAction:
        await trio.lowlevel.checkpoint()
        return self.messages[message_id]

    def leave(self, cause: int, body: Body) -> None:
        self.left[cause] = body

    def ending_of(self, action: int) -> Body | None:
        """What a conversation would show as the observation of an action once the run is over (K30)."""
        said = [recorded.body for recorded in self.recorded if recorded.cause == action]
        assert len(said) <= 1
        return said[0] if said else self.left.get(action)
