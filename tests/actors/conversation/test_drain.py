"""The end of a server: nothing acknowledged is lost, runs get their grace, and what rests stays as it is (K35)."""

import pytest
import trio

from actors.conversation.house import Rules
from actors.conversation.idle import IdleLimits
from actors.domain.events import ConversationCreated
from actors.runtime import RegistryClosed
from storage.memory_disk import MemoryDisk
from tests.actors.conversation.house import open_house, states
from tests.fakes.scripted_sandbox import Reply
from tests.fakes.slow_disk import SlowDisk

Clock = trio.testing.MockClock

STILL = Rules(idle=IdleLimits(0, 0))
REPLIES = {"short": Reply("done\n", seconds=5), "long": Reply("begun\n", seconds=1000)}


def grace(seconds: float) -> trio.CancelScope:
    return trio.CancelScope(deadline=trio.current_time() + seconds)


@pytest.mark.parametrize(
    ("message", "state"), [("hello", "awaiting_user_input"), ("/finish", "finished"), ("/error no", "error")]
)
async def test_k35_what_is_at_rest_is_closed_at_once_and_keeps_its_state(
    autojump_clock: Clock, message: str, state: str
) -> None:
    disk = MemoryDisk()
    async with open_house(STILL, disk) as house:
        it = await house.create(message)
        events, before = await house.events(it), trio.current_time()
        await house.conversations.drain(grace(10))
        assert trio.current_time() - before < 1
        assert house.sandboxes[0].statistics().closed
        assert await house.events(it) == events
        assert states(events)[-1] == state
    async with open_house(STILL, disk) as house:
        summary = await house.conversations.summary(it)
        assert summary is not None
        assert summary.lifecycle["agent_state"] == state


async def test_k35_a_run_that_ends_within_the_grace_ends_as_it_would(autojump_clock: Clock) -> None:
    async with open_house(STILL, replies=REPLIES) as house:
        it = await house.create("$ short")
        await house.conversations.drain(grace(10))
        assert states(await house.events(it))[-1] == "awaiting_user_input"
        assert any(event.get("content") == "done\n" for event in await house.events(it))


@pytest.mark.parametrize("hurried", [False, True])
async def test_k35_a_run_that_does_not_is_stopped_and_says_so(autojump_clock: Clock, *, hurried: bool) -> None:
    async with open_house(STILL, replies=REPLIES) as house:
        it = await house.create("$ long")
        scope, before = grace(10), trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(house.conversations.drain, scope)
            await trio.sleep(2)
            if hurried:
                scope.cancel()
        assert trio.current_time() - before == pytest.approx(2 if hurried else 10, abs=1)
        events = await house.events(it)
        [action] = [event for event in events if event.get("action") == "run"]
        [observation] = [event for event in events if event.get("cause") == action["id"]]
        assert "begun" in observation["content"]
        assert states(events)[-1] == "stopped"


async def test_k35_who_hibernates_is_not_woken_for_it(autojump_clock: Clock) -> None:
    async with open_house(Rules(idle=IdleLimits(0, 10))) as house:
        it = await house.create("hello")
        await trio.sleep(20)
        assert (await house.lifecycle(it))[2] == "hibernated"
        events = await house.events(it)
        await house.conversations.drain(grace(10))
        await house.settle()
        assert house.sandboxes[0].statistics().closed
        assert await house.events(it) == events
        assert (await house.lifecycle(it))[2] == "cold"


async def test_k35_nothing_new_is_begun_and_reading_goes_on(autojump_clock: Clock) -> None:
    async with open_house(STILL, replies=REPLIES) as house:
        it = await house.create("$ long")
        house.conversations.refuse_commands()
        with pytest.raises(RegistryClosed):
            await house.say(it, "/note late")
        with pytest.raises(RegistryClosed):
            await house.conversations.create(ConversationCreated(), None)
        assert await house.events(it)
        listed, _ = await house.conversations.page(limit=10, cursor=None, where={})
        assert [summary.conversation_id for summary in listed] == [it]


async def test_k35_whoever_is_on_its_way_out_is_not_woken_to_be_closed_again(autojump_clock: Clock) -> None:
    async with open_house(STILL, SlowDisk(0.1)) as house:
        for _ in range(3):
            await house.create("hello")
        await house.conversations.drain(grace(10))
    # At the end of the block whatever is left is drained.
    *_, (_, revivals) = house.conversations.statistics().replays.cumulative()
    assert revivals == 3
