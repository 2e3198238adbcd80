"""One key's place in the registry: its mailbox, and the incarnations that serve it one after the other.

A cell decides nothing about restarts (`lives` does) and nothing about which keys exist (`registry` does). It brings a
behaviour to life, feeds it batches (K6), retries the batch of a crashed turn command by command (K26), takes the
behaviour down again and tells those who watch (K28).
"""

from collections.abc import Iterator, Sequence
from functools import partial
from math import inf
from typing import Generic, TypeVar

import trio

from actors.runtime.behaviour import Behaviour, CannotActivate, Context, Factory, KindOf
from actors.runtime.dead_letters import DeadLetter, DeadLetters
from actors.runtime.errors import ActorCrashed, ActorFailed, CutOff, Expired, RegistryClosed
from actors.runtime.facts import CellStatistics, Residency, Terminated, TurnStatistics
from actors.runtime.mailbox import Envelope, Lane, Mailbox, Reply

__all__ = ["Cell"]

M = TypeVar("M")

BATCH_MESSAGES_MAX = 256
"""A turn drains what is there, but not so much that its write delays everyone behind it."""

ACTIVATION_DEADLINE_SECONDS = 30.0
"""Replay of a long log takes a second or two; beyond this something is stuck (K20)."""

PASSIVATION_DEADLINE_SECONDS = 10.0
"""Leaving writes a snapshot, which is only a cache (K18): it may be given up."""


class Cell(Generic[M]):
    """The mailbox of one key and whatever serves it at the moment."""

    def __init__(
        self,
        key: str,
        factory: Factory[M],
        dead_letters: DeadLetters,
        incarnations: Iterator[int],
        mailbox: Mailbox[M],
        *,
        kind_of: KindOf[M],
    ) -> None:
        self.key = key
        self.mailbox = mailbox
        self.residency = Residency.COLD
        self.since = trio.current_time()
        self.crashes: list[float] = []
        self.restarts = 0
        self.last_failure = ""
        self.retry_at: float | None = None
        self.refusal: Exception | None = None
        """Why nothing is taken any more, for a key that has failed or is being removed."""
        self._factory = factory
        self._dead_letters = dead_letters
        self._incarnations = incarnations
        self._kind_of = kind_of
        self._incarnation = 0
        self._leaving = False
        self._retired = False
        self._suspects: list[Envelope[M]] = []
        self._watchers: list[Reply] = []
        self._turn: Sequence[Envelope[M]] = ()
        """What the turn under way is about, and since when."""
        self._turn_began_at = 0.0
        self._gives_up_at: float | None = None
        self._interruptible = trio.CancelScope()

    # --- what anybody may ask for ------------------------------------------------------------------------------

    def passivate(self) -> None:
        """Have the living incarnation leave after its present turn, or at once when it is still waking (K20)."""
        self._leaving = True
        self._interruptible.cancel()
        self.mailbox.wake()

    def retire(self) -> None:
        """Have this and every further incarnation leave as soon as nothing waits (K35)."""
        self._retired = True
        self.mailbox.wake()

    def remove(self, refusal: Exception) -> None:
        """Have the living incarnation leave and none follow; what waits and what comes is refused."""
        self._refuse(refusal, "removed")
        self.passivate()

    def watch(self, reply: Reply) -> None:
        """Answer with exactly one `Terminated`: when the incarnation that lives or is about to has ended, or at once
        for a key that has failed (K28)."""
        if self.failed:
            reply.succeed(self._terminated(self.reason))
        else:
            self._watchers.append(reply)

    def unwatch(self, reply: Reply) -> None:
        """As if it had never watched; fine when it was told already."""
        if reply in self._watchers:
            self._watchers.remove(reply)

    @property
    def is_over(self) -> bool:
        """Between two lives: whether none is to follow, since it was asked to leave and nothing waits."""
        return self.refusal is not None or ((self._leaving or self._retired) and not self._is_waited_for)

    @property
    def alive(self) -> bool:
        """Whether there is an incarnation now."""
        return self.residency in (Residency.ACTIVATING, Residency.HOT, Residency.PASSIVATING)

    @property
    def failed(self) -> bool:
        return self.residency is Residency.FAILED

    @property
    def reason(self) -> str:
        """The code of the failure; empty for who has not failed."""
        return self.refusal.reason if self.failed and isinstance(self.refusal, ActorFailed) else ""

    # --- one life ----------------------------------------------------------------------------------------------

    async def live(self, activation_limiter: trio.CapacityLimiter) -> None:
        """One incarnation from activation to passivation. Whatever it raises is the supervisor's to judge."""
        incarnation = self._incarnation = next(self._incarnations)
        self._leaving = False
        behaviour = self._factory(Context(self.key, incarnation, partial(self._leave, incarnation)))
        try:
            if await self._activate(behaviour, activation_limiter):
                await self._serve(behaviour)
                self._move(Residency.PASSIVATING)
                with trio.move_on_after(PASSIVATION_DEADLINE_SECONDS) as scope:
                    self._gives_up_at = scope.deadline
                    await behaviour.passivate()
        finally:
            self._move(Residency.COLD)
            # After `passivate` this has nothing left to do; after a crash or a cancellation it has everything.
            behaviour.abandon()

    def _move(self, residency: Residency) -> None:
        self.residency, self.since, self._gives_up_at = residency, trio.current_time(), None

    def _leave(self, incarnation: int) -> None:
        # Who is dead is not the one that is alive, nor the one that waits to be started again (K2).
        if self.alive and incarnation == self._incarnation:
            self.passivate()

    async def _activate(self, behaviour: Behaviour[M], limiter: trio.CapacityLimiter) -> bool:
        """False when it was asked to leave before it had woken."""
        self._move(Residency.ACTIVATING)
        self._interruptible = trio.CancelScope()
        with self._interruptible:
            async with limiter:
                try:
                    with trio.fail_after(ACTIVATION_DEADLINE_SECONDS) as scope:
                        self._gives_up_at = scope.deadline
                        await behaviour.activate()
                except trio.TooSlowError:
                    raise CannotActivate("activation_timeout", f"{ACTIVATION_DEADLINE_SECONDS:g} s") from None
        if self._interruptible.cancelled_caught:
            return False
        self._move(Residency.HOT)
        return True

    async def pause(self, seconds: float) -> None:
        """Between a crash and the next life: commands wait, and nobody cuts it short while one does (K25)."""
        self.retry_at = trio.current_time() + seconds
        with trio.move_on_at(self.retry_at):
            await self.mailbox.wait_until(lambda: self.is_over)
        self.retry_at = None

    async def _serve(self, behaviour: Behaviour[M]) -> None:
        while True:
            await self.mailbox.wait_until(lambda: self._is_waited_for or self._is_leaving)
            if self._is_leaving:
                return
            await self._serve_batch(behaviour, self._next_batch())

    def _next_batch(self) -> list[Envelope[M]]:
        if not self._suspects:
            return self.mailbox.drain(BATCH_MESSAGES_MAX)
        # K26: one by one, so that the one which crashes alone is known. Control passes work here, too (K4).
        overtaking = self.mailbox.drain_control(BATCH_MESSAGES_MAX) if self._suspects[0].lane is Lane.WORK else []
        return overtaking or [self._suspects.pop(0)]

    async def _serve_batch(self, behaviour: Behaviour[M], taken: list[Envelope[M]]) -> None:
        now = trio.current_time()
        batch = self._unexpired(taken, now)
        if not batch:
            return
        self._turn, self._turn_began_at = batch, now
        finished = False
        try:
            await behaviour.turn(batch)
            finished = True
        finally:
            self._turn = ()
            if not finished:
                self._after_broken_turn(batch)

    def _after_broken_turn(self, batch: list[Envelope[M]]) -> None:
        unanswered = [envelope for envelope in batch if not envelope.answered]
        if _is_cut_off():
            cut_off = CutOff("the actor was cut off at the command; the outcome is unknown")
            self._turn_away(unanswered, cut_off, "cut_off")
        elif self.refusal is not None:
            self._turn_away(unanswered, self.refusal, "removed")
        elif len(batch) > 1:
            self._suspects = unanswered + self._suspects
        else:
            for envelope in unanswered:
                self._bury(envelope, "crashed")
                envelope.fail(ActorCrashed("the command crashed its actor and had no effect"))

    def _unexpired(self, batch: list[Envelope[M]], now: float) -> list[Envelope[M]]:
        alive = []
        for envelope in batch:
            if envelope.deadline < now:
                expired = Expired("the command waited past its deadline and was not executed")
                self._turn_away([envelope], expired, "expired")
            elif not envelope.answered:
                alive.append(envelope)
        return alive

    @property
    def _is_waited_for(self) -> bool:
        return bool(self.mailbox or self._suspects)

    @property
    def _is_leaving(self) -> bool:
        # A request to leave waits for no work: what is queued goes to the next incarnation (K23).
        return self._leaving or (self._retired and not self._is_waited_for)

    # --- the end of it -----------------------------------------------------------------------------------------

    def fail(self, failure: ActorFailed) -> None:
        """No incarnation will come any more: answer all who wait, and refuse from now on."""
        self._move(Residency.FAILED)
        self._refuse(failure, failure.reason)
        self.tell_watchers(failure.reason)

    def close(self, gone: Exception) -> None:
        """It is over; `gone` is for whoever comes too late. Somebody waits here only if all was cut off."""
        self._turn_away(self._shut(gone), RegistryClosed("cut off before the command was taken"), "cut_off")
        if _is_cut_off():
            self.tell_watchers("cut_off")
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            watcher.succeed(Terminated.of_nobody(self.key))

    def _refuse(self, refusal: Exception, reason: str) -> None:
        self.refusal = refusal
        self._turn_away(self._shut(refusal), refusal, reason)

    def _shut(self, refusal: Exception) -> list[Envelope[M]]:
        """Take nothing any more; returns all that waits."""
        waiting, self._suspects = self._suspects + self.mailbox.close(refusal), []
        return waiting

    def _turn_away(self, envelopes: list[Envelope[M]], refusal: Exception, reason: str) -> None:
        """Answer in the actor's place. What nobody waits to be told of leaves a dead letter (K5, K27)."""
        for envelope in envelopes:
            if envelope.reply is None and not envelope.answered:
                self._bury(envelope, reason)
            envelope.fail(refusal)

    def _bury(self, envelope: Envelope[M], reason: str) -> None:
        kind = self._kind_of(envelope.message)
        self._dead_letters.add(DeadLetter(self.key, reason, kind, envelope.size_bytes, trio.current_time()))

    def tell_watchers(self, reason: str) -> None:
        """The present incarnation is over."""
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            watcher.succeed(self._terminated(reason))

    def _terminated(self, reason: str) -> Terminated:
        return Terminated(self.key, self._incarnation, reason)

    @property
    def is_calm(self) -> bool:
        """Whether it lives, and nothing is under way or waits."""
        return self.residency is Residency.HOT and not self._turn and not self._is_waited_for

    @property
    def trouble(self) -> tuple[bool, bool, float, float]:
        """The greater, the sooner an operator wants to know: it has failed; it has crashed and waits to be started
        again; its turn, or its waking or leaving, takes long; what lies in its mailbox waits long. Cheap, for sorting
        many."""
        rests = self.residency in (Residency.COLD, Residency.HOT, Residency.FAILED)
        busy_since = float("inf") if rests else self.since
        if self._turn:
            busy_since = self._turn_began_at
        return self.failed, self.retry_at is not None, -busy_since, -self.mailbox.oldest_queued_at

    def statistics(self) -> CellStatistics:
        return CellStatistics(
            key=self.key,
            residency=self.residency,
            since=self.since,
            gives_up_at=self._gives_up_at,
            incarnation=self._incarnation,
            crashes=len(self.crashes),
            restarts=self.restarts,
            last_failure=self.last_failure,
            reason=self.reason,
            turn=self._turn_statistics(),
            retry_at=self.retry_at,
            suspects=len(self._suspects),
            mailbox=self.mailbox.statistics(),
        )

    def _turn_statistics(self) -> TurnStatistics | None:
        if not self._turn:
            return None
        return TurnStatistics(tuple(self._kind_of(envelope.message) for envelope in self._turn), self._turn_began_at)

    def __repr__(self) -> str:
        return f"<Cell {self.key} {self.residency} incarnation={self._incarnation} {self.mailbox!r}>"


def _is_cut_off() -> bool:
    """Whether this task is being cancelled from outside, which no crash and no request to leave does."""
    return trio.current_effective_deadline() == -inf
