"""The end of all run-times when the server goes (K35).

What is at rest is closed at once, what is busy when its run is over or the grace is; no state changes but that of a run
that had to be stopped (K29). Correctness depends on none of it: recovery comes to the same end.
"""

from collections.abc import Collection

import structlog
import trio

from actors.conversation.actor import ConversationActor
from actors.conversation.decision import RunTimePhase, is_busy
from actors.conversation.house import STOP_DEADLINE_SECONDS, House
from actors.conversation.messages import Message
from actors.domain.commands import Shut, Why
from actors.runtime import ActorError, Lane, Registry
from storage.errors import StorageError

__all__ = ["drain"]

logger = structlog.get_logger(__name__)

LOOK_SECONDS = 0.05
"""How often to look whose run is over: a matter of seconds, once in the life of a server."""


async def drain(house: House, registry: Registry[Message], grace: trio.CancelScope) -> None:
    """Return when no run-time is open. `grace` is how long runs may go on; cancel it to be quick."""
    for conversation_id, dormant in tuple(house.dormant.items()):
        # Nobody busy hibernates, so there is nothing to be written down, and no need to wake an actor for it.
        del house.dormant[conversation_id]
        dormant.run_time.abandon()
    async with trio.open_nursery() as nursery:
        begun: set[str] = set()

        def close(conversation_id: str) -> None:
            begun.add(conversation_id)
            nursery.start_soon(_close, registry, conversation_id)

        with grace:
            while left := _open_ones(house, begun):
                for conversation_id, actor in left:
                    if not is_busy(actor.state, actor.live):
                        close(conversation_id)
                await trio.sleep(LOOK_SECONDS)
        for conversation_id, _ in _open_ones(house, begun):
            close(conversation_id)


def _open_ones(house: House, begun: Collection[str]) -> list[tuple[str, ConversationActor]]:
    """Whoever has no run-time leaves with all others, and may be about to: a command would wake it once more."""
    return [
        (conversation_id, actor)
        for conversation_id, actor in house.hot.items()
        if conversation_id not in begun and actor.live.phase is not RunTimePhase.CLOSED
    ]


async def _close(registry: Registry[Message], conversation_id: str) -> None:
    with trio.move_on_after(STOP_DEADLINE_SECONDS):
        try:
            await registry.ref(conversation_id).ask(Shut(Why.DRAIN), lane=Lane.CONTROL)
        except (ActorError, StorageError) as failure:
            logger.warning("closing_failed", conversation_id=conversation_id, error=str(failure))
