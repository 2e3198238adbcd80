"""One key's place in the registry: its mailbox, and the incarnations that serve it one after the other.

A cell decides nothing about restarts (`supervisor` does) and nothing about which keys exist (`registry` does). It
brings a behaviour to life, feeds it batches (K6), retries the batch of a crashed turn command by command (K26) and
takes the behaviour down again.
"""

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

import attrs
import trio

from actors.runtime.dead_letters import DeadLetter, DeadLetters
from actors.runtime.errors import ActorCrashed, ActorFailed, Expired
from actors.runtime.mailbox import Envelope, Mailbox, MailboxStatistics

__all__ = ["Behaviour", "CannotActivate", "Cell", "CellStatistics", "Context", "Factory", "Residency"]

M = TypeVar("M")

BATCH_MESSAGES_MAX = 256
"""A turn drains what is there, but not so much that its write delays everyone behind it."""

ACTIVATION_DEADLINE_SECONDS = 30.0
"""Replay of a long log takes a second or two; beyond this something is stuck (K20)."""

PASSIVATION_DEADLINE_SECONDS = 10.0
"""Leaving writes a snapshot, which is only a cache (K18): it may be given up."""


class Residency(StrEnum):
    """Where an actor lives now (semantics, "Words")."""

    COLD = "cold"
    ACTIVATING = "activating"
    HOT = "hot"
    PASSIVATING = "passivating"
    HIBERNATED = "hibernated"  # told apart from COLD by who keeps what outlives the actor; no cell is ever in it
    FAILED = "failed"


class CannotActivate(Exception):
    """Raised by `Behaviour.activate` when trying again would not help; `reason` becomes the failure's code."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Behaviour(Protocol[M]):
    """What an actor is: how it wakes, serves a batch and leaves. One instance is one incarnation."""

    async def activate(self) -> None:
        """Load everything. Commands wait meanwhile (K20). May raise `CannotActivate`."""

    async def turn(self, batch: Sequence[Envelope[M]]) -> None:
        """Serve the batch. Each envelope whose effect is durable must be answered before anything can fail (K24)."""

    async def passivate(self) -> None:
        """Save what makes the next activation quick, and let go of everything."""

    def abandon(self) -> None:
        """Let go of everything after a crash, at once and without failing."""


@attrs.frozen
class Context:
    """What a behaviour may know and do about its own life."""

    key: str
    incarnation: int
    passivate: Callable[[], None]


Factory = Callable[[Context], Behaviour[M]]


@attrs.frozen
class CellStatistics:
    """`crashes` are times in `trio.current_time()` seconds."""

    key: str
    residency: Residency
    incarnation: int
    crashes: int
    last_failure: str
    reason: str
    mailbox: MailboxStatistics


class Cell(Generic[M]):
    """The mailbox of one key and whatever serves it at the moment."""

    def __init__(
        self,
        key: str,
        factory: Factory[M],
        dead_letters: DeadLetters,
        incarnations: Iterator[int],
        mailbox: Mailbox[M],
    ) -> None:
        self.key = key
        self.mailbox = mailbox
        self.residency = Residency.COLD
        self.crashes: list[float] = []
        self.restarts = 0
        self.last_failure = ""
        self.failure: ActorFailed | None = None
        self._factory = factory
        self._dead_letters = dead_letters
        self._incarnations = incarnations
        self._incarnation = 0
        self._leaving = False
        self._retired = False
        self._suspects: list[Envelope[M]] = []

    # --- what anybody may ask for ------------------------------------------------------------------------------

    def passivate(self) -> None:
        """Have the living incarnation leave after its present turn."""
        self._leaving = True
        self.mailbox.wake()

    def retire(self) -> None:
        """Have this and every further incarnation leave as soon as nothing waits (K35)."""
        self._retired = True
        self.mailbox.wake()

    @property
    def idle(self) -> bool:
        """True when nothing waits to be served, in the mailbox or from a crashed batch."""
        return not self.mailbox and not self._suspects

    # --- one life ----------------------------------------------------------------------------------------------

    async def live(self, activation_limiter: trio.CapacityLimiter) -> None:
        """One incarnation from activation to passivation. Whatever it raises is the supervisor's to judge."""
        self._incarnation = next(self._incarnations)
        self._leaving = False
        behaviour = self._factory(Context(self.key, self._incarnation, self.passivate))
        try:
            await self._activate(behaviour, activation_limiter)
            await self._serve_suspects(behaviour)
            await self._serve(behaviour)
            self.residency = Residency.PASSIVATING
            with trio.move_on_after(PASSIVATION_DEADLINE_SECONDS):
                await behaviour.passivate()
        finally:
            # After `passivate` this has nothing left to do; after a crash or a cancellation it has everything.
            behaviour.abandon()
            self.residency = Residency.COLD

    async def _activate(self, behaviour: Behaviour[M], limiter: trio.CapacityLimiter) -> None:
        self.residency = Residency.ACTIVATING
        async with limiter:
            try:
                with trio.fail_after(ACTIVATION_DEADLINE_SECONDS):
                    await behaviour.activate()
            except trio.TooSlowError:
                raise CannotActivate("activation_timeout", f"{ACTIVATION_DEADLINE_SECONDS} s") from None
        self.residency = Residency.HOT

    async def _serve(self, behaviour: Behaviour[M]) -> None:
        while True:
            # A request to leave waits for no work: what is queued goes to the next incarnation (K23).
            await self.mailbox.wait_nonempty_or(self._is_leaving)
            if self._is_leaving():
                return
            await self._turn(behaviour, self._unexpired(self.mailbox.drain(BATCH_MESSAGES_MAX)))

    async def _serve_suspects(self, behaviour: Behaviour[M]) -> None:
        # K26: one by one, so that the one which crashes alone is known.
        while self._suspects:
            await self._turn(behaviour, [self._suspects.pop(0)])

    async def _turn(self, behaviour: Behaviour[M], batch: list[Envelope[M]]) -> None:
        if not batch:
            return
        finished = False
        try:
            await behaviour.turn(batch)
            finished = True
        finally:
            if not finished:
                self._after_broken_turn(batch)

    def _after_broken_turn(self, batch: list[Envelope[M]]) -> None:
        unanswered = [envelope for envelope in batch if not envelope.answered]
        if len(batch) > 1:
            self._suspects = unanswered + self._suspects
            return
        for envelope in unanswered:
            self._dead_letters.add(DeadLetter(self.key, "crashed", envelope.message, trio.current_time()))
            envelope.fail(ActorCrashed("the command crashed its actor and had no effect"))

    def _unexpired(self, batch: list[Envelope[M]]) -> list[Envelope[M]]:
        now = trio.current_time()
        alive = []
        for envelope in batch:
            if envelope.deadline < now:
                envelope.fail(Expired("the command waited past its deadline and was not executed"))
            elif not envelope.answered:
                alive.append(envelope)
        return alive

    def _is_leaving(self) -> bool:
        return self._leaving or (self._retired and not self.mailbox)

    # --- the end of it -----------------------------------------------------------------------------------------

    def fail(self, failure: ActorFailed) -> None:
        """No incarnation will come any more: answer all who wait, and refuse from now on."""
        self.failure = failure
        self.residency = Residency.FAILED
        waiting, self._suspects = self._suspects + self.mailbox.withdraw_all(), []
        for envelope in waiting:
            envelope.fail(failure)

    def statistics(self) -> CellStatistics:
        return CellStatistics(
            key=self.key,
            residency=self.residency,
            incarnation=self._incarnation,
            crashes=len(self.crashes),
            last_failure=self.last_failure,
            reason=self.failure.reason if self.failure else "",
            mailbox=self.mailbox.statistics(),
        )

    def __repr__(self) -> str:
        return f"<Cell {self.key} {self.residency} incarnation={self._incarnation} {self.mailbox!r}>"
