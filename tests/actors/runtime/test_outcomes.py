"""Commands sent at any moment of an actor's life: each gets exactly one outcome, in order.

This is K4, K5, K7, K20, K23 to K28 and K35 at once. Moments come from Hypothesis; so does the seed of the scheduler,
which it would pin otherwise.
"""

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, TypeAlias

import attrs
import pytest
import structlog
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.runtime import (
    ActorCrashed,
    ActorError,
    ActorFailed,
    CannotActivate,
    Context,
    CutOff,
    Envelope,
    Expired,
    Lane,
    MailboxFull,
    MailboxLimits,
    Registry,
    RegistryClosed,
    Residency,
    RestartPolicy,
    Terminated,
    open_registry,
)

SECONDS = st.sampled_from([0.0, 0.0, 0.01, 0.3, 1.0])
LIMITS = MailboxLimits(work_messages_max=6, work_bytes_max=100, control_messages_max=3)
POLICY = RestartPolicy(restarts_max=4, window_seconds=20, first_delay_seconds=0.2, longest_delay_seconds=2)


class Trick(StrEnum):
    """What a command does to its actor."""

    NONE = "none"
    CRASH = "crash"  # before anything of its turn had an effect
    CRASH_LATE = "crash late"  # when everything of its turn had its effect
    SPOIL = "spoil"  # the next waking crashes
    RUIN = "ruin"  # the next waking is the last
    STICK = "stick"  # the next leaving takes longer than it may
    LEAVE = "leave"  # the actor asks to leave


@attrs.frozen
class Send:
    sender: int
    key: str
    lane: Lane
    trick: Trick
    seconds: float
    size_bytes: int
    timeout_seconds: float
    is_run: bool


@attrs.frozen
class Sleep:
    seconds: float


@attrs.frozen
class Passivate:
    key: str


@attrs.frozen
class Remove:
    key: str


@attrs.frozen
class Forget:
    key: str


@attrs.frozen
class Watch:
    key: str


Op: TypeAlias = Send | Sleep | Passivate | Remove | Forget | Watch
KEYS = st.sampled_from("ab")
SENDS = st.builds(
    Send,
    sender=st.integers(0, 2),
    key=KEYS,
    lane=st.sampled_from([Lane.WORK, Lane.WORK, Lane.CONTROL]),
    trick=st.sampled_from([Trick.NONE] * 5 + list(Trick)),
    seconds=SECONDS,
    size_bytes=st.sampled_from([0, 30]),
    timeout_seconds=st.sampled_from([float("inf"), float("inf"), 0.1, 1.5]),
    is_run=st.sampled_from([False, False, False, True]),
)
ALL: list[st.SearchStrategy[Op]] = [
    *[SENDS] * 14,
    *[st.builds(Sleep, SECONDS)] * 6,
    *[st.builds(Passivate, KEYS)] * 2,
    *[st.builds(Forget, KEYS)] * 2,
    *[st.builds(Watch, KEYS)] * 2,
    st.builds(Remove, KEYS),
]
OPS = st.lists(st.sampled_from(ALL).flatmap(lambda op: op), min_size=10, max_size=60)


@attrs.define(eq=False)
class Command:
    """A command on its way, and what became of it."""

    number: int
    send: Send
    outcomes: list[object] = attrs.field(factory=list)

    def succeed(self, value: Any) -> None:
        self.outcomes.append(value)

    def fail(self, error: Exception) -> None:
        self.outcomes.append(error)


@attrs.define
class Stage:
    """The "disks" of all actors: what had an effect, in order, and which tricks lie in wait."""

    done: list[Command] = attrs.field(factory=list)
    tricks: Counter[tuple[str, Trick]] = attrs.field(factory=Counter)
    alive: Counter[str] = attrs.field(factory=Counter)

    def takes(self, key: str, trick: Trick) -> bool:
        found = self.tricks[key, trick] > 0
        self.tricks[key, trick] = 0
        return found


@attrs.define(eq=False)
class Player:
    """An actor that does what its commands do to it. What is done has its effect and its answer in one step."""

    stage: Stage
    context: Context

    async def activate(self) -> None:
        key = self.context.key
        self.stage.alive[key] += 1
        assert self.stage.alive[key] == 1, "two incarnations of one key (K1)"
        await trio.sleep(0.2)
        if self.stage.takes(key, Trick.SPOIL):
            raise ZeroDivisionError("spoilt")
        if self.stage.takes(key, Trick.RUIN):
            raise CannotActivate("ruined")

    async def turn(self, batch: Sequence[Envelope[Command]]) -> None:
        tricks = [envelope.message.send.trick for envelope in batch]
        await trio.sleep(max(envelope.message.send.seconds for envelope in batch))
        if Trick.CRASH in tricks:
            raise ZeroDivisionError("crash")
        for envelope in batch:
            self.stage.done.append(envelope.message)
            self.stage.tricks[self.context.key, envelope.message.send.trick] += 1
            envelope.succeed("done")
        if Trick.LEAVE in tricks:
            self.context.passivate()
        if Trick.CRASH_LATE in tricks:
            raise ZeroDivisionError("crash late")

    async def passivate(self) -> None:
        await trio.sleep(60 if self.stage.takes(self.context.key, Trick.STICK) else 0.1)

    def abandon(self) -> None:
        self.stage.alive[self.context.key] = 0
        self.context.passivate()  # it is over, so this does nothing (K2)


@attrs.define
class Play:
    """One run of the ops against a registry."""

    registry: Registry[Command]
    stage: Stage
    senders: trio.Nursery
    commands: list[Command] = attrs.field(factory=list)
    watchers: list[list[Terminated]] = attrs.field(factory=list)

    async def perform(self, op: Op) -> None:
        match op:
            case Send():
                self._send(Command(len(self.commands), op))
            case Sleep(seconds):
                await trio.sleep(seconds)
            case Passivate(key):
                self.senders.start_soon(self.registry.passivate, key)
            case Remove(key):
                self.senders.start_soon(self.registry.remove, key, ActorFailed("removed"))
            case Forget(key):
                self.registry.forget_failure(key)
            case Watch(key):
                told: list[Terminated] = []
                self.watchers.append(told)
                self.registry.ref(key).watch(Watcher(told))

    def _send(self, command: Command) -> None:
        self.commands.append(command)
        if command.send.is_run:
            self.senders.start_soon(self._wait_for_room, command)
            return
        send, deadline = command.send, trio.current_time() + command.send.timeout_seconds
        try:
            self.registry.ref(send.key).tell(
                command, lane=send.lane, reply=command, size_bytes=send.size_bytes, deadline=deadline
            )
        except ActorError as refusal:
            command.fail(refusal)

    async def _wait_for_room(self, command: Command) -> None:
        try:
            await self.registry.ref(command.send.key).tell_waiting(command, reply=command)
        except ActorError as refusal:
            command.fail(refusal)


@attrs.frozen
class Watcher:
    told: list[Terminated]

    def succeed(self, value: Any) -> None:
        self.told.append(value)

    def fail(self, error: Exception) -> None:
        raise AssertionError(error)


async def play(ops: list[Op], cut_off: bool) -> tuple[Play, Stage]:  # noqa: FBT001 - drawn by Hypothesis
    """Perform the ops, then close the registry in peace or cut it off; the play is over when all has ended."""
    stage = Stage()
    with trio.fail_after(600):  # K25 and K35: whatever happened, it comes to an end
        async with trio.open_nursery() as senders:
            with trio.CancelScope() as everything:
                async with open_registry(
                    lambda context: Player(stage, context), limits=LIMITS, policy=POLICY, chance=lambda: 0.5
                ) as registry:
                    played = Play(registry, stage, senders)
                    for op in ops:
                        await played.perform(op)
                    if cut_off:
                        everything.cancel()
                        await trio.lowlevel.checkpoint()
    return played, stage


WITHOUT_EFFECT = (ActorCrashed, ActorFailed, Expired, MailboxFull, RegistryClosed)


def check(played: Play, stage: Stage) -> None:
    done = Counter(command.number for command in stage.done)
    for command in played.commands:
        assert len(command.outcomes) == 1, (command, "has not exactly one outcome")
        [outcome] = command.outcomes
        if outcome == "done":
            assert done[command.number] == 1, (command, "was not done once")
        else:
            assert isinstance(outcome, (*WITHOUT_EFFECT, CutOff))
            assert done[command.number] == 0 or isinstance(outcome, CutOff), (command, "had an effect")
        if isinstance(outcome, ActorCrashed):
            assert command.send.trick is Trick.CRASH, (command, "did not crash by itself (K26)")
    for watcher in played.watchers:
        assert len(watcher) == 1, "a watcher is told once (K28)"
    assert not +stage.alive
    assert all(cell.residency is Residency.FAILED for cell in played.registry)


def check_order(stage: Stage) -> None:
    """Each sender's commands of one lane to one actor have their effects in the order of their sending (K4).

    A run that waits for room is not looked at: it is a sender whose next command comes after the last one's answer.
    """
    last: dict[tuple[object, ...], int] = {}
    for command in stage.done:
        send = command.send
        if send.is_run:
            continue
        stream = (send.sender, send.key, send.lane)
        assert last.get(stream, -1) < command.number, (command, "was overtaken")
        last[stream] = command.number


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Any:
    """Thousands of crashes, each with its traceback, are nothing to read."""
    with structlog.testing.capture_logs():
        yield


@settings(max_examples=300)
@given(OPS, st.sampled_from([False, False, False, True]), st.random_module())
def test_every_command_gets_exactly_one_outcome_in_order_whatever_its_actor_does_meanwhile(
    ops: list[Op],
    cut_off: bool,  # noqa: FBT001 - drawn by Hypothesis
    seed: object,
) -> None:
    played, stage = trio.run(play, ops, cut_off, clock=trio.testing.MockClock(autojump_threshold=0))
    check(played, stage)
    check_order(stage)
