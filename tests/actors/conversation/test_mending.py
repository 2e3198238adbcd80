"""K16: a conversation whose log an operator repairs lives again, and says what it has lost."""

from typing import Any

import orjson
import pytest
import trio

from actors.conversation.errors import Refused
from actors.conversation.house import Rules
from actors.conversation.idle import IdleLimits
from actors.conversation.mending import LISTED_MAX, make_plan
from actors.runtime import ActorFailed
from storage.errors import LogClosed, NothingToRepair, StorageDegraded
from storage.memory_disk import MemoryDisk
from tests.actors.conversation.house import open_house
from tests.actors.conversation.test_faults import contents, log_path
from tests.fakes.faulty_disk import FaultyDisk

Clock = trio.testing.MockClock

STILL = Rules(idle=IdleLimits(0, 0))


async def conversation_with_notes(disk: MemoryDisk, notes: int = 5, *, snapshot: bool = True) -> str:
    """Without a snapshot, the next opening reads every record."""
    async with open_house(STILL, disk) as house:
        it = await house.create()
        await house.conversations.rename(it, "mine")
        for number in range(notes):
            await house.say(it, f"/note {number}")
    if not snapshot:
        disk.remove_tree(f"conversations/{it}/state.json")
    return it


def damage(disk: MemoryDisk, conversation_id: str, old: bytes, new: bytes) -> None:
    path = log_path(conversation_id)
    damaged = contents(disk, path).replace(old, new)
    assert damaged != contents(disk, path)
    disk.replace(path, damaged)


def notes_of(events: list[dict[str, Any]]) -> list[str]:
    return [event["args"]["content"] for event in events if event.get("action") == "message"]


async def test_k16_a_repaired_conversation_lives_again_without_what_was_cut_and_clients_begin_anew(
    autojump_clock: Clock,
) -> None:
    disk = MemoryDisk()
    it = await conversation_with_notes(disk, snapshot=False)
    damage(disk, it, b"/note 2", b"/n0te 2")
    damaged = contents(disk, log_path(it))
    async with open_house(STILL, disk) as house:
        before = await house.conversations.summary(it)
        assert before is not None
        with pytest.raises(ActorFailed, match="log_corrupt"):
            await house.say(it, "/note refused")
        plan = await house.conversations.repair_plan(it)
        told = plan.told()
        assert (told["code"], told["lost_events"], told["acknowledged"]) == ("log_corrupt", 3, True)
        assert told["readable"]["kinds"] == {"message": 2}
        assert contents(disk, log_path(it)) == damaged
        with pytest.raises(Refused, match="look at the plan again"):
            await house.conversations.repair(it, plan.cut.keep_events + 1)
        assert contents(disk, log_path(it)) == damaged
        await house.conversations.repair(it, plan.cut.keep_events)
        await house.say(it, "/note after")
        events = await house.events(it)
        assert notes_of(events) == ["/note 0", "/note 1", "/note after"]
        assert [event["id"] for event in events] == list(range(len(events)))
        [repaired] = [event for event in events if event.get("observation") == "greenroom.log_repaired"]
        assert repaired["revision"] == 2
        assert repaired["extras"]["acknowledged_loss"] is True
        assert contents(disk, repaired["extras"]["quarantine"]) == damaged
        after = await house.conversations.summary(it)
        assert after is not None
        assert after.title == "mine"
        assert after.lifecycle["stream_epoch"] > before.lifecycle["stream_epoch"]
        with pytest.raises(NothingToRepair):
            await house.conversations.repair_plan(it)


async def test_k16_k32_the_stream_epoch_is_new_even_if_earlier_repairs_went_with_the_rest(
    autojump_clock: Clock,
) -> None:
    disk = MemoryDisk()
    it = await conversation_with_notes(disk)
    seen = set()
    for _ in range(3):
        async with open_house(STILL, disk) as house:
            await house.say(it, "/note once more")
            await house.say(it, "/note and more")
            summary = await house.conversations.summary(it)
            assert summary is not None
            assert summary.lifecycle["stream_epoch"] not in seen
            seen.add(summary.lifecycle["stream_epoch"])
        # Each time the same early record: with it goes the repair before.
        damage(disk, it, b"/note 0" if len(seen) == 1 else b'"greenroom.log_repaired"', b"?")
        disk.remove_tree(f"conversations/{it}/state.json")
        async with open_house(STILL, disk) as house:
            plan = await house.conversations.repair_plan(it)
            await house.conversations.repair(it, plan.cut.keep_events)


async def test_k16_a_live_conversation_is_taken_down_and_nobody_wakes_it_while_it_is_repaired(
    autojump_clock: Clock,
) -> None:
    disk = FaultyDisk()
    it = await conversation_with_notes(disk)
    async with open_house(STILL, disk) as house:
        client, _ = await house.join(it)
        damage(disk, it, b"/note 2", b"/n0te 2")  # while it lives
        plan = await house.conversations.repair_plan(it)
        told = []

        async def say() -> None:
            with pytest.raises(LogClosed):
                await house.say(it, "/note too early")
            with pytest.raises(LogClosed):
                await house.conversations.delete(it)
            told.append("refused")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(house.conversations.repair, it, plan.cut.keep_events)
            while not house.conversations._out_of_reach:
                await trio.lowlevel.checkpoint()
            nursery.start_soon(say)
        assert told == ["refused"]
        assert client.closed
        await house.say(it, "/note after")
        assert notes_of(await house.events(it)) == ["/note 0", "/note 1", "/note after"]


async def test_k16_damage_that_a_reader_met_is_repaired_and_tells_clients_once(autojump_clock: Clock) -> None:
    disk = MemoryDisk()
    it = await conversation_with_notes(disk)
    damage(disk, it, b"/note 2", b"/n0te 2")
    async with open_house(STILL, disk) as house:
        await house.say(it, "/note behind it")  # it opens from its snapshot
        await house.events(it)
        await house.settle()
        assert (await house.lifecycle(it))[2] == "failed"
        plan = await house.conversations.repair_plan(it)
        await house.conversations.repair(it, plan.cut.keep_events)
        await house.say(it, "/note after")
        events = await house.events(it)
        assert notes_of(events) == ["/note 0", "/note 1", "/note after"]
        assert len([event for event in events if event.get("observation") == "greenroom.log_repaired"]) == 1


async def test_k14_a_repair_that_a_full_disk_stops_leaves_the_log_as_it_was_and_can_be_done_again(
    autojump_clock: Clock,
) -> None:
    disk = FaultyDisk()
    it = await conversation_with_notes(disk, snapshot=False)
    damage(disk, it, b"/note 2", b"/n0te 2")
    damaged = contents(disk, log_path(it))
    async with open_house(STILL, disk) as house:
        plan = await house.conversations.repair_plan(it)
        disk.faults.writes.add(f"conversations/{it}/.events.jsonl.new")
        with pytest.raises(StorageDegraded):
            await house.conversations.repair(it, plan.cut.keep_events)
        assert contents(disk, log_path(it)) == damaged
        assert (await house.lifecycle(it))[2] == "failed"
        disk.faults.writes.clear()
        await house.conversations.repair(it, plan.cut.keep_events)
        await house.say(it, "/note after")


@pytest.mark.parametrize("knows", [True, False])
async def test_k16_a_missing_log_begins_anew_with_what_the_snapshot_still_knows(
    autojump_clock: Clock, *, knows: bool
) -> None:
    disk = MemoryDisk()
    it = await conversation_with_notes(disk)
    async with open_house(STILL, disk) as house:
        before = await house.conversations.summary(it)
    disk.remove_tree(log_path(it))
    if not knows:
        disk.remove_tree(f"conversations/{it}/state.json")
    async with open_house(STILL, disk) as house:
        plan = await house.conversations.repair_plan(it)
        assert (plan.cut.quarantine, plan.told()["lost_events"] is None) == ("", not knows)
        await house.conversations.repair(it, 0)
        after = await house.conversations.summary(it)
        assert before is not None
        assert after is not None
        assert (after.title == "mine", after.created_at == before.created_at) == (knows, knows)
        assert after.trigger == "gui"
        page, _ = await house.conversations.page(limit=9, cursor=None, where={"trigger": "gui"})
        assert [summary.conversation_id for summary in page] == [it]
        await house.say(it, "/note anew")
        assert notes_of(await house.events(it)) == ["/note anew"]


async def test_a_whole_log_is_not_repaired_and_an_unknown_one_is_not_found(autojump_clock: Clock) -> None:
    disk = MemoryDisk()
    it = await conversation_with_notes(disk)
    async with open_house(STILL, disk) as house:
        await house.join(it)
        with pytest.raises(NothingToRepair):
            await house.conversations.repair(it, 0)
        disk.replace(log_path(it), contents(disk, log_path(it)) + b'{"id":8,"ep')
        with pytest.raises(NothingToRepair, match="being written"):
            await house.conversations.repair_plan(it)
        assert (await house.lifecycle(it))[2] == "hot"


async def test_what_would_be_lost_is_listed_up_to_a_bound_and_counted_in_full(autojump_clock: Clock) -> None:
    disk = MemoryDisk()
    it = await conversation_with_notes(disk, notes=LISTED_MAX + 30)
    damage(disk, it, b"/note 3", b"/n0te 3")
    told = make_plan(disk, it).told()
    readable = told["readable"]
    assert len(readable["listed"]) == LISTED_MAX
    assert readable["events"] == sum(readable["kinds"].values()) == told["lost_events"] - 11  # 3 and 30 to 39
    assert readable["listed"][0]["kind"] == "message"
    assert orjson.loads(orjson.dumps(told)) == told
    assert readable["first_timestamp"] <= readable["listed"][0]["timestamp"] <= readable["last_timestamp"]
