"""The end of all run-times when the server goes (K35).

What is at rest is closed at once, what is busy when its run is over or the grace is; no state changes but that of a run
that had to be stopped (K29). Correctness depends on none of it: recovery comes to the same end.
"""

import structlog
import trio

from actors.conversation.decision import is_busy
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
            while left := [found for found in house.hot.items() if found[0] not in begun]:
                for conversation_id, actor in left:
                    if not is_busy(actor.state, actor.live):
                        close(conversation_id)
                await trio.sleep(LOOK_SECONDS)
        for conversation_id in tuple(house.hot):
            if conversation_id not in begun:
                close(conversation_id)


async def _close(registry: Registry[Message], conversation_id: str) -> None:
    with trio.move_on_after(STOP_DEADLINE_SECONDS):
        try:
            await registry.ref(conversation_id).ask(Shut(Why.DRAIN), lane=Lane.CONTROL)
        except (ActorError, StorageError) as failure:
            logger.warning("closing_failed", conversation_id=conversation_id, error=str(failure))
