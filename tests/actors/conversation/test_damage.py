"""What a conversation does when its log turns out to be damaged, short or on a disk that fails again and again."""

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import orjson
import pytest
import trio

from actors.conversation.cursor import Cursor
from actors.conversation.house import Rules
from actors.conversation.idle import IdleLimits
from actors.domain.events import MessageAction
from actors.runtime import ActorFailed
from storage.errors import CorruptLog, OutcomeUnknown
from storage.event_log.tail import Tail
from storage.local_disk import LocalDisk
from storage.memory_disk import MemoryDisk
from tests.actors.conversation.house import ListSink, Tenancy, open_house
from tests.fakes.faulty_disk import FaultyDisk

Clock = trio.testing.MockClock

STILL = Rules(idle=IdleLimits(0, 0))


def log_path(conversation_id: str) -> str:
    return f"conversations/{conversation_id}/events.jsonl"


def harm(disk: MemoryDisk, conversation_id: str, what: bytes) -> None:
    """Change one bit of that text, where it lies."""
    path = log_path(conversation_id)
    data = disk.read(path, 0, disk.size(path))
    place = data.index(what)
    disk.replace(path, data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])


async def busy(house: Tenancy, notes: int = 300) -> str:
    """A conversation whose first notes are not in memory any more."""
    it = await house.create()
    for number in range(notes):
        await house.say(it, f"/note {number} ".ljust(2000, "."))
    return it


def notes_of(events: Sequence[object]) -> list[int]:
    return [
        int(event["args"]["content"].split()[1])
        for event in events
        if isinstance(event, dict) and event.get("action") == "message"
    ]


async def damaged_page(house: Tenancy, it: str) -> tuple[list[int], int | None]:
    page = await house.conversations.events(it, start=0, stop=None, reverse=False, limit=10_000, accepts=None)
    return notes_of([orjson.loads(event) for event in page.events]), page.damaged_at


async def test_k16_a_page_that_meets_damage_in_a_hot_conversation_shows_what_precedes_it_and_ends_that_one_alone(
    autojump_clock: Clock,
) -> None:
    disk = MemoryDisk()
    async with open_house(STILL, disk) as house:
        it, sibling = await busy(house), await house.create()
        harm(disk, it, b"/note 100 ")
        before = disk.read(log_path(it), 0, 10**9)
        shown, at = await damaged_page(house, it)
        assert shown == list(range(100))
        assert at == before[: before.index(b"/note 101 ")].count(b"\n") - 1
        await trio.sleep(1)
        assert await house.lifecycle(it) == ("ERROR", "ERROR", "failed")
        with pytest.raises(ActorFailed, match="log_corrupt"):
            await house.say(it, "/note never")
        assert (await house.lifecycle(sibling))[2] == "hot"
        await house.say(sibling, "/note fine")
        assert disk.read(log_path(it), 0, 10**9) == before
        assert await damaged_page(house, it) == (shown, at)
    async with open_house(STILL, disk) as house:
        with pytest.raises(ActorFailed, match="log_corrupt"):
            await house.say(it, "/note never")
        assert await damaged_page(house, it) == (shown, at)
        assert disk.read(log_path(it), 0, 10**9) == before


async def test_k16_damage_that_nobody_has_read_yet_does_not_disturb_a_hot_conversation(autojump_clock: Clock) -> None:
    disk = MemoryDisk()
    async with open_house(STILL, disk) as house:
        it = await busy(house)
        harm(disk, it, b"/note 100 ")
        await house.say(it, "/note 300 ")
        page = await house.conversations.events(it, start=0, stop=None, reverse=True, limit=5, accepts=None)
        assert notes_of([orjson.loads(event) for event in page.events]) == [300, 299, 298, 297, 296]
        assert page.damaged_at is None
        assert (await house.lifecycle(it))[2] == "hot"


async def follow(house: Tenancy, it: str, sink: ListSink, ended: list[Exception]) -> None:
    try:
        await house.conversations.follow(it, Cursor(sink, -1))
    except (ActorFailed, CorruptLog) as failure:
        ended.append(failure)


async def test_k16_a_client_gets_what_precedes_the_damage_and_then_is_told(autojump_clock: Clock) -> None:
    disk, live, late, later = MemoryDisk(), ListSink(), ListSink(), ListSink()
    ended: list[Exception] = []
    async with open_house(STILL, disk) as house, trio.open_nursery() as clients:
        it = await busy(house)
        clients.start_soon(follow, house, it, live, ended)
        await house.settle()
        harm(disk, it, b"/note 100 ")
        await follow(house, it, late, ended)
        assert notes_of(late.taken) == list(range(100))
        await trio.sleep(1)
        assert notes_of(live.taken) == list(range(300))
        assert [type(failure) for failure in ended] == [CorruptLog, ActorFailed]  # who was live is told, too
        await follow(house, it, later, ended)
        assert notes_of(later.taken) == list(range(100))
        assert str(ended[-1]).startswith("log_corrupt")


async def read_all(history: AsyncGenerator[list[bytes]], read: list[object]) -> None:
    async for piece in history:
        read += map(orjson.loads, piece)


async def test_k16_a_trajectory_ends_with_the_truth(autojump_clock: Clock) -> None:
    disk = MemoryDisk()
    async with open_house(STILL, disk) as house:
        it = await busy(house)
        harm(disk, it, b"/note 100 ")
        for _ in range(2):  # while it is hot, and afterwards
            read: list[object] = []
            history = await house.conversations.history(it)
            with pytest.raises(CorruptLog):
                await read_all(history, read)
            assert notes_of(read) == list(range(100))
            await trio.sleep(1)


async def test_k16_a_run_that_needs_a_damaged_message_ends_its_conversation_and_nothing_is_cut(
    autojump_clock: Clock,
) -> None:
    disk = MemoryDisk()
    async with open_house(STILL, disk) as house:
        it = await house.create()
        message = await house.say(it, "/note before")
        harm(disk, it, b"/note before")
        actor = house.conversations._house.hot[it]
        assert actor.log is not None
        actor.log._tail = Tail(actor.log.next_id)
        with pytest.raises(CorruptLog):
            await actor._read_message(message)
        await trio.sleep(1)
        assert await house.lifecycle(it) == ("ERROR", "ERROR", "failed")


async def test_k16_a_loss_of_what_was_acknowledged_is_told_once_and_the_stream_is_another_one(
    autojump_clock: Clock,
) -> None:
    disk = MemoryDisk()
    async with open_house(STILL, disk) as house:
        it = await house.create()
        for number in range(5):
            await house.say(it, f"/note {number}")
    whole = disk.read(log_path(it), 0, 10**9)
    disk.replace(log_path(it), b"".join(whole.splitlines(keepends=True)[:-2]))
    for _ in range(2):
        async with open_house(STILL, disk) as house:
            await house.say(it, "/note again")
            [repair] = [e for e in await house.events(it) if e.get("observation") == "greenroom.log_repaired"]
            assert repair["extras"] | {"stream_epoch_min": 0} == {
                "first_lost_id": len(whole.splitlines()) - 2, "bytes_cut": 0, "quarantine": "",
                "acknowledged_loss": True, "stream_epoch_min": 0,
            }  # fmt: skip
            summary = await house.conversations.summary(it)
            assert summary is not None
            assert summary.lifecycle["stream_epoch"] == repair["extras"]["stream_epoch_min"] > 1


async def test_k16_an_ordinary_torn_tail_leaves_the_stream_as_it_is(autojump_clock: Clock) -> None:
    disk = MemoryDisk()
    async with open_house(STILL, disk) as house:
        it = await house.create()
    file = disk.open_append(log_path(it))
    file.write(b'{"id":99,"ep')
    async with open_house(STILL, disk) as house:
        await house.say(it, "/note after")
        [repair] = [e for e in await house.events(it) if e.get("observation") == "greenroom.log_repaired"]
        assert repair["extras"]["acknowledged_loss"] is False
        summary = await house.conversations.summary(it)
        assert summary is not None
        assert summary.lifecycle["stream_epoch"] == 1


async def test_k15_three_failed_syncs_in_a_row_are_an_error_and_a_start_tries_once_more(autojump_clock: Clock) -> None:
    disk = FaultyDisk()
    async with open_house(STILL, disk) as house:
        it, sibling = await house.create(), await house.create()
        disk.faults.syncs.add(log_path(it))
        for _ in range(3):
            with pytest.raises(OutcomeUnknown):
                await house.say(it, "/note perhaps")
            await trio.sleep(10)
        assert await house.lifecycle(it) == ("ERROR", "ERROR", "failed")
        summary = await house.conversations.summary(it)
        assert summary is not None
        assert summary.lifecycle["reason"] == "storage_failing"
        with pytest.raises(ActorFailed, match="storage_failing"):
            await house.say(it, "/note never")
        await house.say(sibling, "/note fine")
        disk.faults.syncs.clear()
        await house.conversations.start(it)
        await house.say(it, "/note surely")
        texts = [event["args"]["content"] for event in await house.events(it) if event.get("action") == "message"]
        # What was unknown was kept each time: the fresh file had it.
        assert texts == ["/note perhaps"] * 3 + ["/note surely"]


async def test_k15_everybody_whose_outcome_is_unknown_is_told(autojump_clock: Clock) -> None:
    disk = FaultyDisk()
    told: list[str] = []
    async with open_house(STILL, disk) as house:
        it = await house.create()

        async def say(number: int) -> None:
            try:
                await house.conversations.submit(it, MessageAction(f"/note {number}"), size_bytes=8)
            except OutcomeUnknown:
                told.append("unknown")

        disk.faults.syncs.add(log_path(it))
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(say, number)
            await trio.testing.wait_all_tasks_blocked()
            disk.faults.syncs.clear()
        assert told == ["unknown"] * 20
        assert notes_of(await house.events(it)) == []  # nobody sees what may be on no disk (K8)
        await trio.sleep(10)
        await house.say(it, "/note 20")
        assert sorted(notes_of(await house.events(it))) == list(range(21))


async def test_p06_a_cold_conversation_is_listed_and_revived_from_its_snapshot(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    """The history in front of the snapshot is taken away: nothing that is asked of the conversation misses it."""
    disk = MemoryDisk()
    async with open_house(STILL, disk) as house:
        it = await house.create()
        for number in range(50):
            await house.say(it, f"/note {number}")
        await house.conversations.rename(it, "mine")
    data = disk.read(log_path(it), 0, 10**9)
    kept = data.rindex(b"\n", 0, -1)
    disk.replace(log_path(it), b"\0" * kept + data[kept:])
    async with open_house(STILL, disk) as house:
        summary = await house.conversations.summary(it)
        assert summary is not None
        assert (summary.title, summary.status) == ("mine", "STOPPED")
        await house.say(it, "/note on")
        assert (await house.lifecycle(it))[2] == "hot"


@pytest.mark.wallclock
async def test_k17_no_byte_is_appended_to_a_line_without_an_end(tmp_path: Path) -> None:
    disk = LocalDisk(tmp_path)
    async with open_house(STILL, disk) as house:
        it = await house.create()
        await house.say(it, "/note whole")
    path = tmp_path / log_path(it)
    whole = path.read_bytes()
    for end in (b'{"id":', b"\0", whole.splitlines()[-1]):
        path.write_bytes(whole + end)
        async with open_house(STILL, disk) as house:
            await house.say(it, "/note next")
        assert path.read_bytes().startswith(whole)
        for line in path.read_bytes().splitlines():
            assert orjson.loads(line)["event"]
