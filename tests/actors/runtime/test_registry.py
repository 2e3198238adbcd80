"""One actor a key, its mailbox and its turns (K1, K2, K4 to K7)."""

import pytest
import trio

from actors.runtime import (
    ActorError,
    ActorFailed,
    AskTimedOut,
    Context,
    Envelope,
    Expired,
    Lane,
    MailboxFull,
    MailboxLimits,
    open_registry,
)
from actors.runtime.cell import BATCH_MESSAGES_MAX
from tests.actors.runtime.scribe import CountingReply, Scribe, World, opened


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


async def test_k06_a_turn_takes_no_more_than_its_share_and_control_comes_in_between() -> None:
    world = World()
    async with opened(world) as registry:
        ref = registry.ref("a")
        ref.tell("wait")
        await trio.testing.wait_all_tasks_blocked()
        for number in range(BATCH_MESSAGES_MAX + 10):
            ref.tell(f"m{number}")
        world.gate.set()
        while len(world.batches) < 2:
            await trio.lowlevel.checkpoint()
        ref.tell("control", lane=Lane.CONTROL)
        await ref.ask("end")
    assert [len(batch) for batch in world.batches] == [1, BATCH_MESSAGES_MAX, 12]
    assert world.batches[2][0] == "control"


async def test_k05_a_control_lane_that_is_full_refuses_and_leaves_work_alone() -> None:
    world = World(activation_gate=trio.Event())
    async with opened(world, MailboxLimits(control_messages_max=2)) as registry:
        ref = registry.ref("a")
        for name in ("c1", "c2"):
            ref.tell(name, lane=Lane.CONTROL)
        with pytest.raises(MailboxFull, match="control"):
            ref.tell("c3", lane=Lane.CONTROL)
        ref.tell("w1")
        assert world.activation_gate is not None
        world.activation_gate.set()
    assert world.log == ["c1", "c2", "w1"]


async def test_k07_a_told_command_past_its_deadline_at_dequeue_is_not_executed_and_says_so(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world, late, in_time = World(activation_gate=trio.Event()), CountingReply(), CountingReply()
    async with opened(world) as registry:
        now = trio.current_time()
        registry.ref("a").tell("late", reply=late, deadline=now + 1)
        registry.ref("a").tell("in time", reply=in_time, deadline=now + 3)
        await trio.sleep(2)
        assert world.activation_gate is not None
        world.activation_gate.set()
    assert (late.values, in_time.values, world.log) == ([Expired], [1], ["in time"])


async def test_k02_a_reference_reaches_the_living_and_no_two_incarnations_are_called_alike() -> None:
    world = World()
    async with opened(world) as registry:
        old = registry.ref("a")
        await old.ask("one")
        await registry.ref("b").ask("two")
        await registry.passivate("a")
        assert await old.ask("three") == 3
    assert [(context.key, context.incarnation) for context in world.contexts] == [("a", 1), ("b", 2), ("a", 3)]


async def test_k02_a_cell_that_left_takes_nothing_any_more() -> None:
    world = World()
    async with opened(world) as registry:
        await registry.ref("a").ask("one")
        stale = registry.cell("a")
        await registry.passivate("a")
        await registry.ref("a").ask("two")
        stale.passivate()
        stale.retire()
        with pytest.raises(ActorError):
            stale.mailbox.put_nowait(Envelope("lost"))
        await trio.testing.wait_all_tasks_blocked()
        assert world.lives == ["up 1", "down 1", "up 2"]
