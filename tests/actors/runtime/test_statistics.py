"""What an operator sees of actors without asking them."""

import pytest
import trio

from actors.runtime import (
    ActorCrashed,
    Residency,
    TurnStatistics,
)
from tests.actors.runtime.scribe import World, opened


async def test_statistics_count_by_residency() -> None:
    world = World()
    async with opened(world) as registry:
        await registry.ref("a").ask("m")
        assert registry.statistics().residency == {Residency.HOT: 1}
        assert "1 cells" in repr(registry)
        assert "hot" in repr(registry.peek("a"))


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
