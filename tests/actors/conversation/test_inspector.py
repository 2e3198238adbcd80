"""What an operator sees of the real service while it works, and that nobody is asked, woken or delayed by it."""

import errno
from collections.abc import Awaitable, Callable

import attrs
import pytest
import trio

from actors.conversation.explanation import Explanation, Fact
from actors.conversation.house import Rules
from actors.conversation.idle import IdleLimits
from actors.conversation.statistics import Activity
from actors.domain.events import ConversationCreated, MessageAction
from actors.domain.masks import masks_of
from actors.domain.terms import Terms
from actors.runtime import ActorCrashed
from storage.errors import ConversationNotFound, StorageDegraded
from storage.health import RETRY_SECONDS_MAX
from storage.memory_disk import MemoryDisk
from tests.actors.conversation.house import Tenancy, open_house
from tests.fakes.faulty_disk import FaultyDisk
from tests.fakes.held_disk import HeldDisk
from tests.fakes.scripted_sandbox import Reply
from tests.fakes.sim_disk import Operation, SimDisk

Clock = trio.testing.MockClock

LONG = {"long": Reply("begun\n", seconds=1000)}
STILL = Rules(idle=IdleLimits(0, 0))
QUICK = Rules(idle=IdleLimits(close_delay_seconds=100, hibernate_after_seconds=10))


def log_path(conversation_id: str) -> str:
    return f"conversations/{conversation_id}/events.jsonl"


async def codes(house: Tenancy, conversation_id: str) -> dict[str, list[str]]:
    look = await house.conversations.inspector.look(conversation_id)
    found = attrs.asdict(look.explanation, recurse=False)
    assert set(found) == {field.name for field in attrs.fields(Explanation)}
    return {name: [fact.code for fact in facts] for name, facts in found.items()}


async def test_a_life_is_explained_from_beginning_to_end(autojump_clock: Clock) -> None:
    gate = trio.Event()
    async with open_house(QUICK, replies=LONG, prepare=gate.wait) as house:
        conversations = house.conversations
        it = (await conversations.create(ConversationCreated(), None)).conversation_id
        await house.settle()
        found = await codes(house, it)
        assert (found["waits_for"], found["next"]) == (["sandbox_opening"], ["start_given_up"])
        gate.set()
        await house.settle()
        found = await codes(house, it)
        assert (found["waits_for"], found["next"]) == (["message"], ["hibernate", "close"])
        await house.say(it, "$ long")
        await house.settle()
        found = await codes(house, it)
        assert found["held_by"] == ["actor", "run_time", "run", "command"]
        assert (found["waits_for"], found["next"]) == (["command_end"], ["command_timeout"])
        await conversations.pause(it)
        await house.settle()
        await trio.sleep(11)
        found = await codes(house, it)
        assert (found["held_by"], found["next"]) == (["run_time"], ["close"])
        assert conversations.inspector.see(it).residency == "hibernated"
        await trio.sleep(100)
        found = await codes(house, it)
        assert (found["held_by"], found["next"]) == (["nobody"], ["revived"])
        await conversations.archive(it)
        await trio.sleep(11)
        assert (await codes(house, it))["can_do"] == ["unarchive"]
        with pytest.raises(ConversationNotFound):
            await conversations.inspector.look("unknown")


async def test_what_its_times_say_comes_true(autojump_clock: Clock) -> None:
    async with open_house(QUICK) as house:
        it = await house.create()
        look = await house.conversations.inspector.look(it)
        hibernates, closes = (fact.at for fact in look.explanation.next)
        assert hibernates is not None
        assert closes is not None
        for at, before, after in ((hibernates, "hot", "hibernated"), (closes, "hibernated", "cold")):
            await trio.sleep_until(at - 0.01)
            assert (await house.lifecycle(it))[2] == before
            await trio.sleep_until(at)
            await house.settle()
            assert (await house.lifecycle(it))[2] == after


async def test_a_run_time_says_what_it_is_at(autojump_clock: Clock) -> None:
    gate = trio.Event()
    async with open_house(STILL, replies=LONG, prepare=gate.wait) as house:
        began = trio.current_time()
        it = (await house.conversations.create(ConversationCreated(), None)).conversation_id
        await house.settle()
        inside = house.conversations.inspector.see(it).inside
        assert inside is not None
        assert inside.run_time is not None
        assert (inside.run_time.activity, inside.run_time.since) == (Activity.OPENING, began)
        assert (inside.run_time.gives_up_at, inside.run_time.sandbox) == (began + 60, None)
        await trio.sleep(5)
        gate.set()
        await house.settle()
        await trio.sleep(5)
        await house.say(it, "$ long")
        await trio.sleep(5)
        inside = house.conversations.inspector.see(it).inside
        assert inside is not None
        assert inside.run_time is not None
        assert (inside.run_time.activity, inside.run_time.since) == (Activity.RUNNING, began + 10)
        assert inside.run_time.run == inside.state.run is not None
        assert inside.run_time.sandbox is not None
        assert inside.run_time.sandbox.running_since == began + 10
        assert inside.run_time.sandbox.times_out_at == began + 130
        await house.conversations.pause(it)
        await house.settle()
        inside = house.conversations.inspector.see(it).inside
        assert inside is not None
        assert inside.run_time is not None
        assert (inside.run_time.activity, inside.run_time.run) == (Activity.RESTING, None)


async def test_a_crashed_one_tells_when_it_is_started_again(autojump_clock: Clock) -> None:
    async with open_house(STILL) as house:
        it = await house.create()
        with pytest.raises(ActorCrashed):
            await house.conversations.ref(it).ask("what nobody understands")  # type: ignore[arg-type]  # on purpose
        summary = await house.conversations.summary(it)
        assert summary is not None
        assert summary.lifecycle["retry_at"].endswith("Z")
        seen = house.conversations.inspector.see(it)
        assert seen.actor is not None
        assert seen.actor.retry_at is not None
        found = await codes(house, it)
        assert (found["because"][0], found["waits_for"], found["next"]) == ("crashed", ["restart"], ["restart"])
        await trio.sleep_until(seen.actor.retry_at + 0.001)
        await house.say(it, "/note hello")
        summary = await house.conversations.summary(it)
        assert summary is not None
        assert summary.lifecycle["retry_at"] is None


async def say_once(house: Tenancy, conversation_id: str, text: str) -> None:
    """Under a key: what it is called is what is to be done, not that there is a key (K11)."""
    await house.conversations.submit(conversation_id, MessageAction(text), size_bytes=len(text), terms=Terms("key"))


async def until_it_waits_for(house: Tenancy, conversation_id: str, code: str) -> Fact:
    """For disks that work in threads, which `settle` does not wait for."""
    with trio.fail_after(5):
        while True:
            waits = (await house.conversations.inspector.look(conversation_id)).explanation.waits_for
            if [fact.code for fact in waits] == [code]:  # while a run-time opens there may be several
                return waits[0]
            await trio.sleep(0.005)


@pytest.mark.wallclock
async def test_a_turn_that_waits_for_the_disk_is_seen_in_it() -> None:
    disk = HeldDisk()
    async with open_house(STILL, disk) as house, trio.open_nursery() as nursery:
        it = await house.create()
        await until_it_waits_for(house, it, "message")
        disk.release.clear()
        nursery.start_soon(say_once, house, it, "/note hello")
        waits = await until_it_waits_for(house, it, "disk")
        disk.release.set()
        assert waits.about == {"commands": {"AddMessage": 1}}


async def test_k14_a_disk_that_takes_nothing_is_what_it_waits_for(autojump_clock: Clock) -> None:
    disk = FaultyDisk()
    async with open_house(STILL, disk) as house:
        it = await house.create()
        disk.faults.writes.add(log_path(it))
        began = trio.current_time()
        for _ in range(2):
            with pytest.raises(StorageDegraded):
                await house.say(it, "/note lost")
            await trio.sleep(1)
        look = await house.conversations.inspector.look(it)
        assert [(fact.code, fact.at) for fact in look.explanation.waits_for] == [("disk_refuses", began)]
        disk.faults.writes.clear()
        await trio.sleep(60)
        await house.say(it, "/note kept")
        assert (await codes(house, it))["waits_for"] == ["message"]


async def test_k14_a_full_disk_is_what_all_wait_for_until_it_has_room(autojump_clock: Clock) -> None:
    disk = SimDisk()
    async with open_house(STILL, disk) as house:
        it, sibling = await house.create(), await house.create()
        disk.fail(Operation.WRITE, log_path(it), code=errno.ENOSPC, times=None)
        with pytest.raises(StorageDegraded):
            await house.say(it, "/note lost")
        for conversation_id in (it, sibling):
            found = await codes(house, conversation_id)
            assert (found["waits_for"], found["next"][0]) == (["disk_refuses"], "disk_tried")
            assert found["can_do"] == ["look_at_disk"]
        disk.heal()
        await trio.sleep(RETRY_SECONDS_MAX)
        assert (await codes(house, it))["waits_for"] == ["message"]


async def test_k16_a_damaged_log_is_what_an_operator_can_repair(autojump_clock: Clock) -> None:
    disk = MemoryDisk()
    async with open_house(STILL, disk) as house:
        it = await house.create()
        for number in range(5):
            await house.say(it, f"/note {number}")
    whole = disk.read(log_path(it), 0, disk.size(log_path(it)))
    disk.replace(log_path(it), whole.replace(b"/note 2", b"/n0te 2"))
    async with open_house(STILL, disk) as house:
        await house.events(it)  # before the snapshot: nobody knows until somebody reads there
        assert house.conversations.inspector.troubled(10) == ([], 0)
        assert (await codes(house, it))["can_do"] == ["repair"]
        with pytest.raises(Exception, match="log_corrupt"):
            await house.say(it, "/note hello")
        assert (await codes(house, it))["can_do"] == ["repair"]
        assert house.conversations.inspector.troubled(10) == ([it], 0)


async def test_those_in_trouble_come_first_and_the_hibernated_last(autojump_clock: Clock) -> None:
    async with open_house(QUICK, replies=LONG) as house:
        sleeping = await house.create()
        await trio.sleep(11)
        calm, busy, crashed = await house.create(), await house.create("$ long"), await house.create()
        with pytest.raises(ActorCrashed):
            await house.conversations.ref(crashed).ask("what nobody understands")  # type: ignore[arg-type]
        inspector = house.conversations.inspector
        found, more = inspector.troubled(10)
        assert (found[0], found[-1], more) == (crashed, sleeping, 0)
        assert set(found[1:3]) == {calm, busy}
        assert inspector.troubled(1) == ([crashed], 3)
        assert inspector.statistics().places.busy == 1
        assert (inspector.statistics().hot, inspector.statistics().dormant) == (2, 1)


async def test_d41_what_a_failure_says_is_shown_without_secrets(autojump_clock: Clock) -> None:
    async with open_house(STILL, masks=masks_of(["s3cr3t-value"])) as house:
        it = await house.create()
        actor = house.conversations._house.hot[it]

        def blow_up(*_: object) -> None:
            raise ValueError("s3cr3t-value is no number")

        actor._decide_all = blow_up  # type: ignore[method-assign, assignment]  # a bug that quotes what it was given
        with pytest.raises(ActorCrashed):
            await house.say(it, "hello")
        found = house.conversations.inspector.see(it).actor
        assert found is not None
        assert found.last_failure == "ValueError('<secret_hidden> is no number')"


async def test_everything_that_lives_long_shows_its_state_in_one_line(autojump_clock: Clock) -> None:
    async with open_house(QUICK, replies=LONG) as house:
        it = await house.create("$ long")
        sleeping = await house.create()
        await house.join(it)
        await trio.sleep(11)
        inner = house.conversations._house
        actor = inner.hot[it]
        [cursor] = actor.cursors
        shown = (
            house.conversations, house.conversations.inspector, inner, inner.slots, inner.alarms, actor, actor.log,
            inner.dormant[sleeping], inner.dormant[sleeping].run_time, cursor, house.conversations.ref(it),
            house.conversations._registry, house.conversations._registry.peek(it), inner.run_times,
        )  # fmt: skip
        for found in shown:
            assert repr(found).startswith("<"), type(found)
            assert "\n" not in repr(found)
            assert len(repr(found)) < 250, repr(found)
            assert " at 0x" not in repr(found)
        assert "running run=" in repr(actor._run_time)


# --- nobody is delayed ---


class Turns(trio.abc.Instrument):
    """How often trio's loop has gone round."""

    count = 0

    def before_io_wait(self, timeout: float) -> None:  # noqa: ARG002 - the instrument's
        self.count += 1


async def turns_of_messages(look: Callable[[Tenancy], Awaitable[None]] | None) -> list[int]:
    """How many turns of the loop each of many messages takes, beside somebody who looks all the time."""
    turns = Turns()
    async with open_house(STILL, replies=LONG) as house, trio.open_nursery() as nursery:
        busy, it = await house.create("$ long"), await house.create()

        async def look_on() -> None:
            while look is not None:
                await look(house)

        nursery.start_soon(look_on)
        trio.lowlevel.add_instrument(turns)
        taken = []
        for number in range(200):
            before = turns.count
            await house.say(it, f"/note {number}")
            await house.say(busy, f"/note {number}")
            taken.append(turns.count - before)
        trio.lowlevel.remove_instrument(turns)
        nursery.cancel_scope.cancel()
    return taken


async def test_a_busy_conversation_takes_as_many_turns_of_the_loop_whether_anybody_looks_or_not() -> None:
    looks = 0

    async def look(house: Tenancy) -> None:
        nonlocal looks
        inspector = house.conversations.inspector
        for found in inspector.troubled(100)[0]:
            inspector.see(found)
            await inspector.look(found)
        looks += 1
        await trio.lowlevel.checkpoint()

    alone, watched = await turns_of_messages(None), await turns_of_messages(look)
    assert looks > 200
    assert watched == alone


async def test_looking_brings_nobody_to_life_and_is_no_activity(autojump_clock: Clock) -> None:
    async with open_house(QUICK) as house:
        it = await house.create()
        for _ in range(30):
            await house.conversations.inspector.look(it)
            house.conversations.inspector.see(it)
            await trio.sleep(1)
        assert (await house.lifecycle(it))[2] == "hibernated"
        await trio.sleep(100)
        await house.conversations.inspector.look(it)
        assert (await house.lifecycle(it))[2] == "cold"
        assert house.conversations.inspector.troubled(10) == ([], 0)
