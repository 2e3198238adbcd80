"""Opening from the snapshot (K18, P6), and what is made of a log that does not fit it (K16)."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from errno import ENOSPC

import orjson
import pytest

from storage.committer import Committer
from storage.disk import Disk
from storage.distrust import FAILED_SYNCS_MAX, Distrust
from storage.errors import CorruptLog, OutcomeUnknown, StorageFailing
from storage.event_log import EventLog, LogView, Repair
from storage.memory_disk import MemoryDisk
from storage.record import encode_batch
from tests.fakes.faulty_disk import FaultyDisk
from tests.fakes.reading_disk import ReadingDisk
from tests.fakes.sim_disk import Operation, SimDisk
from tests.storage.committers import running_committer

LOG, INDEX, STATE = "c/events.jsonl", "c/events.index", "c/state.json"


def event(number: int) -> bytes:
    return orjson.dumps({"n": number})


@asynccontextmanager
async def opened(disk: Disk) -> AsyncIterator[EventLog]:
    async with running_committer(disk) as committer:
        log = await EventLog.open(disk, LOG, committer, "quarantine")
        yield log
        await log.close()


async def append(log: EventLog, count: int) -> None:
    for number in range(log.next_id, log.next_id + count):
        await log.append([[event(number)]])


async def write(disk: Disk, before: int, after: int) -> None:
    """So many events, a snapshot, and so many more."""
    disk.make_folder("c")
    disk.replace(LOG, b"")
    async with opened(disk) as log:
        await append(log, before)
        await log.save_snapshot({"at": before - 1})
        await append(log, after)


def content(disk: Disk, path: str = LOG) -> bytes:
    return disk.read(path, 0, disk.size(path))


def lines(disk: Disk) -> list[bytes]:
    return content(disk).splitlines(keepends=True)


def flip(disk: Disk, event_id: int) -> None:
    """One bit of the number that the event holds."""
    found = lines(disk)
    disk.replace(LOG, b"".join([*found[:event_id], found[event_id].replace(b'"n":', b'"o":'), *found[event_id + 1 :]]))


# --- from the snapshot -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("history", [1, 31, 32, 33, 64, 500])
@pytest.mark.parametrize("after", [0, 1, 40])
async def test_p06_opening_reads_the_snapshots_record_and_what_follows_and_nothing_before(
    history: int, after: int
) -> None:
    disk = ReadingDisk()
    await write(disk, history, after)
    disk.reads.clear()
    view = await LogView.open(disk, LOG)
    async with opened(disk) as log:
        assert log.snapshot == view.snapshot
        assert log.snapshot is not None
        assert (log.snapshot.position, log.snapshot.document) == (history - 1, {"at": history - 1})
        assert (log.next_id, view.next_id, log.repair) == (history + after, history + after, None)
        assert min(start for path, start, _ in disk.reads if path == LOG) == log.snapshot.anchor.start  # type: ignore[union-attr]
        assert log.epoch == 2
        assert [found async for found in view.events()] == [event(number) for number in range(history + after)]
        await append(log, 70)
        assert [found async for found in log.events()] == [event(number) for number in range(history + after + 70)]


async def test_k18_a_log_whose_snapshot_is_the_last_of_several_reads_the_same_at_every_depth() -> None:
    disk = MemoryDisk()
    disk.make_folder("c")
    disk.replace(LOG, b"")
    async with running_committer(disk) as committer:
        for count in (40, 1, 30, 100, 7):
            log = await EventLog.open(disk, LOG, committer, "quarantine")
            await append(log, count)
            await log.save_snapshot(None)
            await append(log, 3)
        for reader in (log, await EventLog.open(disk, LOG, committer, "quarantine"), await LogView.open(disk, LOG)):
            for start in range(reader.next_id):
                assert await reader.read(start, start + 2) == [
                    event(number) for number in range(start, min(start + 2, reader.next_id))
                ]


@pytest.mark.parametrize("damage", [b"", b"{", b"null"])
async def test_k18_without_a_snapshot_every_byte_is_verified(damage: bytes) -> None:
    disk = ReadingDisk()
    await write(disk, 100, 5)
    disk.replace(STATE, damage)
    disk.reads.clear()
    view = await LogView.open(disk, LOG)
    assert (view.snapshot, view.next_id) == (None, 105)
    assert disk.bytes_read(LOG) >= disk.size(LOG)


async def test_k18_a_snapshot_of_another_log_is_not_believed() -> None:
    disk, other = MemoryDisk(), MemoryDisk()
    await write(disk, 10, 0)
    other.make_folder("c")
    other.replace(LOG, b"".join(encode_batch(0, 1, [b'{"m":%d}' % number for number in range(10)])))
    other.replace(STATE, content(disk, STATE))
    view = await LogView.open(other, LOG)
    assert (view.snapshot, view.next_id) == (None, 10)


async def test_k10_a_snapshot_in_the_middle_of_a_batch_is_not_believed() -> None:
    disk = MemoryDisk()
    await write(disk, 3, 0)
    anchor = (await LogView.open(disk, LOG)).snapshot
    assert anchor is not None
    disk.replace(LOG, b"".join([*lines(disk)[:2], *encode_batch(2, 1, [event(2), event(3)])]))
    assert (await LogView.open(disk, LOG)).snapshot is None


# --- the end -----------------------------------------------------------------------------------------------------


async def test_k16_k17_an_end_torn_at_any_byte_behind_the_snapshot_is_cut_and_is_no_acknowledged_loss() -> None:
    disk = MemoryDisk()
    await write(disk, 40, 2)
    whole, good = content(disk), len(b"".join(lines(disk)[:41]))
    for length in range(good + 1, len(whole)):
        disk.replace(LOG, whole[:length])
        async with opened(disk) as log:
            kept = log.repair and log.repair.quarantine
            assert log.repair == Repair(41, length - good, kept, acknowledged_loss=False)  # type: ignore[arg-type]
            assert content(disk, kept or "") == whole[good:length]
            assert content(disk) == whole[:good]
            assert log.snapshot is not None
            await append(log, 1)
        assert (await LogView.open(disk, LOG)).next_id == 42


async def test_k16_a_log_cut_anywhere_below_its_snapshot_is_acknowledged_loss() -> None:
    disk = MemoryDisk()
    await write(disk, 12, 2)
    whole, state = content(disk), content(disk, STATE)
    for length in range(len(b"".join(lines(disk)[:12]))):
        disk.replace(LOG, whole[:length])
        disk.replace(STATE, state)
        async with opened(disk) as log:
            left = whole[:length].count(b"\n")
            assert log.repair is not None
            assert (log.repair.first_lost_id, log.repair.acknowledged_loss, log.snapshot) == (left, True, None)
            assert log.repair.bytes_cut == length - len(b"".join(whole.splitlines(keepends=True)[:left]))
            assert (log.repair.quarantine == "") == (log.repair.bytes_cut == 0)
            assert log.epoch == 2  # above all that was ever used, though nothing in the log may say so


async def test_k16_a_loss_is_told_at_every_opening_until_a_new_snapshot_says_that_it_was_written_down() -> None:
    disk = MemoryDisk()
    await write(disk, 12, 2)
    disk.replace(LOG, b"".join(lines(disk)[:5]))
    async with opened(disk) as log:
        await append(log, 20)
    async with opened(disk) as log:
        assert log.repair == Repair(25, 0, "", acknowledged_loss=True)
        await log.save_snapshot(None)
    async with opened(disk) as log:
        assert log.repair is None
        assert [found async for found in log.events()] == [event(number) for number in range(25)]


# --- a bad middle ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [40, 41, 44])
async def test_k16_a_bad_record_behind_the_snapshot_is_found_at_the_opening(place: int) -> None:
    disk = MemoryDisk()
    await write(disk, 40, 6)
    flip(disk, place)
    before = content(disk)
    with pytest.raises(CorruptLog) as caught:
        await EventLog.open(disk, LOG, Committer(disk), "quarantine")
    assert (caught.value.event_id, caught.value.offset) == (place, len(b"".join(lines(disk)[:place])))
    view = await LogView.open(disk, LOG)
    assert view.damage is not None
    assert (view.damage.event_id, view.next_id) == (place, place)
    assert content(disk) == before


@pytest.mark.parametrize("place", [0, 5, 31, 32, 38])
async def test_k16_damage_before_the_snapshot_is_met_by_who_reads_there_and_no_snapshot_hides_it_afterwards(
    place: int,
) -> None:
    disk = MemoryDisk()
    await write(disk, 40, 6)
    flip(disk, place)
    before = content(disk)
    async with opened(disk) as log:
        assert log.next_id == 46
        if place:
            assert (await log.read(0, 46))[-1] == event(place - 1)
        with pytest.raises(CorruptLog) as caught:
            await log.read(place, 46)
        assert (caught.value.event_id, caught.value.offset) == (place, len(b"".join(lines(disk)[:place])))
        with pytest.raises(CorruptLog):
            await log.append([[event(46)]])
        await log.save_snapshot("it was hot, and would save itself")
        with pytest.raises(CorruptLog):
            await EventLog.open(disk, LOG, Committer(disk), "quarantine")  # another process, another committer
    view = await LogView.open(disk, LOG)
    assert view.damage is not None
    assert [found async for found in view.events()] == [event(number) for number in range(place)]
    assert content(disk) == before


async def test_k16_damage_at_the_end_of_what_was_acknowledged_is_no_ordinary_torn_tail() -> None:
    disk = MemoryDisk()
    await write(disk, 40, 0)
    async with running_committer(disk) as committer:
        log = await EventLog.open(disk, LOG, committer, "quarantine")
        flip(disk, 39)
        with pytest.raises(CorruptLog):
            await log.read(39, 40)
        for again in (committer, Committer(disk)):
            state = content(disk, STATE)
            found = await EventLog.open(disk, LOG, again, "quarantine")
            assert found.repair is not None
            assert (found.repair.first_lost_id, found.repair.acknowledged_loss) == (39, True)
            disk.replace(STATE, state)


async def test_k16_a_view_that_meets_damage_makes_the_next_opening_find_it() -> None:
    disk = MemoryDisk()
    await write(disk, 40, 6)
    flip(disk, 3)
    view = await LogView.open(disk, LOG)
    with pytest.raises(CorruptLog):
        [found async for found in view.events()]
    with pytest.raises(CorruptLog):
        await EventLog.open(disk, LOG, Committer(disk), "quarantine")


# --- the index ---------------------------------------------------------------------------------------------------


def _absent(disk: MemoryDisk) -> None:
    disk.remove_tree(INDEX)


def _shortened(disk: MemoryDisk) -> None:
    disk.replace(INDEX, content(disk, INDEX)[:-3])


def _zeroed(disk: MemoryDisk) -> None:
    disk.replace(INDEX, bytes(disk.size(INDEX)))


def _shifted(disk: MemoryDisk) -> None:
    disk.replace(INDEX, content(disk, INDEX)[8:] + bytes(8))


def _nonsense(disk: MemoryDisk) -> None:
    disk.replace(INDEX, b"\xff" * disk.size(INDEX))


@pytest.mark.parametrize("harm", [_absent, _shortened, _zeroed, _shifted, _nonsense])
async def test_k18_an_index_that_is_wrong_is_made_anew_and_reads_the_same(harm: Callable[[MemoryDisk], None]) -> None:
    disk = ReadingDisk()
    await write(disk, 300, 5)
    right = content(disk, INDEX)
    assert len(right) == 8 * 10
    harm(disk)
    for make in (LogView.open(disk, LOG), EventLog.open(disk, LOG, Committer(disk), "quarantine")):
        reader = await make
        for start in (0, 31, 32, 288, 299, 300, 304):
            assert await reader.read(start, start + 1) == [event(start)]
        assert content(disk, INDEX) == right
        harm(disk)


@pytest.mark.parametrize("harm", [_absent, _shortened, _zeroed, _shifted, _nonsense])
async def test_k18_an_index_that_is_wrong_is_not_made_worse_by_the_next_snapshot(
    harm: Callable[[MemoryDisk], None],
) -> None:
    disk = MemoryDisk()
    await write(disk, 300, 5)
    harm(disk)
    async with opened(disk) as log:
        await append(log, 200)
        await log.save_snapshot(None)
    view = await LogView.open(disk, LOG)
    for start in range(0, 505, 7):
        assert await view.read(start, start + 1) == [event(start)]


async def test_k14_k18_an_index_that_is_wrong_and_cannot_be_made_anew_hides_nothing() -> None:
    disk = SimDisk()
    await write(disk, 300, 5)
    disk.remove_tree(INDEX)
    disk.fail(Operation.CREATE, times=None, code=ENOSPC)
    view = await LogView.open(disk, LOG)
    for start in (0, 31, 32, 288, 299, 300, 304):
        assert await view.read(start, start + 1) == [event(start)]
    assert view.damage is None


async def test_an_index_longer_than_its_snapshot_is_cut_back_to_it() -> None:
    disk = MemoryDisk()
    await write(disk, 300, 5)
    disk.replace(INDEX, content(disk, INDEX) + b"\xff" * 24)
    async with opened(disk) as log:
        await append(log, 40)
        await log.save_snapshot(None)
    offsets = [len(b"".join(lines(disk)[:number])) for number in range(0, 345, 32)]
    assert content(disk, INDEX) == b"".join(offset.to_bytes(8, "little") for offset in offsets)


async def test_p09_any_page_is_one_seek_and_needs_no_index_in_memory() -> None:
    disk = ReadingDisk()
    await write(disk, 20_000, 5)
    view = await LogView.open(disk, LOG)
    for start in (0, 10_007, 19_990):
        disk.reads.clear()
        assert await view.read(start, start + 20) == [event(number) for number in range(start, min(start + 20, 20_005))]
        assert disk.bytes_read(LOG) <= 64 * 1024 + 20 * 100
        assert disk.bytes_read(INDEX) <= 8


async def test_a_hot_log_keeps_only_the_index_since_its_snapshot() -> None:
    disk = MemoryDisk()
    disk.make_folder("c")
    disk.replace(LOG, b"")
    async with opened(disk) as log:
        for _ in range(5):
            await append(log, 320)
            await log.save_snapshot(None)
            assert len(log._index._known.offsets) == 0
        assert disk.size(INDEX) == 8 * 50


# --- bytes that may be on no disk --------------------------------------------------------------------------------


async def test_k15_after_a_process_that_did_not_end_in_peace_each_log_is_looked_at_once_in_what_the_media_have() -> (
    None
):
    disk = ReadingDisk()
    await write(disk, 10, 0)
    distrust = Distrust(inherited=True)
    async with running_committer(disk, distrust=distrust) as committer:
        disk.reads.clear()
        await LogView.open(disk, LOG, distrust)
        assert disk.forgotten == [LOG]
        await EventLog.open(disk, LOG, committer, "quarantine")
        assert disk.forgotten == [LOG]
    await LogView.open(disk, LOG, Distrust())
    assert disk.forgotten == [LOG]


class CannotForget(MemoryDisk):
    def forget_cached(self, path: str) -> None:
        raise OSError(5, "cannot sync", path)


async def test_k15_what_a_killed_process_wrote_and_cannot_be_synced_is_not_shown() -> None:
    disk = CannotForget()
    await write(disk, 10, 0)
    for _ in range(2):
        with pytest.raises(OutcomeUnknown):
            await LogView.open(disk, LOG, Distrust(inherited=True))


async def test_k08_k15_what_an_unknown_outcome_left_behind_is_shown_only_from_the_fresh_file() -> None:
    disk = FaultyDisk()
    await write(disk, 10, 0)
    async with running_committer(disk) as committer:
        log = await EventLog.open(disk, LOG, committer, "quarantine")
        disk.faults.syncs.add(LOG)
        with pytest.raises(OutcomeUnknown):
            await log.append([[event(10)]])
        assert (await LogView.open(disk, LOG, committer.distrust)).next_id == 10
        again = await EventLog.open(disk, LOG, committer, "quarantine")
        assert disk.replaced[-1] == LOG
        assert (again.next_id, again.epoch, again.repair) == (11, log.epoch + 1, None)
        assert (await LogView.open(disk, LOG, committer.distrust)).next_id == 11


async def test_k15_three_failed_syncs_in_a_row_are_enough_and_then_each_new_try_has_one() -> None:
    disk = FaultyDisk()
    await write(disk, 10, 0)
    async with running_committer(disk) as committer:

        async def fails() -> None:
            log = await EventLog.open(disk, LOG, committer, "quarantine")
            with pytest.raises(OutcomeUnknown):
                await log.append([[event(log.next_id)]])

        disk.faults.syncs.add(LOG)
        for _ in range(FAILED_SYNCS_MAX):
            await fails()
        for _ in range(2):
            with pytest.raises(StorageFailing):
                await EventLog.open(disk, LOG, committer, "quarantine")
            await fails()
        disk.faults.syncs.clear()
        with pytest.raises(StorageFailing):
            await EventLog.open(disk, LOG, committer, "quarantine")
        log = await EventLog.open(disk, LOG, committer, "quarantine")
        await append(log, 1)
        disk.faults.syncs.add(LOG)
        for _ in range(FAILED_SYNCS_MAX):
            await fails()
        with pytest.raises(StorageFailing):
            await EventLog.open(disk, LOG, committer, "quarantine")
