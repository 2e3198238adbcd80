"""How actors wake and leave, and what waits meanwhile (K20, K23, K35)."""

import pytest
import trio

from actors.runtime import (
    ActorFailed,
    CannotActivate,
    Lane,
    Promise,
    Ref,
    RegistryClosed,
    Residency,
    RestartPolicy,
)
from actors.runtime.cell import PASSIVATION_DEADLINE_SECONDS
from actors.runtime.registry import CONCURRENT_ACTIVATIONS_MAX
from tests.actors.runtime.scribe import CountingReply, World, opened


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


async def test_k20_activations_are_capped_and_begin_in_the_order_of_their_first_commands() -> None:
    world = World(activation_gate=trio.Event())
    keys = [str(number) for number in range(3 * CONCURRENT_ACTIVATIONS_MAX)]
    async with opened(world) as registry:
        for key in keys:
            registry.ref(key).tell("m")
            await trio.testing.wait_all_tasks_blocked()
        assert world.waking == CONCURRENT_ACTIVATIONS_MAX
        for place in range(5):  # who gives up its place stands last in the row, and the first in it has the place
            await registry.passivate(keys[place])
            await trio.testing.wait_all_tasks_blocked()
            assert [key for key, _ in world.woken] == keys[: CONCURRENT_ACTIVATIONS_MAX + place + 1]
        assert world.waking == CONCURRENT_ACTIVATIONS_MAX
        assert world.activation_gate is not None
        world.activation_gate.set()
    assert sorted(world.log) == ["m"] * len(keys)


async def test_k20_control_is_the_first_that_the_woken_sees() -> None:
    world = World(activation_gate=trio.Event())
    async with opened(world) as registry:
        registry.ref("a").tell("work")
        registry.ref("a").tell("control", lane=Lane.CONTROL)
        await trio.testing.wait_all_tasks_blocked()
        assert world.activation_gate is not None
        world.activation_gate.set()
        await registry.ref("a").ask("end")
    assert world.log == ["control", "work", "end"]


async def test_k23_who_cannot_get_away_is_given_up_and_loses_nothing_that_waits(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World(passivation_gate=trio.Event())  # never set: the deadline strikes
    async with opened(world) as registry:
        await registry.ref("a").ask("zero")
        registry.cell("a").passivate()
        await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()
        assert await registry.ref("a").ask("next") == 2
        assert trio.current_time() - began == pytest.approx(PASSIVATION_DEADLINE_SECONDS)
        world.passivation_gate = None
    assert world.lives == ["up 1", "up 2", "down 2"]
    assert (world.alive, world.alive_most) == (0, 1)


async def test_who_is_removed_before_it_has_begun_to_wake_never_wakes() -> None:
    world, reply = World(), CountingReply()
    async with opened(world) as registry:
        registry.ref("a").tell("m", reply=reply)
        await registry.remove("a", ActorFailed("deleted"))
        assert registry.peek("a") is None
    assert (world.lives, reply.values) == ([], ["deleted"])


async def test_who_is_removed_and_could_not_have_gone_on_is_gone_all_the_same() -> None:
    world = World()
    async with opened(world, policy=RestartPolicy(restarts_max=0)) as registry, trio.open_nursery() as nursery:
        registry.ref("a").tell("wait")
        registry.ref("a").tell("late bomb")
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(registry.remove, "a", ActorFailed("deleted"))
        await trio.testing.wait_all_tasks_blocked()
        world.gate.set()
    assert registry.peek("a") is None
    assert world.log == ["wait", "late bomb"]


async def test_k35_closing_waits_for_no_restart_that_nobody_waits_for(autojump_clock: trio.testing.MockClock) -> None:
    world = World()
    async with opened(world, policy=RestartPolicy(first_delay_seconds=5)) as registry:
        registry.ref("a").tell("bomb")
        await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()
    assert trio.current_time() == began


async def test_k35_what_waits_for_a_restart_is_served_before_the_registry_has_closed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World()
    async with opened(world, policy=RestartPolicy(first_delay_seconds=5)) as registry:
        for message in ("m0", "bomb", "m1"):
            registry.ref("a").tell(message)
        await trio.testing.wait_all_tasks_blocked()
        registry.ref("a").tell("m2")
    assert world.log == ["m0", "m1", "m2"]
