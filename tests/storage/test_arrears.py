"""K9: what mode `async` may lose is bounded, whatever the load, and owed by nobody after a stop."""

from collections.abc import Callable
from typing import TypeVar

import pytest
import trio
import trio.testing

from storage.arrears import OWED_SECONDS_MAX, SYNC_AFTER_SECONDS
from storage.committer import Committer, Durability
from storage.errors import OutcomeUnknown
from storage.event_log import EventLog
from tests.fakes.sim_disk import Operation, SimDisk
from tests.storage.committers import running_committer

T = TypeVar("T")

Clock = trio.testing.MockClock


class SlowSyncs(SimDisk):
    """Syncs of mode `async` take `seconds` on trio's clock; writing takes none."""

    seconds = 2.0

    async def run(self, work: Callable[[], T]) -> T:
        if getattr(work, "func", None) == self.sync_files:
            await trio.sleep(self.seconds)
        return await super().run(work)


async def open_log(disk: SimDisk, committer: Committer, name: str) -> EventLog:
    disk.make_folder(name)
    disk.open_append(f"{name}/events.jsonl").close()
    return await EventLog.open(disk, f"{name}/events.jsonl", committer, "quarantine")


def on_media(disk: SimDisk, name: str) -> int:
    """Events of this log that a power cut leaves whatever happens."""
    return bytes(disk.tree.file(f"{name}/events.jsonl").media).count(b"\n")


@pytest.mark.parametrize("sync_seconds", [0.0, 0.05, 0.3, 2.0])
async def test_k09_at_no_moment_can_a_power_cut_take_more_than_the_window(
    sync_seconds: float, autojump_clock: Clock
) -> None:
    disk = SlowSyncs()
    disk.seconds = sync_seconds
    acknowledged: dict[str, list[float]] = {}
    worst = 0.0

    async def write(log: EventLog, name: str) -> None:
        while trio.current_time() < 10:
            await log.append([[b"{}"]])
            acknowledged[name].append(trio.current_time())
            await trio.sleep(0.013)

    async with running_committer(disk, Durability.ASYNC) as committer:
        logs = {name: await open_log(disk, committer, name) for name in "abcde"}
        acknowledged |= {name: [] for name in logs}
        async with trio.open_nursery() as nursery:
            for name, log in logs.items():
                nursery.start_soon(write, log, name)
            while trio.current_time() < 10:
                await trio.sleep(0.007)
                lost = [time for name, times in acknowledged.items() for time in times[on_media(disk, name) :]]
                worst = max(worst, max(lost) - min(lost) if lost else 0.0)
    assert SYNC_AFTER_SECONDS / 2 < worst <= OWED_SECONDS_MAX
    assert [on_media(disk, name) for name in logs] == [len(times) for times in acknowledged.values()]
    assert min(map(len, acknowledged.values())) > 20


async def test_k09_an_idle_server_owes_nothing_and_says_how_old_what_it_owes_is(autojump_clock: Clock) -> None:
    disk = SimDisk()
    async with running_committer(disk, Durability.ASYNC) as committer:
        log = await open_log(disk, committer, "a")
        assert committer.arrears.age_seconds == 0
        await log.append([[b"{}"]])
        await trio.sleep(SYNC_AFTER_SECONDS / 2)
        assert committer.arrears.age_seconds == pytest.approx(SYNC_AFTER_SECONDS / 2)
        await trio.sleep(SYNC_AFTER_SECONDS)
        assert (committer.arrears.age_seconds, on_media(disk, "a")) == (0, 1)
        steps = len(disk.steps)
        await trio.sleep(60)
        assert len(disk.steps) == steps


async def test_k09_a_stop_in_the_middle_of_a_slow_sync_leaves_nothing_owed(autojump_clock: Clock) -> None:
    disk = SlowSyncs()
    async with running_committer(disk, Durability.ASYNC) as committer:
        first, second = await open_log(disk, committer, "a"), await open_log(disk, committer, "b")
        await first.append([[b"{}"]])
        await trio.sleep(SYNC_AFTER_SECONDS * 2)
        await second.append([[b"{}"]])
    assert (on_media(disk, "a"), on_media(disk, "b")) == (1, 1)
    assert [disk.done(Operation.SYNC, f"{name}/events.jsonl") for name in "ab"] == [1, 1]


async def test_k09_k15_a_log_is_closed_after_the_sync_that_is_under_way_and_hears_of_its_failure(
    autojump_clock: Clock,
) -> None:
    disk = SlowSyncs()
    async with running_committer(disk, Durability.ASYNC) as committer:
        log = await open_log(disk, committer, "a")
        disk.fail(Operation.SYNC, "a/events.jsonl")
        await log.append([[b"{}"]])
        await trio.sleep(SYNC_AFTER_SECONDS * 2)
        await log.close()
        assert disk.done(Operation.SYNC, "a/events.jsonl") == 1
        assert "a/events.jsonl" in committer.distrust


async def test_k15_a_sync_that_failed_behind_the_writers_back_ends_that_log_alone(autojump_clock: Clock) -> None:
    disk = SimDisk()
    async with running_committer(disk, Durability.ASYNC) as committer:
        bad, good = await open_log(disk, committer, "bad"), await open_log(disk, committer, "good")
        disk.fail(Operation.SYNC, "bad/events.jsonl", pages_turn_clean=True)
        for log in (bad, good):
            await log.append([[b"{}"]])
        await trio.sleep(2 * SYNC_AFTER_SECONDS)
        writes = disk.done(Operation.WRITE, "bad/events.jsonl")
        with pytest.raises(OutcomeUnknown):
            await bad.append([[b"{}"]])
        assert disk.done(Operation.WRITE, "bad/events.jsonl") == writes
        await good.append([[b"{}"]])
        await trio.sleep(2 * SYNC_AFTER_SECONDS)
        assert (on_media(disk, "good"), disk.done(Operation.SYNC, "bad/events.jsonl")) == (2, 1)


class SlowDisk(SimDisk):
    """Everything takes a second on trio's clock."""

    async def run(self, work: Callable[[], T]) -> T:
        await trio.sleep(1)
        return await super().run(work)


async def test_k09_what_is_being_written_at_a_stop_is_owed_by_nobody_after_it(autojump_clock: Clock) -> None:
    disk = SlowDisk()
    async with trio.open_nursery() as outside:
        async with running_committer(disk, Durability.ASYNC) as committer:
            log = await open_log(disk, committer, "a")
            outside.start_soon(log.append, [[b"{}"]])
            await trio.testing.wait_all_tasks_blocked()
        assert on_media(disk, "a") == 1
