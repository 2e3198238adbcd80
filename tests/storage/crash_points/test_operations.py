"""Every operation of the store, cut at every step and every tear that the disk's model allows (K8 to K18).

After each cut the real recovery must show a prefix of what was submitted that contains all that was acknowledged.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from errno import ENOSPC
from random import Random

import pytest
import trio
import trio.testing

from storage.committer import Durability
from storage.documents import Documents
from storage.errors import CorruptLog, OutcomeUnknown, StorageDegraded
from storage.health import RETRY_SECONDS_MIN
from storage.store import Store, open_store
from tests.fakes.sim_disk import Operation, SimDisk
from tests.storage.crash_points.conftest import Tally
from tests.storage.crash_points.points import FIRST, Points, describe, recover
from tests.storage.crash_points.told import Batch, Conversation, Told

LOG = "conversations/a/events.jsonl"

ROOM_STEP = 7
"""Disks are filled up at every so many bytes: a step that hits head, event and newline of a line alike."""

BLOCK_BYTES = 64
"""A line of these logs lies on two or three blocks."""


async def create(store: Store, told: Told, name: str, *events: bytes) -> None:
    told.submit(name, (FIRST, *events))
    await store.create(describe(name, FIRST), [FIRST, *events])
    told.acknowledge(name)


async def append(store: Store, told: Told, name: str, *turns: tuple[Batch, ...]) -> None:
    log = await store.open_log(name)
    for batches in turns:
        told.submit(name, tuple(event for batch in batches for event in batch))
        await log.append(batches)
        told.acknowledge(name)
    await log.close()


async def delete(store: Store, told: Told, name: str) -> None:
    told.ask_deletion(name)
    await store.delete(name)
    told.acknowledge_deletion(name)
    await trio.testing.wait_all_tasks_blocked()


def batch(name: str, *numbers: int) -> Batch:
    return tuple(b'{"%s":%d}' % (name.encode(), number) for number in numbers)


# --- the work ---


async def a_creation(store: Store, told: Told, disk: SimDisk) -> None:
    await create(store, told, "b", b'{"text":"hello"}')


async def appends(store: Store, told: Told, disk: SimDisk) -> None:
    await append(store, told, "a", (batch("one", 1),), (batch("two", 2),), (batch("three", 3),))


async def a_batch(store: Store, told: Told, disk: SimDisk) -> None:
    await append(store, told, "a", (batch("batch", 1, 2, 3),))


async def a_turn_of_several_batches(store: Store, told: Told, disk: SimDisk) -> None:
    await append(store, told, "a", (batch("x", 1), batch("y", 2, 3), batch("z", 4)))


async def a_group_of_several_logs(store: Store, told: Told, disk: SimDisk) -> None:
    await create(store, told, "b")
    await create(store, told, "c")
    async with trio.open_nursery() as nursery:
        for name in "abc":
            nursery.start_soon(append, store, told, name, (batch(name, 1, 2),))


async def snapshots(store: Store, told: Told, disk: SimDisk) -> None:
    log = await store.open_log("a")
    for number in (1, 2):
        told.snapshots = (*told.snapshots, number)
        await log.save_snapshot(number)
        told.snapshots = (number,)
    await log.close()


async def a_deletion(store: Store, told: Told, disk: SimDisk) -> None:
    await delete(store, told, "a")


async def a_deletion_and_a_namesake(store: Store, told: Told, disk: SimDisk) -> None:
    await delete(store, told, "a")
    told.forget("a")
    await create(store, told, "a", b'{"second":1}')


async def documents(store: Store, told: Told, disk: SimDisk) -> None:
    for number in (1, 2):
        told.documents = (*told.documents, number)
        await Documents(disk).write("settings", number)
        told.documents = (number,)


async def a_creation_that_fails(store: Store, told: Told, disk: SimDisk) -> None:
    """At its last step, when there is most to undo; the second time it succeeds."""
    disk.fail(Operation.SYNC_FOLDER, "conversations")
    with pytest.raises(StorageDegraded):
        await create(store, told, "b")
    told.forget("b")
    told.conversations = {**told.conversations, "b": Conversation(())}
    await create(store, told, "b")


async def a_write_that_fails(store: Store, told: Told, disk: SimDisk) -> None:
    """What was written of it is cut back; after a probe another one takes its place (K14)."""
    log = await store.open_log("a")
    disk.fail(Operation.WRITE, LOG, keep_bytes=100, code=ENOSPC)
    told.submit("a", batch("refused", 1, 2))
    with pytest.raises(StorageDegraded):
        await log.append([batch("refused", 1, 2)])
    told.withdraw("a")
    while store.health.degraded:
        await trio.sleep(RETRY_SECONDS_MIN)
    told.submit("a", batch("taken", 1))
    await log.append([batch("taken", 1)])
    told.acknowledge("a")
    await log.close()


async def a_sync_that_fails(store: Store, told: Told, disk: SimDisk) -> None:
    """Its pages are called clean; what a new opening shows of it must stay (K15)."""
    log = await store.open_log("a")
    disk.fail(Operation.SYNC, LOG, pages_turn_clean=True)
    told.submit("a", batch("doubtful", 1, 2))
    with pytest.raises(OutcomeUnknown):
        await log.append([batch("doubtful", 1, 2)])
    await log.close()
    log = await store.open_log("a")
    if log.next_id > 1:
        told.acknowledge("a")
    else:
        told.withdraw("a")
    await log.close()
    await append(store, told, "a", (batch("sure", 1),))


Work = Callable[[Store, Told, SimDisk], Awaitable[None]]


@pytest.mark.parametrize(
    "work",
    [
        a_creation,
        appends,
        a_batch,
        a_turn_of_several_batches,
        a_group_of_several_logs,
        snapshots,
        a_deletion,
        a_deletion_and_a_namesake,
        documents,
        a_creation_that_fails,
        a_write_that_fails,
        a_sync_that_fails,
    ],
)
async def test_k08_k10_k16_no_cut_of_any_operation_loses_what_was_acknowledged(
    work: Work, tally: Tally, autojump_clock: trio.testing.MockClock
) -> None:
    told = Told()
    disk = SimDisk(block_bytes=BLOCK_BYTES)
    async with open_store(disk, describe) as store:
        await create(store, told, "a")
    points = Points(told, tally.images_max)
    disk = disk.kill()
    points.watch(disk)
    async with open_store(disk, describe) as store:
        await work(store, told, disk)
        points.look(disk)
    await points.survive_all(tally, work.__name__)


async def test_k08_no_cut_of_the_first_start_loses_what_was_acknowledged(tally: Tally) -> None:
    told = Told()
    disk = SimDisk(block_bytes=BLOCK_BYTES)
    points = Points(told, tally.images_max)
    points.watch(disk)
    async with open_store(disk, describe) as store:
        await create(store, told, "a")
        points.look(disk)
    await points.survive_all(tally, "the first start")


@pytest.mark.parametrize("seed", range(6))
async def test_k16_no_cut_of_a_recovery_itself_loses_anything(seed: int, tally: Tally) -> None:
    """A power cut within the mending of what a power cut tore, and one within that."""
    told = Told()
    disk = SimDisk(block_bytes=BLOCK_BYTES)
    async with open_store(disk, describe) as store:
        await create(store, told, "a")
        await append(store, told, "a", (batch("kept", 1, 2),))
        log = await store.open_log("a")
        told.submit("a", batch("torn", 1, 2))
        torn = []
        disk.on_step = lambda step: torn.append(disk.after_a_kill()) if step.operation is Operation.SYNC else None
        await log.append([batch("torn", 1, 2)])
    points = Points(told, tally.images_max)
    disk = torn[0].crash(Random(seed))
    points.watch(disk)
    await recover(disk)
    points.look(disk)
    await points.survive_all(tally, "a recovery")


async def test_k09_async_loses_no_more_than_what_it_owes_and_never_what_precedes_it(tally: Tally) -> None:
    """A power cut may leave a hole between two unsynced turns: the log is cut, or is readable up to the hole."""
    disk = SimDisk(block_bytes=BLOCK_BYTES)
    async with open_store(disk, describe, Durability.ASYNC) as store:
        await store.create(describe("a", FIRST), [FIRST])
        log = await store.open_log("a")
        await log.append([batch("synced", 1, 2)])
        await log.close()
        log = await store.open_log("a")
        for number in range(3):
            await log.append([batch("owed", number)])
        crash = disk.crash_images(Random(0), tally.images_max)
    synced = [FIRST, *batch("synced", 1, 2)]
    written = [*synced, *(event for number in range(3) for event in batch("owed", number))]
    for image in crash.images:
        async with open_store(disk.booted(image), describe, Durability.ASYNC) as store:
            with suppress(CorruptLog):
                await (await store.open_log("a")).close()
            view = await store.view("a")
            shown = [event async for event in view.events()]
            assert shown == written[: len(shown)]
            assert len(shown) >= len(synced)
    tally.add("mode async", len(crash.images), 1, int(crash.possible <= tally.images_max))


async def test_k14_a_disk_that_fills_up_anywhere_in_a_line_refuses_loses_nothing_and_goes_on(
    autojump_clock: trio.testing.MockClock, tally: Tally
) -> None:
    told = Told()
    disk = SimDisk(block_bytes=BLOCK_BYTES)
    async with open_store(disk, describe) as store:
        await create(store, told, "a")
    full = sum(len(content or b"") for _, content in disk.crash_images(Random(0)).images[0].entries)
    line = 180  # a little longer than what is appended
    for room in range(0, line, ROOM_STEP):
        roomy, known = disk.after_a_kill(), told.at_this_moment()
        roomy.capacity_bytes = full + room
        async with open_store(roomy, describe) as store:
            log = await store.open_log("a")
            with pytest.raises(StorageDegraded):
                await log.append([batch("refused", *range(line // 20))])
            assert [event async for event in log.events()] == [FIRST]
            for image in roomy.crash_images(Random(room), 10).images:
                await check_full(roomy.booted(image), known)
            roomy.capacity_bytes = None
            await trio.sleep(60)  # longer than any pause between two tries
            await append(store, known, "a", (batch("taken", 1),))
            await log.close()
        known.check((await recover(roomy.crash())).events)
    tally.add("full disks", len(range(0, line, ROOM_STEP)))


async def check_full(disk: SimDisk, told: Told) -> None:
    """A torn end cannot be kept aside then, so it is not cut; the log is read, and recovers once there is room."""
    before = disk.read(LOG, 0, 10_000)
    async with open_store(disk, describe) as store:
        try:
            await (await store.open_log("a")).close()
        except StorageDegraded:
            assert disk.read(LOG, 0, 10_000) == before
        view = await store.view("a")
        told.check({"a": [event async for event in view.events()]})
    disk.capacity_bytes = None
    told.check((await recover(disk)).events)
