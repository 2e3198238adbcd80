"""How actors wake and leave, and what waits meanwhile (K20, K23, K35)."""

import pytest
import trio

from actors.runtime import (
    ActorFailed,
    CannotActivate,
    Promise,
    Ref,
    RegistryClosed,
    Residency,
)
from tests.actors.runtime.scribe import World, opened


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
