"""K14: what a failed write says about the next ones, and how that ends."""

import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import structlog.testing
import trio
import trio.testing

from storage.catalogue import Entry
from storage.documents import Documents
from storage.errors import StorageDegraded
from storage.event_log import EventLog
from storage.health import (
    AILING_SECONDS,
    PROBE,
    PROBE_BYTES_MIN,
    RETRY_SECONDS_MAX,
    RETRY_SECONDS_MIN,
    Health,
    Refusing,
)
from storage.store import Store, open_store
from tests.fakes.sim_disk import Operation, SimDisk

Clock = trio.testing.MockClock

EVENT = b'{"id":1}'


@asynccontextmanager
async def opened(disk: SimDisk, *names: str) -> AsyncIterator[tuple[Store, list[EventLog]]]:
    """A store with these conversations, their logs open."""
    async with open_store(disk, lambda name, _: Entry(name, "2026")) as store:
        for name in names:
            await store.create(Entry(name, "2026"), [EVENT])
        yield store, [await store.open_log(name) for name in names]


def path_of(name: str) -> str:
    return f"conversations/{name}/events.jsonl"


def used_bytes(disk: SimDisk) -> int:
    return sum(len(file.data) for file in disk.tree.files())


async def test_k14_a_full_disk_refuses_every_write_untried_and_reads_go_on(autojump_clock: Clock) -> None:
    disk = SimDisk()
    async with opened(disk, "a", "b") as (store, [a, b]):
        await a.append([[EVENT]])
        size = disk.size(path_of("a"))
        disk.capacity_bytes = used_bytes(disk) + 10
        with pytest.raises(StorageDegraded, match="cut back"):
            await a.append([[EVENT]])
        assert disk.size(path_of("a")) == size
        assert store.health.degraded
        steps = len(disk.steps)
        for _ in range(3):
            with pytest.raises(StorageDegraded, match="takes no writes"):
                await a.append([[EVENT]])
            with pytest.raises(StorageDegraded):
                await b.append([[EVENT]])
            with pytest.raises(StorageDegraded):
                await store.create(Entry("c", "2026"), [EVENT])
            with pytest.raises(StorageDegraded):
                await Documents(disk, store.health).write("settings", {})
            with pytest.raises(StorageDegraded):
                await a.save_snapshot({})
        assert len(disk.steps) == steps
        assert await a.read(0, 9) == [EVENT, EVENT]
        assert await (await store.view("b")).read(0, 9) == [EVENT]


async def test_k14_the_state_clears_by_itself_once_there_is_room_for_more_than_a_little(autojump_clock: Clock) -> None:
    disk = SimDisk()
    with structlog.testing.capture_logs() as logs:
        async with opened(disk, "a") as (store, [a]):
            disk.capacity_bytes = used_bytes(disk)
            with pytest.raises(StorageDegraded):
                await a.append([[EVENT]])
            disk.capacity_bytes = used_bytes(disk) + PROBE_BYTES_MIN - 1
            await trio.sleep(10 * RETRY_SECONDS_MAX)
            assert store.health.degraded
            assert PROBE not in disk.list_folder(".")
            disk.capacity_bytes += 1
            await trio.sleep(RETRY_SECONDS_MAX)
            assert not store.health.degraded
            await a.append([[EVENT]])
            assert PROBE not in disk.list_folder(".")
    assert [log["event"] for log in logs] == ["storage_degraded", "storage_recovered"]


async def test_k14_the_probe_is_as_large_as_what_found_no_room(autojump_clock: Clock) -> None:
    disk = SimDisk()
    large = b'"%b"' % (b"x" * 3 * PROBE_BYTES_MIN)
    async with opened(disk, "a") as (store, [a]):
        disk.capacity_bytes = used_bytes(disk) + 2 * PROBE_BYTES_MIN
        with pytest.raises(StorageDegraded):
            await a.append([[large]])
        await trio.sleep(10 * RETRY_SECONDS_MAX)
        assert store.health.degraded
        disk.capacity_bytes += 2 * PROBE_BYTES_MIN
        await trio.sleep(RETRY_SECONDS_MAX)
        await a.append([[large]])


async def test_k14_probes_back_off_and_never_beyond_what_clients_are_told_to_wait(autojump_clock: Clock) -> None:
    disk = SimDisk()
    times: list[float] = []
    async with opened(disk, "a") as (_, [a]):
        disk.capacity_bytes = 0
        with pytest.raises(StorageDegraded):
            await a.append([[EVENT]])
        began = trio.current_time()
        disk.on_step = lambda _: times.append(trio.current_time() - began)
        await trio.sleep(30)
        disk.on_step = lambda _: None
    moments = sorted(set(times))
    pauses = [later - earlier for earlier, later in zip([0.0, *moments], moments, strict=False)]
    assert pauses[:5] == pytest.approx([RETRY_SECONDS_MIN * 2**power for power in range(5)])
    assert max(pauses) == pytest.approx(RETRY_SECONDS_MAX)
    assert len(moments) < 15


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
async def test_k14_what_is_true_of_the_whole_disk_is_the_stores(code: int, autojump_clock: Clock) -> None:
    disk = SimDisk()
    async with opened(disk, "a", "b") as (_, [a, b]):
        disk.fail(Operation.WRITE, path_of("a"), code=code, keep_bytes=3)
        with pytest.raises(StorageDegraded):
            await a.append([[EVENT]])
        with pytest.raises(StorageDegraded):
            await b.append([[EVENT]])
        await trio.sleep(2 * RETRY_SECONDS_MIN)
        await a.append([[EVENT]])
        await b.append([[EVENT]])


@pytest.mark.parametrize("code", [errno.EIO, errno.EFBIG])
async def test_k14_an_error_on_one_file_is_that_logs_alone_and_backs_off(code: int, autojump_clock: Clock) -> None:
    disk = SimDisk()
    async with opened(disk, "a", "b") as (store, [a, b]):
        fault = disk.fail(Operation.WRITE, path_of("a"), code=code, keep_bytes=3, times=None)
        for pause in (RETRY_SECONDS_MIN, 2 * RETRY_SECONDS_MIN, 4 * RETRY_SECONDS_MIN):
            tried = fault.seen
            with pytest.raises(StorageDegraded, match="cut back"):
                await a.append([[EVENT]])
            await trio.sleep(pause - 0.01)
            with pytest.raises(StorageDegraded, match="takes no writes"):
                await a.append([[EVENT]])
            assert fault.seen == tried + 1
            await b.append([[EVENT]])
            await trio.sleep(0.02)
        assert store.health.statistics() == {"degraded": 0, "files_ailing": 1}
        disk.heal()
        await trio.sleep(RETRY_SECONDS_MAX)
        await a.append([[EVENT]])
        assert store.health.statistics() == {"degraded": 0, "files_ailing": 0}
        assert await a.read(0, 9) == [EVENT, EVENT]


async def test_k14_a_file_that_nobody_writes_any_more_is_not_told_of_for_ever(autojump_clock: Clock) -> None:
    health = Health(SimDisk())
    health.note(OSError(errno.EIO, "bad"), 1, "a")
    assert health.statistics()["files_ailing"] == 1
    await trio.sleep(AILING_SECONDS + 1)
    assert health.statistics()["files_ailing"] == 0
    health.check("a")


async def test_k14_deleting_is_how_room_is_made_so_it_is_not_refused(autojump_clock: Clock) -> None:
    disk = SimDisk()
    async with opened(disk, "a", "big") as (store, [a, big]):
        await big.append([[b'"%b"' % (b"x" * 2 * PROBE_BYTES_MIN)]])
        await big.close()
        disk.capacity_bytes = used_bytes(disk)
        with pytest.raises(StorageDegraded):
            await a.append([[EVENT]])
        await store.delete("big")
        await trio.sleep(RETRY_SECONDS_MAX)
        await a.append([[EVENT]])


async def test_k14_a_deletion_that_fails_leaves_it_all_there(autojump_clock: Clock) -> None:
    disk = SimDisk()
    async with opened(disk, "a") as (store, [a]):
        disk.fail(Operation.RENAME, "*/a")
        with pytest.raises(StorageDegraded, match="could not be deleted"):
            await store.delete("a")
        assert store.exists("a")
        await a.append([[EVENT]])


async def test_k14_a_create_that_found_no_room_leaves_nothing_and_works_later(autojump_clock: Clock) -> None:
    disk = SimDisk()
    async with opened(disk) as (store, _):
        disk.capacity_bytes = used_bytes(disk) + 20
        with pytest.raises(StorageDegraded, match="undone"):
            await store.create(Entry("c", "2026"), [EVENT])
        assert store.health.degraded
        assert disk.list_folder("conversations") == []
        disk.capacity_bytes = None
        await trio.sleep(2 * RETRY_SECONDS_MIN)
        await store.create(Entry("c", "2026"), [EVENT])


async def test_k14_it_is_told_who_is_refused_since_when_and_when_the_disk_is_tried_again(autojump_clock: Clock) -> None:
    health, began = Health(SimDisk()), trio.current_time()
    assert health.refusing("a") is None
    health.note(OSError(errno.EIO, "bad"), 1, "a")
    await trio.sleep(0.1)
    health.note(OSError(errno.EIO, "bad"), 1, "a")
    assert health.refusing("a") == Refusing(began, began + 0.1 + 2 * RETRY_SECONDS_MIN, everybody=False)
    assert health.refusing("b") is None
    await trio.sleep(AILING_SECONDS + 1)
    assert health.refusing("a") is None
    full = trio.current_time()
    health.note(OSError(errno.ENOSPC, "full"), 1, "a")
    assert health.refusing("b") == Refusing(full, full + RETRY_SECONDS_MIN, everybody=True)
