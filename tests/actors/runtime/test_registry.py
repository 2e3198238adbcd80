"""The promises of the kernel: K1, K4 to K7, K20, K23 to K26, K35. The behaviour keeps its facts in a shared list."""

from collections.abc import Sequence

import attrs
import pytest
import trio

from actors.runtime import (
    ActorCrashed,
    ActorFailed,
    AskTimedOut,
    CannotActivate,
    Context,
    Envelope,
    Expired,
    Lane,
    MailboxFull,
    MailboxLimits,
    Promise,
    Ref,
    Registry,
    RegistryClosed,
    Residency,
    Terminated,
    TurnStatistics,
    open_registry,
)


@attrs.define
class World:
    """What outlives the incarnations: the "log", and switches that tests throw."""

    log: list[str] = attrs.field(factory=list)
    lives: list[str] = attrs.field(factory=list)
    batches: list[list[str]] = attrs.field(factory=list)
    gate: trio.Event = attrs.field(factory=trio.Event)
    activation_gate: trio.Event | None = None
    activation_error: Exception | None = None
    alive: int = 0
    alive_most: int = 0


class Scribe:
    """Appends each message to the log and answers with its position; some messages misbehave."""

    def __init__(self, world: World, context: Context) -> None:
        self.world = world
        self.context = context
        self.open = False

    async def activate(self) -> None:
        self.world.alive += 1
        self.world.alive_most = max(self.world.alive_most, self.world.alive)
        self.open = True
        if self.world.activation_gate is not None:
            await self.world.activation_gate.wait()
        if self.world.activation_error is not None:
            raise self.world.activation_error
        self.world.lives.append(f"up {self.context.incarnation}")

    async def turn(self, batch: Sequence[Envelope[str]]) -> None:
        self.world.batches.append([envelope.message for envelope in batch])
        if any(envelope.message == "bomb" for envelope in batch):
            raise ZeroDivisionError("bomb")
        if any(envelope.message == "wait" for envelope in batch):
            await self.world.gate.wait()
        await trio.lowlevel.checkpoint()
        for envelope in batch:
            self.world.log.append(envelope.message)
            envelope.succeed(len(self.world.log))
        if any(envelope.message == "late bomb" for envelope in batch):
            raise ZeroDivisionError("late bomb")

    async def passivate(self) -> None:
        await trio.lowlevel.checkpoint()
        self.world.lives.append(f"down {self.context.incarnation}")

    def abandon(self) -> None:
        if self.open:
            self.open = False
            self.world.alive -= 1


@attrs.define
class CountingReply:
    """Every answer that it gets, in order; a watcher must get one."""

    values: list[object] = attrs.field(factory=list)

    def succeed(self, value: object) -> None:
        self.values.append(value)

    def fail(self, error: Exception) -> None:
        raise AssertionError(error)


def opened(world: World, limits: MailboxLimits | None = None):  # type: ignore[no-untyped-def]  # a context manager
    return open_registry(lambda context: Scribe(world, context), limits=limits)


async def test_k01_concurrent_first_commands_share_one_activation(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World()
    async with opened(world) as registry, trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(registry.ref("a").ask, f"m{number}")
    assert world.lives == ["up 1", "down 1"]
    assert world.alive_most == 1
    assert len(world.log) == 20


async def test_k04_control_is_served_before_work_and_each_lane_in_order() -> None:
    world = World()
    async with opened(world) as registry:
        ref: object = registry.ref("a")
        await registry.ref("a").ask("first")
        for message in ("w1", "w2"):
            registry.ref("a").tell(message)
        for message in ("c1", "c2"):
            registry.ref("a").tell(message, lane=Lane.CONTROL)
        await registry.ref("a").ask("last")
    assert world.log == ["first", "c1", "c2", "w1", "w2", "last"]
    assert "a" in repr(ref)


async def test_k06_a_turn_drains_what_is_there() -> None:
    world = World()
    async with opened(world) as registry:
        for number in range(5):
            registry.ref("a").tell(f"m{number}")
        await registry.ref("a").ask("end")
    assert world.batches == [["m0", "m1", "m2", "m3", "m4", "end"]]


async def test_k05_a_full_mailbox_refuses_at_once_and_loses_nothing() -> None:
    world = World(activation_gate=trio.Event())
    async with opened(world, MailboxLimits(work_messages_max=3, work_bytes_max=100)) as registry:
        ref = registry.ref("a")
        ref.tell("one", size_bytes=60)
        with pytest.raises(MailboxFull, match="bytes"):
            ref.tell("big", size_bytes=60)
        ref.tell("two")
        ref.tell("three")
        with pytest.raises(MailboxFull, match="messages"):
            ref.tell("four")
        assert world.activation_gate is not None
        world.activation_gate.set()
        assert await ref.ask("five", lane=Lane.CONTROL) == 1
    assert world.log == ["five", "one", "two", "three"]


async def test_k05_the_run_waits_for_room(autojump_clock: trio.testing.MockClock) -> None:
    world = World(activation_gate=trio.Event())
    async with opened(world, MailboxLimits(work_messages_max=1)) as registry, trio.open_nursery() as nursery:
        registry.ref("a").tell("one")
        nursery.start_soon(registry.ref("a").tell_waiting, "two")
        await trio.testing.wait_all_tasks_blocked()
        assert world.activation_gate is not None
        world.activation_gate.set()
        await trio.sleep(1)
        assert world.log == ["one", "two"]


async def test_k07_an_expired_command_is_not_executed(autojump_clock: trio.testing.MockClock) -> None:
    world = World(activation_gate=trio.Event())
    async with opened(world) as registry:
        with pytest.raises(Expired):
            await registry.ref("a").ask("late", timeout_seconds=1)
        assert world.activation_gate is not None
        world.activation_gate.set()
        await registry.ref("a").ask("next")
    assert world.log == ["next"]


async def test_k07_a_timeout_after_dequeue_says_unknown(autojump_clock: trio.testing.MockClock) -> None:
    world = World()
    async with opened(world) as registry:
        with pytest.raises(AskTimedOut):
            await registry.ref("a").ask("wait", timeout_seconds=1)
        world.gate.set()
    assert world.log == ["wait"]


async def test_k20_commands_wait_in_order_while_activating() -> None:
    world = World(activation_gate=trio.Event())
    async with opened(world) as registry:
        for number in range(3):
            registry.ref("a").tell(f"m{number}")
        await trio.testing.wait_all_tasks_blocked()
        cell = registry.peek("a")
        assert cell is not None
        assert cell.residency is Residency.ACTIVATING
        assert cell.statistics().mailbox.work == 3
        assert world.activation_gate is not None
        world.activation_gate.set()
        await registry.ref("a").ask("end")
    assert world.log == ["m0", "m1", "m2", "end"]


async def test_k20_a_failed_activation_answers_all_waiters(autojump_clock: trio.testing.MockClock) -> None:
    world = World(activation_gate=trio.Event())  # never set: the deadline strikes
    async with opened(world) as registry:
        with pytest.raises(ActorFailed, match="activation_timeout"):
            await registry.ref("a").ask("m")
        with pytest.raises(ActorFailed, match="activation_timeout"):
            registry.ref("a").tell("n")
        assert registry.forget_failure("a")
        world.activation_gate = None
        assert await registry.ref("a").ask("m") == 1


async def test_k20_an_activation_that_cannot_succeed_is_not_tried_again() -> None:
    world = World(activation_error=CannotActivate("log_corrupt", "record 7"))
    async with opened(world) as registry:
        with pytest.raises(ActorFailed) as caught:
            await registry.ref("a").ask("m")
        assert caught.value.reason == "log_corrupt"
    assert world.alive == 0


async def test_k23_commands_sent_during_passivation_reach_the_next_incarnation_in_order() -> None:
    world = World()
    async with opened(world) as registry:
        ref = registry.ref("a")
        await ref.ask("zero")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(registry.passivate, "a")
            await trio.testing.wait_all_tasks_blocked()
            for number in range(3):
                ref.tell(f"m{number}")
        await ref.ask("end")
    assert world.log == ["zero", "m0", "m1", "m2", "end"]
    assert world.lives == ["up 1", "down 1", "up 2", "down 2"]
    assert world.alive_most == 1


async def test_k23_what_is_queued_when_leaving_begins_is_handed_over() -> None:
    world = World()
    async with opened(world) as registry:
        ref = registry.ref("a")
        waiting = ref.tell("wait")
        await trio.testing.wait_all_tasks_blocked()
        registry.cell("a").passivate()
        ref.tell("after")
        world.gate.set()
        assert await ref.ask("end") == 3
        assert waiting.answered
    assert world.log == ["wait", "after", "end"]
    assert world.lives[:3] == ["up 1", "down 1", "up 2"]


async def test_k24_a_crash_before_the_effect_is_answered_and_the_actor_returns(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World()
    async with opened(world) as registry:
        with pytest.raises(ActorCrashed):
            await registry.ref("a").ask("bomb")
        assert await registry.ref("a").ask("next") == 1
        assert registry.dead_letters.statistics() == {"crashed": 1}
    assert world.lives[0:2] == ["up 1", "up 2"]


async def test_k24_a_crash_after_the_effect_leaves_the_answer_a_success(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World()
    async with opened(world) as registry:
        assert await registry.ref("a").ask("late bomb") == 1
        assert await registry.ref("a").ask("next") == 2
    assert world.log == ["late bomb", "next"]


async def test_k24_siblings_do_not_notice(autojump_clock: trio.testing.MockClock) -> None:
    world, other = World(), World()
    worlds = {"a": world, "b": other}
    async with open_registry(lambda context: Scribe(worlds[context.key], context)) as registry:
        await registry.ref("b").ask("hello")
        with pytest.raises(ActorCrashed):
            await registry.ref("a").ask("bomb")
        await registry.ref("b").ask("still here")
    assert other.lives == ["up 1", "down 1"]


async def test_k25_more_crashes_than_allowed_fail_the_actor_and_nothing_else(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World()
    async with opened(world) as registry:
        for _ in range(6):
            with pytest.raises((ActorCrashed, ActorFailed)):
                await registry.ref("a").ask("bomb")
        await trio.sleep(10)
        with pytest.raises(ActorFailed, match="crash_loop"):
            registry.ref("a").tell("more")
        await registry.ref("b").ask("fine")


async def test_k26_only_the_command_that_crashes_alone_fails(autojump_clock: trio.testing.MockClock) -> None:
    world = World()
    results: dict[str, object] = {}

    async def send(registry: Registry[str], message: str) -> None:
        try:
            results[message] = await registry.ref("a").ask(message, size_bytes=len(message))
        except ActorCrashed:
            results[message] = "crashed"

    async with opened(world) as registry, trio.open_nursery() as nursery:
        for message in ("m0", "bomb", "m1"):
            nursery.start_soon(send, registry, message)
    assert results["bomb"] == "crashed"
    assert sorted(world.log) == ["m0", "m1"]
    [letter] = registry.dead_letters.recent()
    assert (letter.key, letter.reason, letter.message, letter.size_bytes) == ("a", "crashed", "str", 4)
    assert "bomb" not in repr(letter)  # what is kept for people to look at holds nobody's secrets


async def test_k35_closing_serves_what_is_queued_and_refuses_new_lives() -> None:
    world = World()
    async with opened(world) as registry:
        await registry.ref("a").ask("zero")
        registry.ref("a").tell("queued")
        await registry.close()
        with pytest.raises(RegistryClosed):
            registry.ref("b").tell("too late")
    assert world.log == ["zero", "queued"]
    assert world.alive == 0


async def test_statistics_count_by_residency() -> None:
    world = World()
    async with opened(world) as registry:
        await registry.ref("a").ask("m")
        assert registry.statistics().residency == {Residency.HOT: 1}
        assert "1 cells" in repr(registry)
        assert "hot" in repr(registry.peek("a"))


async def test_k02_a_dead_incarnation_cannot_send_the_next_one_away(autojump_clock: trio.testing.MockClock) -> None:
    contexts: list[Context] = []
    world = World()

    def factory(context: Context) -> Scribe:
        contexts.append(context)
        return Scribe(world, context)

    async with open_registry(factory) as registry:
        await registry.ref("a").ask("one")
        await registry.passivate("a")
        await registry.ref("a").ask("two")
        contexts[0].passivate()
        await trio.testing.wait_all_tasks_blocked()
        assert world.lives == ["up 1", "down 1", "up 2"]
        contexts[1].passivate()
        await trio.testing.wait_all_tasks_blocked()
        assert world.lives[-1] == "down 2"


async def test_k20_leaving_does_not_wait_for_waking() -> None:
    world = World(activation_gate=trio.Event())
    async with opened(world) as registry:
        waiting = registry.ref("a").tell("m")
        await trio.testing.wait_all_tasks_blocked()
        await registry.passivate("a")
        assert not waiting.answered
        assert world.activation_gate is not None
        world.activation_gate.set()
        assert await registry.ref("a").ask("n") == 2
    assert world.log == ["m", "n"]
    assert world.alive == 0


async def test_k23_passivating_ends_with_the_incarnation_though_a_command_wakes_the_next() -> None:
    world = World()
    async with opened(world) as registry:
        waiting = registry.ref("a").tell("wait")
        await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(registry.passivate, "a")
            await trio.testing.wait_all_tasks_blocked()
            registry.ref("a").tell("after")
            world.gate.set()
        assert waiting.answered
        await registry.ref("a").ask("end")
        assert world.lives == ["up 1", "down 1", "up 2"]


async def test_who_is_removed_ends_its_turn_and_refuses_what_waits_and_what_comes() -> None:
    world = World()
    async with opened(world) as registry:
        ref = registry.ref("a")
        begun = Promise()
        ref.tell("wait", reply=begun)
        await trio.testing.wait_all_tasks_blocked()
        waiting = Promise()
        ref.tell("too late", reply=waiting)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(registry.remove, "a", ActorFailed("deleted"))
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(ActorFailed, match="deleted"):
                ref.tell("later still")
            with pytest.raises(ActorFailed, match="deleted"):
                await waiting.wait()
            world.gate.set()
        assert await begun.wait() == 1
        assert registry.peek("a") is None
        assert await ref.ask("a new life") == 2
    assert world.log == ["wait", "a new life"]


async def test_who_is_removed_while_it_crashes_answers_its_batch_and_is_gone(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World(activation_gate=trio.Event())
    answers: dict[str, str] = {}

    async def ask(ref: Ref[str], message: str) -> None:
        try:
            await ref.ask(message)
        except ActorFailed as failure:
            answers[message] = failure.reason

    async with opened(world) as registry, trio.open_nursery() as nursery:
        for message in ("one", "bomb"):
            nursery.start_soon(ask, registry.ref("a"), message)
        await trio.testing.wait_all_tasks_blocked()
        assert world.activation_gate is not None
        world.activation_gate.set()
        await trio.testing.wait_all_tasks_blocked(0.01)
        # The batch has crashed; its commands wait for the restart, to be tried one by one.
        await registry.remove("a", ActorFailed("deleted"))
        assert registry.peek("a") is None
    assert answers == {"one": "deleted", "bomb": "deleted"}


async def test_k05_a_run_that_waits_for_room_hears_that_there_will_be_none(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World(activation_gate=trio.Event())  # never set
    async with opened(world, MailboxLimits(work_messages_max=1)) as registry, trio.open_nursery() as nursery:
        registry.ref("a").tell("one")

        async def wait_for_room() -> None:
            with pytest.raises(ActorFailed, match="activation_timeout"):
                await registry.ref("a").tell_waiting("two")
            world.lives.append("told")

        nursery.start_soon(wait_for_room)
    assert world.lives == ["told"]


async def test_k28_a_watcher_is_told_once_of_the_end_of_an_incarnation(autojump_clock: trio.testing.MockClock) -> None:
    world = World()
    async with opened(world) as registry:
        ref = registry.ref("a")
        await ref.ask("hello")
        left, crashed = CountingReply(), CountingReply()
        ref.watch(left)
        await registry.passivate("a")
        await ref.ask("again")
        ref.watch(crashed)
        with pytest.raises(ActorCrashed):
            await ref.ask("bomb")
        await ref.ask("and again")
        await registry.passivate("a")
    assert left.values == [Terminated("a", 1, "left")]
    assert crashed.values == [Terminated("a", 2, "crashed")]


async def test_k28_who_watches_the_dead_is_told_at_once_and_wakes_nobody() -> None:
    world = World(activation_error=CannotActivate("log_corrupt"))
    async with opened(world) as registry:
        never, failed = CountingReply(), CountingReply()
        registry.ref("b").watch(never)
        assert never.values == [Terminated("b", 0, "not_alive")]
        assert registry.peek("b") is None
        waking = CountingReply()
        registry.ref("a").tell("m")
        registry.ref("a").watch(waking)
        await trio.testing.wait_all_tasks_blocked()
        assert waking.values == [Terminated("a", 1, "log_corrupt")]
        registry.ref("a").watch(failed)
        assert failed.values == waking.values


async def test_k28_who_stops_watching_is_not_told() -> None:
    world = World()
    async with opened(world) as registry:
        await registry.ref("a").ask("hello")
        reply = CountingReply()
        registry.ref("a").watch(reply)
        registry.ref("a").unwatch(reply)
        await registry.passivate("a")
        registry.ref("a").unwatch(reply)
    assert reply.values == []


async def test_a_cell_tells_what_it_does_and_when_it_tries_again(autojump_clock: trio.testing.MockClock) -> None:
    world = World()
    async with opened(world) as registry:
        registry.ref("a").tell("wait")
        registry.ref("a").tell("wait")
        await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()
        cell = registry.cell("a")
        await trio.sleep(3)
        assert cell.statistics().turn == TurnStatistics(("str", "str"), began)
        world.gate.set()
        await trio.testing.wait_all_tasks_blocked()
        assert cell.statistics().turn is None
        with pytest.raises(ActorCrashed):
            await registry.ref("a").ask("bomb")
        found = cell.statistics()
        assert found.retry_at is None or found.retry_at > trio.current_time()
        await registry.ref("a").ask("fine")
        found = cell.statistics()
        assert (found.retry_at, found.restarts, found.crashes) == (None, 1, 1)
        assert found.last_failure == "ZeroDivisionError('bomb')"


async def test_a_cell_tells_since_when_it_is_where_it_is_and_what_gives_up_when(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World(activation_gate=trio.Event())
    async with opened(world) as registry:
        began = trio.current_time()
        registry.ref("a").tell("wait")
        await trio.sleep(1)
        found = registry.cell("a").statistics()
        assert (found.residency, found.since, found.gives_up_at) == (Residency.ACTIVATING, began, began + 30)
        assert found.mailbox.work_oldest_at == began
        assert world.activation_gate is not None
        world.activation_gate.set()
        await trio.testing.wait_all_tasks_blocked()
        found = registry.cell("a").statistics()
        assert (found.residency, found.since, found.gives_up_at) == (Residency.HOT, began + 1, None)
        world.gate.set()


async def test_of_many_those_in_trouble_are_found_first_and_nobody_is_asked(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World()
    async with opened(world) as registry:
        for key in ("idle", "other", "crashed"):
            await registry.ref(key).ask("hello")
        for _ in range(6):
            with pytest.raises(ActorCrashed):
                await registry.ref("failed").ask("bomb")
            await trio.sleep(6)
        assert registry.statistics().restarts == 5
        registry.ref("longest turn").tell("wait")
        await trio.sleep(5)
        registry.ref("long turn").tell("wait")
        registry.ref("waiting").tell("wait")
        await trio.sleep(5)
        registry.ref("waiting").tell("behind it")
        with pytest.raises(ActorCrashed):
            await registry.ref("crashed").ask("bomb")
        batches = len(world.batches)
        found = registry.troubled(100)
        assert [cell.key for cell in found[:5]] == ["failed", "crashed", "longest turn", "waiting", "long turn"]
        assert {cell.key for cell in found[5:]} == {"idle", "other"}
        assert [cell.key for cell in registry.troubled(1)] == ["failed"]
        assert (found[0].statistics().reason, found[0].statistics().restarts) == ("crash_loop", 5)
        assert len(world.batches) == batches
        assert registry.forget_failure("failed")
        assert registry.statistics().restarts == 6
        world.gate.set()
