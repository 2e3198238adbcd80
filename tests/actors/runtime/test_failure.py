"""Crashes: who is answered what, who comes back, who gives up, and who is told (K24 to K28)."""

import pytest
import trio

from actors.runtime import (
    ActorCrashed,
    ActorFailed,
    CannotActivate,
    Registry,
    Terminated,
    open_registry,
)
from tests.actors.runtime.scribe import CountingReply, Scribe, World, opened


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
