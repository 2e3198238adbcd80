"""What a conversation does when its disk, its log or its agent fails."""

import errno
from collections.abc import Callable

import attrs
import orjson
import pytest
import trio

from actors.conversation.house import Rules
from actors.conversation.idle import IdleLimits
from actors.conversation.messages import LookAtClock
from actors.conversation.summary import describe
from actors.domain.codec import DecodeError
from actors.domain.events import MessageAction
from actors.runtime import ActorError, ActorFailed, AskTimedOut, Expired, Lane, Promise
from storage import snapshot as snapshots
from storage.errors import OutcomeUnknown, StorageDegraded
from storage.memory_disk import MemoryDisk
from storage.store import open_store
from tests.actors.conversation.house import open_house, states
from tests.fakes.faulty_disk import FaultyDisk
from tests.fakes.scripted_sandbox import Reply
from tests.fakes.slow_disk import SlowDisk

Clock = trio.testing.MockClock

STILL = Rules(idle=IdleLimits(0, 0))


def log_path(conversation_id: str) -> str:
    return f"conversations/{conversation_id}/events.jsonl"


def contents(disk: MemoryDisk, path: str) -> bytes:
    return disk.read(path, 0, disk.size(path))


# --- the disk ---


async def test_k15_k31_a_write_whose_outcome_is_unknown_in_the_turn_that_would_have_hibernated_is_shown_if_it_is_there(
    autojump_clock: Clock,
) -> None:
    """The look at the clock had said that it leaves memory; a crash came instead, so nobody's place is handed over."""
    disk, promise = FaultyDisk(), Promise()
    async with open_house(Rules(idle=IdleLimits(0, hibernate_after_seconds=100)), disk) as house:
        it = await house.create("/note first")
        client, _ = await house.join(it)
        due = trio.current_time() + 100
        disk.faults.syncs.add(log_path(it))
        await trio.sleep_until(due)
        house.conversations.submit_nowait(it, MessageAction("/note in doubt"), size_bytes=1, terms=None, reply=promise)
        house.conversations.ref(it).tell(LookAtClock(), lane=Lane.CONTROL)
        with pytest.raises(OutcomeUnknown):
            await promise.wait()
        disk.faults.syncs.clear()
        await house.say(it, "/note after it")
        await trio.sleep(1)
        notes = [event["id"] for event in await house.events(it) if event.get("action") == "message"]
        assert len(notes) == 3
        assert [event["id"] for event in client.taken if event.get("action") == "message"] == notes


async def test_k14_a_full_disk_refuses_the_message_shows_nobody_anything_and_recovers(autojump_clock: Clock) -> None:
    disk = FaultyDisk()
    async with open_house(STILL, disk) as house:
        it = await house.create("/note first")
        client, _ = await house.join(it)
        seen, before = len(client.taken), await house.events(it)
        disk.faults.writes.add(log_path(it))
        with pytest.raises(StorageDegraded):
            await house.say(it, "/note lost")
        assert await house.events(it) == before
        assert len(client.taken) == seen
        disk.faults.writes.clear()
        await trio.sleep(60)
        await house.say(it, "/note kept")
        assert [event["id"] for event in await house.events(it)] == list(range(len(before) + 1))
        assert client.taken[-1]["args"]["content"] == "/note kept"


async def test_k14_a_run_that_ends_on_a_full_disk_is_ended_once_the_disk_takes_it(autojump_clock: Clock) -> None:
    disk = FaultyDisk()
    async with open_house(STILL, disk, {"slow": Reply("done\n", seconds=5)}) as house:
        it = await house.create("$ slow")
        disk.faults.writes.add(log_path(it))
        await trio.sleep(20)
        assert states(await house.events(it)) == ["loading", "running"]
        disk.faults.writes.clear()
        await trio.sleep(20)
        events = await house.events(it)
        [action] = [event for event in events if event.get("action") == "run"]
        [observation] = [event for event in events if event.get("cause") == action["id"]]
        assert observation["content"] == "done\n"
        assert states(events)[-1] == "error"  # the agent could not write down what it did: its run has failed


async def test_k14_who_joins_while_the_disk_takes_nothing_reads_all_the_same(autojump_clock: Clock) -> None:
    disk = FaultyDisk()
    async with open_house(STILL, disk) as house:
        it = await house.create()
        await house.say(it, "/note written")
        await house.conversations.stop(it)
        disk.faults.writes.add(log_path(it))
        reader, _ = await house.join(it)
        assert [event["args"]["content"] for event in reader.taken if "args" in event] == ["/note written"]
        assert not reader.closed
        disk.faults.writes.clear()
        await trio.sleep(60)
        await house.say(it, "/note seen")
        await house.settle()
        assert reader.taken[-1]["args"]["content"] == "/note seen"


async def test_k14_k30_what_recovery_could_not_write_down_is_written_as_soon_as_the_disk_takes_it(
    autojump_clock: Clock,
) -> None:
    disk = FaultyDisk()
    async with open_house(STILL, disk, {"long": Reply(seconds=1000)}) as house:
        it = await house.create("$ long")
        killed = contents(disk, log_path(it))
    disk.replace(log_path(it), killed)
    disk.faults.writes.add(log_path(it))
    async with open_house(STILL, disk) as house:
        with pytest.raises(StorageDegraded):
            await house.say(it, "are you there?")
        disk.faults.writes.clear()
        await trio.sleep(60)
        await house.say(it, "and now?")
        await house.settle()
        events = await house.events(it)
        [action] = [event for event in events if event.get("action") == "run"]
        [closed] = [event for event in events if event.get("cause") == action["id"]]
        assert "unknown" in closed["content"]
        assert any(event.get("message") == "and now?" and event["source"] == "agent" for event in events)


async def test_k15_after_a_failed_sync_the_answer_is_unknown_and_the_next_incarnation_reads_anew(
    autojump_clock: Clock,
) -> None:
    disk = FaultyDisk()
    async with open_house(STILL, disk) as house:
        it = await house.create()
        disk.faults.syncs.add(log_path(it))
        with pytest.raises(OutcomeUnknown):
            await house.say(it, "/note perhaps")
        disk.faults.syncs.clear()
        await trio.sleep(60)
        await house.say(it, "/note surely")
        assert log_path(it) in disk.replaced
        ids = [event["id"] for event in await house.events(it)]
        assert ids == list(range(len(ids)))
        # What became of the process's run-time is told like any interruption; the conversation lives.
        assert (await house.lifecycle(it))[2] == "hot"


async def test_k07_past_its_deadline_a_command_is_not_executed_and_one_that_was_taken_is_unknown(
    autojump_clock: Clock,
) -> None:
    disk = SlowDisk()
    async with open_house(STILL, disk) as house, trio.open_nursery() as nursery:
        it = await house.create()
        disk.seconds = 100

        async def say_and_be_told(error: type[ActorError], text: str) -> None:
            with pytest.raises(error):
                await house.say(it, text)

        nursery.start_soon(say_and_be_told, AskTimedOut, "/note taken")
        await trio.sleep(1)
        nursery.start_soon(say_and_be_told, Expired, "/note waits behind it")
        await trio.sleep(200)
        disk.seconds = 0
        await trio.sleep(200)
        await house.say(it, "/note later")
        texts = [event["args"]["content"] for event in await house.events(it) if event.get("action") == "message"]
        assert texts == ["/note taken", "/note later"]


# --- the log ---


async def test_k16_a_log_damaged_in_the_middle_fails_that_conversation_alone_and_can_be_deleted(
    autojump_clock: Clock,
) -> None:
    disk = MemoryDisk()
    async with open_house(STILL, disk) as house:
        it, sibling = await house.create(), await house.create()
        for number in range(5):
            await house.say(it, f"/note {number}")
    data = contents(disk, log_path(it))
    disk.replace(log_path(it), data.replace(b"/note 2", b"/n0te 2"))
    async with open_house(STILL, disk) as house:
        # Before the snapshot: nobody knows until somebody reads there, and from then on everybody does.
        readable = await house.events(it)
        assert [event["args"]["content"] for event in readable if "args" in event] == ["/note 0", "/note 1"]
        assert await house.lifecycle(it) == ("ERROR", "ERROR", "failed")
    async with open_house(STILL, disk) as house:
        assert await house.lifecycle(it) == ("ERROR", "ERROR", "failed")
        summary = await house.conversations.summary(it)
        assert summary is not None
        assert summary.lifecycle["reason"] == "log_corrupt"
        assert await house.events(it) == readable
        with pytest.raises(ActorFailed, match="log_corrupt"):
            await house.say(it, "/note 5")
        await house.say(sibling, "/note fine")
        assert contents(disk, log_path(it)) == data.replace(b"/note 2", b"/n0te 2")
        assert await house.conversations.delete(it)
        assert await house.conversations.summary(it) is None


async def test_k16_a_missing_log_is_damage_too(autojump_clock: Clock) -> None:
    disk = MemoryDisk()
    async with open_house(STILL, disk) as house:
        it = await house.create()
    disk.remove_tree(log_path(it))
    async with open_house(STILL, disk) as house:
        assert await house.lifecycle(it) == ("ERROR", "ERROR", "failed")
        assert await house.events(it) == []
        with pytest.raises(ActorFailed, match="log_corrupt"):
            await house.say(it, "/note anything")
        assert not disk.exists(log_path(it))
        assert await house.conversations.delete(it)


async def test_k16_a_torn_tail_is_cut_kept_aside_and_told(autojump_clock: Clock) -> None:
    disk = MemoryDisk()
    async with open_house(STILL, disk) as house:
        it = await house.create()
        await house.say(it, "/note whole")
    whole = contents(disk, log_path(it))
    disk.replace(log_path(it), whole + b'{"id":99,"ep')
    async with open_house(STILL, disk) as house:
        await house.say(it, "/note after")
        events = await house.events(it)
        [repair] = [event for event in events if event.get("observation") == "greenroom.log_repaired"]
        assert repair["extras"]["bytes_cut"] == 12
        assert disk.read(repair["extras"]["quarantine"], 0, 100) == b'{"id":99,"ep'
        assert [event["id"] for event in events] == list(range(len(events)))


async def test_k18_a_snapshot_that_lies_beyond_the_log_is_not_believed(autojump_clock: Clock) -> None:
    disk = MemoryDisk()
    async with open_house(STILL, disk) as house:
        it = await house.create()
        await house.conversations.rename(it, "before")
        short = contents(disk, log_path(it))
        await house.conversations.rename(it, "after")
    disk.replace(log_path(it), short)
    async with open_house(STILL, disk) as house:
        summary = await house.conversations.summary(it)
        assert summary is not None
        assert summary.title == "before"


async def test_k18_replay_gives_the_state_that_the_snapshot_held(autojump_clock: Clock) -> None:
    disk = MemoryDisk()
    async with open_house(STILL, disk, {"ls": Reply("a\n")}) as house:
        it = await house.create("$ ls")
        await house.conversations.rename(it, "mine")
        await house.conversations.archive(it)
        await house.settle()
    path = f"conversations/{it}/state.json"
    async with open_house(STILL, disk) as house:
        with_snapshot = await house.conversations.summary(it)
    assert orjson.loads(contents(disk, path))
    disk.remove_tree(path)
    async with open_house(STILL, disk) as house:
        assert await house.conversations.summary(it) == with_snapshot


NEWER = (
    b'{"id":%d,"timestamp":"2026-01-01T00:00:00Z","source":"environment","observation":"greenroom.teleported"}',
    b'{"timestamp": "2026-01-01T00:00:00Z","source":"agent" ,"id":%d,\t"action":"teleport","args":{"to":"\\u0041"}}',
    b'{"id":%d,"timestamp":"2026-01-01T00:00:00Z","source":"user","revision":7,"action":"message","args":{"who":1e2}}',
)
"""Written by a version to come, in a form of its own."""


async def write_newer(disk: MemoryDisk, conversation_id: str) -> list[bytes]:
    async with open_store(disk, describe) as store:
        log = await store.open_log(conversation_id)
        written = [new % (log.next_id + place) for place, new in enumerate(NEWER)]
        await log.append([written])
        await log.close()
    return written


async def test_k19_events_of_a_newer_version_are_served_byte_for_byte_counted_and_not_applied(
    autojump_clock: Clock,
) -> None:
    disk = MemoryDisk()
    async with open_house(STILL, disk) as house:
        it = await house.create()
        before = await house.conversations.summary(it)
    written = await write_newer(disk, it)
    async with open_house(STILL, disk) as house:
        cold = await house.conversations.summary(it)
        client, _ = await house.join(it)
        await house.say(it, "/note still here")
        hot = await house.conversations.summary(it)
        page = await house.conversations.events(it, start=0, stop=None, reverse=False, limit=100, accepts=None)
        assert [payload for payload in page.events if payload in written] == written
        assert [payload for payload in client.payloads if payload in written] == written[1:]  # no house facts there
    assert before is not None
    assert cold is not None
    assert hot is not None
    assert [told.lifecycle["unknown_events"] for told in (before, cold, hot)] == [0, 3, 3]
    assert (cold.title, cold.lifecycle["agent_state"]) == (before.title, before.lifecycle["agent_state"])


async def test_k18_k19_what_an_older_version_passed_over_is_not_lost_behind_its_snapshot(autojump_clock: Clock) -> None:
    disk = MemoryDisk()
    async with open_house(STILL, disk) as house:
        it = await house.create()
        await house.conversations.rename(it, "mine")
    path = f"conversations/{it}/state.json"
    snapshot = snapshots.load(disk, path)
    assert snapshot is not None
    assert isinstance(snapshot.document, dict)
    knew_no_titles = snapshot.document | {"title": "", "unknown_events": 1, "vocabulary": 1}
    snapshots.save(disk, path, attrs.evolve(snapshot, document=knew_no_titles))
    async with open_house(STILL, disk) as house:
        summary = await house.conversations.summary(it)
        assert summary is not None
        assert summary.title == "mine"


# --- the agent ---


async def test_k24_a_crash_in_one_run_is_told_and_its_siblings_do_not_notice(autojump_clock: Clock) -> None:
    async with open_house(STILL, replies={"long": Reply("fine\n", seconds=10)}) as house:
        sibling, broken = await house.create("$ long"), await house.create("/crash")
        await house.settle()
        ended = [e for e in await house.events(broken) if e.get("observation") == "greenroom.run_ended"]
        assert [event["extras"]["outcome"] for event in ended] == ["crashed"]
        assert states(await house.events(broken))[-1] == "error"
        await trio.sleep(20)
        assert states(await house.events(sibling))[-1] == "awaiting_user_input"


async def test_a_message_of_a_lone_surrogate_is_refused_and_harms_nothing(autojump_clock: Clock) -> None:
    async with open_house(STILL) as house:
        it = await house.create("/note first")
        before = await house.events(it)
        with pytest.raises(DecodeError):
            await house.conversations.submit(it, MessageAction("\ud800"), size_bytes=3)
        await house.say(it, "/note fine")
        assert len(await house.events(it)) == len(before) + 1


# --- a create that fails after its first batch ---


async def test_a_create_that_cannot_be_started_leaves_nothing(autojump_clock: Clock) -> None:
    disk = FaultyDisk()
    async with open_house(Rules(idle=IdleLimits(0, 0), run_times_max=1), disk) as house:
        disk.faults.before_write = _full_after(1)
        with pytest.raises(StorageDegraded):
            await house.create("hello")
        assert await house.conversations.page(limit=10, cursor=None, where={}) == ([], None)
        disk.faults.before_write = _full_after(1000)
        await trio.sleep(60)  # the disk has been tried again, and is known to take writes
        assert (await house.lifecycle(await house.create("hello")))[0] == "RUNNING"  # its place was given back
    async with open_store(disk, describe) as store:
        assert len(store.catalogue) == 1


async def test_a_create_that_cannot_be_undone_either_is_told_as_unknown(autojump_clock: Clock) -> None:
    disk = FaultyDisk()
    async with open_house(Rules(idle=IdleLimits(0, 0)), disk) as house:
        disk.faults.before_write = _gone_after(1, disk)
        with pytest.raises(OutcomeUnknown, match="could not be undone"):
            await house.create("hello")
        disk.faults.steps_left = None


def _full_after(writes: int) -> Callable[[], None]:
    """So many writes find room."""
    left = iter(range(writes))

    def before_write() -> None:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "no space left")

    return before_write


def _gone_after(writes: int, disk: FaultyDisk) -> Callable[[], None]:
    """After so many writes nothing works any more."""
    left = iter(range(writes))

    def before_write() -> None:
        if next(left, None) is None:
            disk.faults.steps_left = 0

    return before_write
