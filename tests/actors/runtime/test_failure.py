"""Crashes: who is answered what, who comes back, who gives up, and who is told (K24 to K28)."""

import attrs
import pytest
import trio

from actors.runtime import (
    ActorCrashed,
    ActorFailed,
    CannotActivate,
    CutOff,
    Expired,
    Lane,
    Registry,
    RegistryClosed,
    RestartPolicy,
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
        assert registry.dead_letters.statistics() == {}
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


PAUSES = RestartPolicy(first_delay_seconds=1, longest_delay_seconds=5)


async def test_k25_pauses_double_up_to_the_longest(autojump_clock: trio.testing.MockClock) -> None:
    world = World(activation_error=ZeroDivisionError())
    async with opened(world, policy=PAUSES) as registry:
        began = trio.current_time()
        with pytest.raises(ActorFailed, match="crash_loop"):
            await registry.ref("a").ask("m")
    assert [at - began for _, at in world.woken] == [0, 1, 3, 7, 12, 17]


async def test_k25_nobody_cuts_a_pause_short_while_something_waits(autojump_clock: trio.testing.MockClock) -> None:
    world = World()
    async with opened(world, policy=PAUSES) as registry:
        registry.ref("a").tell("bomb")
        await trio.testing.wait_all_tasks_blocked()
        waiting = CountingReply()
        registry.ref("a").tell("next", reply=waiting)
        world.contexts[0].passivate()
        await registry.passivate("a")
        await trio.sleep(0.9)
        assert waiting.values == []
        await trio.sleep(0.2)
        assert waiting.values == [1]


async def test_k02_a_dead_incarnation_does_not_send_away_who_waits_to_be_started_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World()
    async with opened(world, policy=PAUSES) as registry:
        registry.ref("a").tell("bomb")
        await trio.testing.wait_all_tasks_blocked()
        world.contexts[0].passivate()
        await trio.sleep(2)
        assert world.lives == ["up 1", "up 2"]
        assert registry.cell("a").statistics().crashes == 1


async def test_k02_a_dead_incarnation_does_not_send_away_the_one_that_was_started_in_its_place(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World()
    async with opened(world) as registry:
        registry.ref("a").tell("bomb")
        await trio.sleep(2)
        world.contexts[0].passivate()
        await trio.testing.wait_all_tasks_blocked()
        assert world.lives == ["up 1", "up 2"]


async def test_k26_what_the_crashed_batch_held_is_tried_in_order_and_before_what_came_later(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World(activation_gate=trio.Event())
    async with opened(world) as registry:
        ref = registry.ref("a")
        for message in ("m0", "bomb", "m1"):
            ref.tell(message)
        await trio.testing.wait_all_tasks_blocked()
        assert world.activation_gate is not None
        world.activation_gate.set()
        await trio.testing.wait_all_tasks_blocked()
        ref.tell("m2")
        await ref.ask("m3")
        assert registry.dead_letters.statistics() == {"crashed": 1}
    assert world.log == ["m0", "m1", "m2", "m3"]
    assert world.batches == [["m0", "bomb", "m1"], ["m0"], ["bomb"], ["m1"], ["m2", "m3"]]


async def test_k04_control_passes_what_a_crashed_batch_left(autojump_clock: trio.testing.MockClock) -> None:
    world = World()
    async with opened(world) as registry:
        ref = registry.ref("a")
        for message in ("w1", "bomb", "w2"):
            ref.tell(message)
        ref.tell("c1", lane=Lane.CONTROL)
        await trio.testing.wait_all_tasks_blocked()
        ref.tell("c2", lane=Lane.CONTROL)
        await ref.ask("end")
    assert world.log == ["c1", "c2", "w1", "w2", "end"]


async def test_k26_who_leaves_amid_what_a_crashed_batch_left_hands_it_over(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World()
    async with opened(world) as registry:
        ref = registry.ref("a")
        for message in ("wait", "bomb", "m1"):
            ref.tell(message)
        await trio.sleep(0.1)
        assert world.batches[1:] == [["wait"]]
        registry.cell("a").passivate()
        world.gate.set()
        await ref.ask("end")
    assert world.log == ["wait", "m1", "end"]
    assert world.lives[:4] == ["up 1", "up 2", "down 2", "up 3"]


@pytest.mark.parametrize("end", ["passivate", "remove", "close"])
async def test_k28_who_watches_the_next_incarnation_is_told_that_none_came(
    end: str, autojump_clock: trio.testing.MockClock
) -> None:
    world, watcher = World(), CountingReply()
    async with opened(world, policy=PAUSES) as registry:
        registry.ref("a").tell("bomb")
        await trio.testing.wait_all_tasks_blocked()
        registry.ref("a").watch(watcher)
        began = trio.current_time()
        match end:
            case "passivate":
                await registry.passivate("a")
                await trio.testing.wait_all_tasks_blocked()
            case "remove":
                await registry.remove("a", ActorFailed("deleted"))
            case _:
                await registry.close()
        assert registry.peek("a") is None
        assert trio.current_time() == began
    assert watcher.values == [Terminated("a", 0, "not_alive")]


@pytest.mark.parametrize("end", ["leaves", "is removed", "crashes", "fails", "is cut off"])
async def test_k28_every_watcher_is_told_exactly_once_whatever_the_end(
    end: str, autojump_clock: trio.testing.MockClock
) -> None:
    world = World()
    watchers = [CountingReply() for _ in range(3)]
    policy = attrs.evolve(PAUSES, restarts_max=0 if end == "fails" else 5)
    with trio.CancelScope() as scope:
        async with opened(world, policy=policy) as registry:
            await registry.ref("a").ask("hello")
            for watcher in watchers:
                registry.ref("a").watch(watcher)
            match end:
                case "leaves":
                    await registry.passivate("a")
                case "is removed":
                    await registry.remove("a", ActorFailed("deleted"))
                case "is cut off":
                    scope.cancel()
                    await trio.lowlevel.checkpoint()
                case _:
                    registry.ref("a").tell("bomb")
                    await trio.sleep(3)
                    await registry.passivate("a")
    reason = {"crashes": "crashed", "fails": "crash_loop", "is cut off": "cut_off"}.get(end, "left")
    assert [watcher.values for watcher in watchers] == [[Terminated("a", 1, reason)]] * 3


async def test_k07_who_is_cut_off_is_told_what_had_no_effect_and_what_is_unknown() -> None:
    world = World()
    taken, waiting, suspect = CountingReply(), CountingReply(), CountingReply()
    with trio.CancelScope() as scope:
        async with opened(world, policy=attrs.evolve(PAUSES, first_delay_seconds=100)) as registry:
            registry.ref("a").tell("wait", reply=taken)
            registry.ref("b").tell("one", reply=suspect)
            registry.ref("b").tell("bomb")
            await trio.testing.wait_all_tasks_blocked()
            registry.ref("a").tell("behind it", reply=waiting)
            scope.cancel()
            await trio.lowlevel.checkpoint()
    assert (taken.values, waiting.values, suspect.values) == ([CutOff], [RegistryClosed], [RegistryClosed])
    assert registry.dead_letters.statistics() == {"cut_off": 1}
    for key in ("a", "c"):
        with pytest.raises(RegistryClosed):
            registry.ref(key).tell("too late")


async def test_k27_what_nobody_waits_to_hear_of_is_a_dead_letter_when_it_is_not_done(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World(activation_gate=trio.Event())
    async with opened(world) as registry:
        told = CountingReply()
        registry.ref("a").tell("late", deadline=trio.current_time() + 1)
        registry.ref("a").tell("late", deadline=trio.current_time() + 1, reply=told)
        registry.ref("b").tell("m")
        await trio.sleep(2)
        assert world.activation_gate is not None
        await registry.remove("b", ActorFailed("deleted"))
        world.activation_gate.set()
        await registry.ref("a").ask("next")
        world.activation_error = CannotActivate("log_corrupt")
        registry.ref("c").tell("m")
        await trio.sleep(1)
        assert told.values == [Expired]
        assert registry.dead_letters.statistics() == {"expired": 1, "removed": 1, "log_corrupt": 1}
    assert world.log == ["next"]
