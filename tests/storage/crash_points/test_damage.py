"""Logs truncated at every byte and flipped at every byte: each damage is found and classified as K16 says.

A torn end is cut off and kept aside, and appending goes on; a bad middle is refused with nothing changed, and is
readable up to the damage. Nobody else notices either.
"""

from random import Random

import attrs
import pytest

from storage.errors import CorruptLog
from storage.store import Store, open_store
from tests.fakes.sim_disk import Image, SimDisk
from tests.storage.crash_points.conftest import Tally
from tests.storage.crash_points.points import check_lines, describe

LOG, SIBLING, STATE = (f"conversations/{path}" for path in ("a/events.jsonl", "b/events.jsonl", "a/state.json"))
BATCHES = tuple(tuple(b'{"batch":%d,"n":%d}' % (batch, number) for number in range(2)) for batch in range(4))
EVENTS = [event for batch in BATCHES for event in batch]
NEWLINE = ord("\n")


@attrs.frozen
class Whole:
    """A store with a log of four batches, each of two events, and a sibling; `ends` are those of the batches."""

    image: Image
    data: bytes
    ends: tuple[int, ...]

    def batch_of(self, offset: int) -> int:
        return sum(end <= offset for end in self.ends)

    def booted(self, data: bytes) -> SimDisk:
        return SimDisk(self.image.having(LOG, data))


async def make_whole() -> Whole:
    disk = SimDisk()
    ends = []
    async with open_store(disk, describe) as store:
        for name in "ab":
            await store.create(describe(name, b""), BATCHES[0])
        ends.append(disk.size(LOG))
        log = await store.open_log("a")
        for batch in BATCHES[1:]:
            await log.append([batch])
            ends.append(disk.size(LOG))
        await log.close()
    [image] = disk.crash_images(Random(0)).images
    return Whole(image, disk.read(LOG, 0, 10_000), tuple(ends))


async def check_cut(disk: SimDisk, whole: Whole, kept: int, rest: bytes) -> None:
    """The end is cut behind so many batches, kept aside, and appending goes on."""
    known = EVENTS[: 2 * kept]
    async with open_store(disk, describe) as store:
        log = await store.open_log("a")
        assert (log.next_id, [event async for event in log.events()]) == (len(known), known)
        assert log.repair is not None
        assert (log.repair.first_lost_id, log.repair.bytes_cut) == (len(known), len(rest))
        assert disk.read(log.repair.quarantine, 0, 10_000) == rest
        assert disk.read(LOG, 0, 10_000) == whole.data[: whole.ends[kept - 1]]
        await log.append([[b'{"on":1}']])
        await log.close()
        await check_siblings(store, disk, whole)
    after = disk.crash()
    async with open_store(after, describe) as store:
        log = await store.open_log("a")
        assert (log.repair, [event async for event in log.events()]) == (None, [*known, b'{"on":1}'])
        await log.close()
    check_lines(after, LOG, [*known, b'{"on":1}'])


async def check_refused(disk: SimDisk, whole: Whole, damaged: bytes, batch: int, offset: int) -> None:
    """It is opened for reading alone, up to the record with the damage."""
    first_bad = 2 * batch + whole.data[whole.ends[batch - 1] if batch else 0 : offset].count(b"\n")
    async with open_store(disk, describe) as store:
        for _ in range(2):
            with pytest.raises(CorruptLog) as caught:
                await store.open_log("a")
            assert caught.value.event_id == first_bad
            start = b"".join(whole.data.splitlines(keepends=True)[:first_bad])
            assert caught.value.offset == len(start)
        view = await store.view("a")
        assert view.damage is not None
        assert [event async for event in view.events()] == EVENTS[: 2 * batch]
        assert disk.read(LOG, 0, 10_000) == damaged
        assert disk.list_folder("quarantine") == []
        await check_siblings(store, disk, whole)
    assert disk.crash().read(LOG, 0, 10_000) == damaged


async def check_siblings(store: Store, disk: SimDisk, whole: Whole) -> None:
    """The other conversation is what it was, and is written to."""
    assert disk.read(SIBLING, 0, 10_000) == whole.image[SIBLING]
    log = await store.open_log("b")
    await log.append([[b'{"fine":1}']])
    assert [event async for event in log.events()] == [*BATCHES[0], b'{"fine":1}']
    await log.close()


async def test_k16_k17_a_log_truncated_at_any_byte_of_its_last_batches_is_cut_and_goes_on(tally: Tally) -> None:
    whole = await make_whole()
    lengths = [length for length in range(whole.ends[1] + 1, whole.ends[3]) if length not in whole.ends]
    for length in lengths:
        kept = whole.batch_of(length)
        data = whole.data[:length]
        await check_cut(whole.booted(data), whole, kept, data[whole.ends[kept - 1] :])
    tally.add("truncated logs", len(lengths))


def flips(byte: int) -> set[int]:
    """What the byte becomes: its lowest or highest bit flips, or it is a newline, or nothing."""
    return {byte ^ 0x01, byte ^ 0x80, NEWLINE, 0} - {byte}


async def test_k16_any_byte_flipped_is_found_and_a_bad_middle_is_never_touched(tally: Tally) -> None:
    whole = await make_whole()
    tried = 0
    for offset in range(len(whole.data)):
        batch = whole.batch_of(offset)
        if batch == 0 or (
            batch == 1 and offset % 7
        ):  # one batch in the middle is flipped everywhere, others here and there
            continue
        for value in sorted(flips(whole.data[offset])):
            tried += 1
            damaged = whole.data[:offset] + bytes([value]) + whole.data[offset + 1 :]
            disk = whole.booted(damaged)
            if batch == len(BATCHES) - 1:
                await check_cut(disk, whole, batch, damaged[whole.ends[batch - 1] :])
            else:
                await check_refused(disk, whole, damaged, batch, offset)
    tally.add("flipped bytes", tried)


async def test_k18_any_byte_of_a_snapshot_flipped_or_cut_off_changes_nothing_but_the_work(tally: Tally) -> None:
    disk = SimDisk()
    async with open_store(disk, describe) as store:
        await store.create(describe("a", b""), BATCHES[0])
        log = await store.open_log("a")
        await log.append([BATCHES[1]])
        await log.save_snapshot({"phase": "between"})
        await log.append([BATCHES[2]])
        await log.close()
    [image] = disk.crash_images(Random(0)).images
    state = disk.read(STATE, 0, 10_000)
    harmed = [state[:length] for length in range(len(state))]
    harmed += [
        state[:offset] + bytes([value]) + state[offset + 1 :]
        for offset in range(len(state))
        for value in sorted(flips(state[offset]))
    ]
    for data in harmed:
        async with open_store(SimDisk(image.having(STATE, data)), describe) as store:
            log = await store.open_log("a")
            assert [event async for event in log.events()] == EVENTS[:6]
            assert log.repair is None
            assert log.snapshot is None or log.snapshot.document == {"phase": "between"}
            await log.close()
    tally.add("damaged snapshots", len(harmed))
