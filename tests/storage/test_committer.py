"""Group commit and its failures: K8, K9, K14, K15."""

import pytest
import trio
import trio.testing

from storage.arrears import SYNC_AFTER_SECONDS
from storage.committer import LANES, Append, Committer, Durability
from storage.errors import LogClosed, OutcomeUnknown, StorageDegraded
from storage.event_log import EventLog, LogView
from tests.fakes.faulty_disk import FaultyDisk
from tests.fakes.held_disk import HeldDisk
from tests.storage.committers import running_committer


def path_of(name: str) -> str:
    return f"{name}/events.jsonl"


async def open_log(disk: FaultyDisk | HeldDisk, committer: Committer, name: str) -> EventLog:
    disk.make_folder(name)
    disk.open_append(path_of(name))
    return await EventLog.open(disk, path_of(name), committer, "quarantine")


async def read_all(disk: FaultyDisk | HeldDisk, name: str) -> list[bytes]:
    view = await LogView.open(disk, path_of(name))
    assert view.damage is None
    return await view.read(0, 1000)


async def test_k08_whoever_is_alone_goes_at_once_and_the_others_share_a_group() -> None:
    disk = FaultyDisk()
    async with running_committer(disk) as committer:
        log = await open_log(disk, committer, "c")
        for count in range(3):
            await log.append([[b"{}"]])
            assert committer.statistics() == {"groups": count + 1, "appends": count + 1, "pending": 0}


async def test_k08_many_appenders_share_few_groups_and_each_is_synced() -> None:
    disk = FaultyDisk()
    async with running_committer(disk) as committer:
        logs = [await open_log(disk, committer, f"c{number}") for number in range(50)]
        async with trio.open_nursery() as nursery:
            for log in logs:
                nursery.start_soon(log.append, [[b"{}"]])
        assert committer.statistics()["appends"] == 50
        assert committer.statistics()["groups"] <= 4
    assert sorted(disk.faults.synced) == sorted(path_of(f"c{number}") for number in range(50))


async def test_k14_a_failed_write_is_cut_back_reaches_only_its_file_and_works_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    disk = FaultyDisk()
    async with running_committer(disk) as committer:
        bad, good = await open_log(disk, committer, "bad"), await open_log(disk, committer, "good")
        await bad.append([[b'{"n":0}']])
        before = disk.size(path_of("bad"))
        disk.faults.writes.add(path_of("bad"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(good.append, [[b'{"g":0}']])
            with pytest.raises(StorageDegraded):
                await bad.append([[b'{"n":1}']])
        assert (disk.size(path_of("bad")), bad.next_id) == (before, 1)
        assert await bad.read(0, 9) == [b'{"n":0}']
        disk.faults.writes.clear()
        await trio.sleep(60)
        await bad.append([[b'{"n":2}'], [b'{"n":3}', b'{"n":4}']])
        assert await bad.read(0, 9) == await read_all(disk, "bad")
    assert await read_all(disk, "bad") == [b'{"n":%d}' % number for number in (0, 2, 3, 4)]
    assert await read_all(disk, "good") == [b'{"g":0}']


async def test_k14_what_could_not_be_cut_back_is_unknown_and_closes_the_log() -> None:
    disk = FaultyDisk()
    async with running_committer(disk) as committer:
        log = await open_log(disk, committer, "c")
        disk.faults.writes.add(path_of("c"))
        disk.faults.truncates.add(path_of("c"))
        with pytest.raises(OutcomeUnknown):
            await log.append([[b"{}"]])
        with pytest.raises(LogClosed):
            await log.append([[b"{}"]])


async def test_k15_a_failed_sync_is_unknown_never_retried_and_leaves_siblings_alone() -> None:
    disk = FaultyDisk()
    async with running_committer(disk) as committer:
        bad, good = await open_log(disk, committer, "bad"), await open_log(disk, committer, "good")
        disk.faults.syncs.add(path_of("bad"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(good.append, [[b"{}"]])
            with pytest.raises(OutcomeUnknown):
                await bad.append([[b"{}"]])
        with pytest.raises(LogClosed):
            await bad.append([[b"{}"]])
        await bad.close()
        await good.append([[b"{}"]])
        assert disk.faults.synced.count(path_of("bad")) == 1


async def test_k15_after_a_failed_sync_only_a_fresh_file_is_believed() -> None:
    disk = FaultyDisk()
    async with running_committer(disk) as committer:
        log = await open_log(disk, committer, "c")
        await log.append([[b'{"n":0}']])
        disk.faults.syncs.add(path_of("c"))
        with pytest.raises(OutcomeUnknown):
            await log.append([[b'{"n":1}']])
        disk.faults.syncs.clear()
        again = await EventLog.open(disk, path_of("c"), committer, "quarantine")
        assert disk.replaced == [path_of("c")]
        await again.append([[b'{"n":2}']])
        await EventLog.open(disk, path_of("c"), committer, "quarantine")
        assert disk.replaced == [path_of("c")]
        assert again.epoch > log.epoch
    assert await read_all(disk, "c") == [b'{"n":0}', b'{"n":1}', b'{"n":2}']


@pytest.mark.wallclock
async def test_an_appender_cancelled_before_its_group_begins_ends_at_once_and_leaves_nothing() -> None:
    disk = HeldDisk()
    names = [f"stays{number}" for number in range(LANES)]
    async with running_committer(disk) as committer:
        gone, others = (
            await open_log(disk, committer, "gone"),
            [await open_log(disk, committer, name) for name in names],
        )
        disk.release.clear()
        async with trio.open_nursery() as nursery:
            for other in others:
                nursery.start_soon(other.append, [[b"{}"]])
            while not all(disk.size(path_of(name)) for name in names):
                await trio.sleep(0.01)
            with trio.move_on_after(0.05) as scope:
                await gone.append([[b"{}"]])
            assert scope.cancelled_caught
            disk.release.set()
        with pytest.raises(LogClosed):
            await gone.append([[b"{}"]])
    assert await read_all(disk, "gone") == []
    assert [await read_all(disk, name) for name in names] == [[b"{}"]] * LANES


@pytest.mark.wallclock
async def test_k08_while_one_group_syncs_the_next_is_written_and_waits_for_its_own_sync() -> None:
    disk = HeldDisk()
    async with running_committer(disk) as committer:
        first, second = await open_log(disk, committer, "first"), await open_log(disk, committer, "second")
        disk.release.clear()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(first.append, [[b"{}"]])
            nursery.start_soon(second.append, [[b"{}"]])
            while not (disk.size(path_of("first")) and disk.size(path_of("second"))):
                await trio.sleep(0.01)
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert (first.next_id, second.next_id) == (0, 0)
            disk.release.set()
        assert (first.next_id, second.next_id) == (1, 1)


@pytest.mark.wallclock
async def test_an_appender_cancelled_within_its_group_ends_with_it_so_that_nothing_is_written_behind_a_new_reader() -> (
    None
):
    disk = HeldDisk()
    over: list[str] = []
    async with running_committer(disk) as committer:
        gone, stays = await open_log(disk, committer, "gone"), await open_log(disk, committer, "stays")
        disk.release.clear()
        scope = trio.CancelScope()

        async def cancelled() -> None:
            with scope:
                await gone.append([[b"{}"]])
            over.append("cancelled")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(cancelled)
            nursery.start_soon(stays.append, [[b"{}"]])
            while not disk.size(path_of("gone")) or not disk.size(path_of("stays")):
                await trio.sleep(0.01)
            scope.cancel()
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert over == []
            disk.release.set()
        assert over == ["cancelled"]
    assert (await read_all(disk, "gone"), await read_all(disk, "stays")) == ([b"{}"], [b"{}"])


async def test_k08_a_committer_that_is_stopped_never_calls_unwritten_bytes_durable() -> None:
    disk = FaultyDisk()
    committer = Committer(disk)
    ended: list[type[Exception]] = []

    async def append(name: str) -> None:
        try:
            await committer.commit(Append(name, disk.open_append(name), 0, b"data"))
        except (OutcomeUnknown, LogClosed) as failure:
            ended.append(type(failure))

    async with trio.open_nursery() as nursery:
        for number in range(LANES + 1):
            nursery.start_soon(append, f"{number}")
        await trio.lowlevel.checkpoint()
        with trio.CancelScope() as scope:
            scope.cancel()
            await committer.run()
        await append("late")
    assert set(ended) == {LogClosed, OutcomeUnknown}
    assert sum(disk.size(f"{number}") for number in range(LANES + 1)) == LANES * len(b"data")
    assert disk.size("late") == 0


async def test_k09_async_syncs_within_its_window_also_when_groups_never_cease(
    autojump_clock: trio.testing.MockClock,
) -> None:
    disk = FaultyDisk()
    async with running_committer(disk, Durability.ASYNC) as committer:
        log = await open_log(disk, committer, "c")
        await log.append([[b"{}"]])
        assert disk.faults.synced == []
        for _ in range(10):
            await trio.sleep(SYNC_AFTER_SECONDS / 4)
            await log.append([[b"{}"]])
        assert len(disk.faults.synced) >= 2
        await trio.sleep(2 * SYNC_AFTER_SECONDS)
        synced = len(disk.faults.synced)
        await trio.sleep(20 * SYNC_AFTER_SECONDS)
        assert len(disk.faults.synced) == synced


@pytest.mark.parametrize("how", ["close", "stop"])
async def test_k09_async_owes_nothing_after_a_close_or_a_stop(how: str, autojump_clock: trio.testing.MockClock) -> None:
    disk = FaultyDisk()
    async with running_committer(disk, Durability.ASYNC) as committer:
        log = await open_log(disk, committer, "c")
        await log.append([[b"{}"]])
        if how == "close":
            await log.close()
            assert disk.faults.synced == [path_of("c")]
    assert disk.faults.synced == [path_of("c")]


async def test_k15_async_tells_a_sync_that_failed_unnoticed_to_the_next_append(
    autojump_clock: trio.testing.MockClock,
) -> None:
    disk = FaultyDisk()
    async with running_committer(disk, Durability.ASYNC) as committer:
        log, good = await open_log(disk, committer, "c"), await open_log(disk, committer, "good")
        disk.faults.syncs.add(path_of("c"))
        await log.append([[b"{}"]])
        await good.append([[b"{}"]])
        await trio.sleep(3 * SYNC_AFTER_SECONDS)
        await good.append([[b"{}"]])
        with pytest.raises(OutcomeUnknown):
            await log.append([[b"{}"]])
        disk.faults.syncs.clear()
        again = await EventLog.open(disk, path_of("c"), committer, "quarantine")
        assert disk.replaced == [path_of("c")]
        await again.append([[b"{}"]])


async def test_what_waits_before_the_committer_runs_is_committed_once_it_does() -> None:
    disk = FaultyDisk()
    committer = Committer(disk)
    logs = [await open_log(disk, committer, f"c{number}") for number in range(LANES + 3)]
    async with trio.open_nursery() as nursery, trio.open_nursery() as appenders:
        for log in logs:
            appenders.start_soon(log.append, [[b"{}"]])
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(committer.run)
        with trio.fail_after(5):
            while not all(log.next_id for log in logs):
                await trio.sleep(0.001)
        nursery.cancel_scope.cancel()
