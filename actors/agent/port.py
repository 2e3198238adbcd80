"""Between a conversation and the agent that answers in it.

What lives here: what an agent is (`Agent`), what it may tell its conversation (`Recorder`) and how its run
ends (`Outcome`). What must not: an agent, or an actor. An agent knows the log only by appending to it through
a recorder, so a run cannot do anything that the conversation did not write down first.
"""

from typing import Protocol, TypeAlias

import attrs

from actors.domain.events import Body, ErrorObservation, MessageAction, RunAction, RunObservation, RunOutcome

__all__ = ["Agent", "Hands", "Observed", "Outcome", "Recorder"]

Observed: TypeAlias = RunObservation | ErrorObservation


@attrs.frozen
class Outcome:
    """How a run ended by itself: WAITING, FINISHED or FAILED, the latter with a reason for the user to
    read."""

    kind: RunOutcome
    reason: str = ""


class Recorder(Protocol):
    """What a run may tell its conversation. One recorder serves one run."""

    async def record(self, *bodies: Body, cause: int | None = None) -> tuple[int, ...]:
        """Append facts, all with the same cause, as one durable batch (K8); their ids, in order.

        Raises RunOver when the run was ended meanwhile; then nothing was appended (K29). Commands are not recorded
        here: a `RunAction` raises NotRuledOn.
        """
        ...

    async def act(self, action: RunAction, cause: int | None = None) -> int | None:
        """Set out to do something: the id of the action, once it may be begun. None when it is forbidden; then the
        conversation has already said so. Where the user is to decide, this does not return: the run is over.

        Raises RunOver as `record` does.
        """
        ...

    async def draft(self, text: str) -> None:
        """Show what comes next of a message that is being written, to whoever wants to see that and can take it now. It
        is stored nowhere, and whatever is recorded next takes its place (K34)."""
        ...

    async def message(self, message_id: int) -> MessageAction:
        """A user message of this conversation."""
        ...

    def leave(self, cause: int, body: Body) -> None:
        """Say what is to be the observation of the action `cause` if the run ends before recording one (K30).

        The last word counts, and none counts once the action has its observation. Does not wait: an agent
        calls it while it is being cancelled, with the output that the killed command has left.
        """
        ...


class Hands(Protocol):
    """How an agent does something: what it may not do does not happen, and what happens is written down."""

    @property
    def working_dir(self) -> str:
        """The folder in which commands start, as they see it."""
        ...

    async def run_command(self, command: str, cause: int | None = None) -> Observed | None:
        """Run a shell script if it may be run, and record what came of it; None when it is forbidden.

        Raises RunOver; does not return where the user is to decide (see `Recorder.act`).
        """
        ...


class Agent(Protocol):
    """Somebody who answers user messages. One agent serves many runs at once and keeps nothing between
    them."""

    @property
    def name(self) -> str: ...

    def answers(self, content: str) -> bool:
        """Whether a message starts a run; where not, it is only stored and echoed. Pure."""
        ...

    async def run(self, messages: tuple[int, ...], recorder: Recorder, hands: Hands) -> Outcome:
        """Answer these user messages, oldest first, or go on where the last run ended if there are none.

        Every action that is recorded gets its observation, or one is left for it (K30). When cancelled, no
        process is left (K29). Lets RunOver pass; any other exception is a crash of this run alone.
        """
        ...
