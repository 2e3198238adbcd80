"""What is asked of one conversation: each method is one command, with the terms that it came on, and its receipt.

What lives here: the commands that an actor answers, and the door that a shutdown closes. What must not: bringing
conversations into being or away (`service`), or a question that wakes nobody (`reader`).
"""

import trio

from actors.conversation.house import STOP_DEADLINE_SECONDS, House
from actors.conversation.keys import Receipt
from actors.conversation.messages import Message
from actors.conversation.reader import Reader
from actors.conversation.summary import v0_status
from actors.conversation.table import Status
from actors.domain import commands as c
from actors.domain.events import AgentState, ChangeAgentStateAction, MessageAction
from actors.domain.terms import Terms
from actors.runtime import Lane, Ref, Registry, RegistryClosed, Reply

__all__ = ["Commander"]

COMMAND_DEADLINE_SECONDS = 30.0
"""A command from outside that waited longer is not executed: whoever sent it has given up or tried again (K7)."""


ANY_TERMS = Terms()
"""None at all; but what comes on terms is answered with a receipt, and what comes without may not be."""


class Commander(Reader):
    """All commands raise `Refused`, the kernel's errors, and `ConversationNotFound` for unknown ids unless they say
    else."""

    def __init__(self, house: House, registry: Registry[Message]) -> None:
        super().__init__(house, registry)
        self._closing = False

    def refuse_commands(self) -> None:
        """From now on nothing new is begun (K35); who looks or reads is answered, and what waits is done."""
        self._closing = True

    @property
    def closing(self) -> bool:
        return self._closing

    def ref(self, conversation_id: str) -> Ref[Message]:
        """The address of a conversation that exists. Raises `RegistryClosed` too."""
        if self._closing:
            raise RegistryClosed("the server is shutting down")
        self.require(conversation_id)
        return self._registry.ref(conversation_id)

    async def start(self, conversation_id: str, terms: Terms | None = None) -> Receipt:
        """Have a run-time, and run on what waits. A conversation that has failed is tried again."""
        self._registry.forget_failure(conversation_id)
        return await self._ask(conversation_id, c.Start(), terms)

    async def resume(self, conversation_id: str, terms: Terms | None = None) -> Receipt:
        """Have the agent go on, with what waits and with what it had begun."""
        return await self._ask(conversation_id, c.Resume(), terms)

    async def pause(self, conversation_id: str, terms: Terms | None = None) -> Receipt:
        """End the run and have the agent wait; the run-time stays open."""
        return await self._ask(conversation_id, c.Pause(), terms, Lane.CONTROL)

    async def archive(self, conversation_id: str, terms: Terms | None = None) -> Receipt:
        """Put it away; the run-time is closed, and clients are disconnected."""
        return await self._ask(conversation_id, c.Archive(), terms)

    async def unarchive(self, conversation_id: str, terms: Terms | None = None) -> Receipt:
        """Take it out again; nothing is started."""
        return await self._ask(conversation_id, c.Unarchive(), terms)

    async def keep_alive(self, conversation_id: str, seconds: float, terms: Terms | None = None) -> Receipt:
        """Hold off closing for so long (K21). Raises `Refused` when it is not running."""
        return await self._ask(conversation_id, c.KeepAlive(seconds), terms)

    async def _ask(
        self,
        conversation_id: str,
        command: c.Command,
        terms: Terms | None = None,
        lane: Lane = Lane.WORK,
        size_bytes: int = 0,
    ) -> Receipt:
        """Raises `Expired` and `AskTimedOut` besides (K7)."""
        receipt: Receipt = await self.ref(conversation_id).ask(
            _on(terms, command), lane=lane, size_bytes=size_bytes, timeout_seconds=COMMAND_DEADLINE_SECONDS
        )
        return receipt

    async def stop(self, conversation_id: str, terms: Terms | None = None) -> Receipt:
        """End the run and the run-time; answers when its processes are gone, with V0's status before.

        Raises `Refused` when it is archived.
        """
        before = Receipt(None, v0_status(self._house.live(conversation_id)), self._house.surroundings.now())
        exists = self._house.store.exists(conversation_id)
        had_failed = self._registry.forget_failure(conversation_id)
        if exists and terms is not None:
            # Whatever there is to be stopped: only the actor knows the keys, and can keep this one.
            return await self._ask(conversation_id, c.Close(), terms, Lane.CONTROL)
        if exists and not had_failed and await self._is_to_be_stopped(conversation_id):
            with trio.move_on_after(STOP_DEADLINE_SECONDS):
                await self.ref(conversation_id).ask(c.Close(), lane=Lane.CONTROL)
        return before

    async def _is_to_be_stopped(self, conversation_id: str) -> bool:
        """A cold conversation is woken only to be told that its error is over, that nobody will decide what it asked
        the user, or that it is archived."""
        if self._is_alive(conversation_id):
            return True
        lifecycle = (await self._known_summary(conversation_id)).lifecycle
        is_pending = lifecycle["agent_state"] == AgentState.AWAITING_USER_CONFIRMATION
        return is_pending or lifecycle["status"] in (Status.ERROR, Status.ARCHIVED)

    def _is_alive(self, conversation_id: str) -> bool:
        return conversation_id in self._house.hot or conversation_id in self._house.dormant

    async def rename(self, conversation_id: str, title: str, terms: Terms | None = None) -> Receipt:
        return await self._ask(conversation_id, c.Rename(title), terms)

    async def submit(
        self,
        conversation_id: str,
        body: MessageAction | ChangeAgentStateAction,
        *,
        size_bytes: int,
        terms: Terms | None = None,
    ) -> Receipt:
        """What a client does, durably."""
        command, lane = self._command(body)
        return await self._ask(conversation_id, command, terms or ANY_TERMS, lane, size_bytes)

    def submit_nowait(
        self,
        conversation_id: str,
        body: MessageAction | ChangeAgentStateAction,
        *,
        size_bytes: int,
        terms: Terms | None,
        reply: Reply,
    ) -> None:
        """As `submit`, with the answer going to `reply`; None instead of a receipt where there are no terms."""
        command, lane = self._command(body)
        deadline = trio.current_time() + COMMAND_DEADLINE_SECONDS
        self.ref(conversation_id).tell(
            _on(terms, command), lane=lane, size_bytes=size_bytes, reply=reply, deadline=deadline
        )

    def _command(self, body: MessageAction | ChangeAgentStateAction) -> tuple[c.Command, Lane]:
        if isinstance(body, ChangeAgentStateAction):
            return c.SetAgentState(body.agent_state), Lane.CONTROL
        return c.AddMessage(body, self._house.agent.answers(body.content), self._house.rules.busy), Lane.WORK


def _on(terms: Terms | None, command: c.Command) -> c.Command:
    return command if terms is None else c.OnTerms(command, terms)
