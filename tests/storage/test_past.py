"""What the end of one process means to the next: K9, K15, K32."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from storage.catalogue import Entry
from storage.committer import Durability
from storage.disk import Held
from storage.layout import LOCK
from storage.memory_disk import MemoryDisk
from storage.store import open_store
from tests.fakes.faulty_disk import FaultyDisk
from tests.fakes.reading_disk import ReadingDisk

FIRST = b'{"kind":"created"}'

LOG = "conversations/{}/events.jsonl"


def entry(conversation_id: str) -> Entry:
    return Entry(conversation_id, "2026-01-01T00:00:00Z")


def describe(conversation_id: str, _: bytes) -> Entry:
    return entry(conversation_id)


class Machine(ReadingDisk):
    """Its memory is lost when the test says so."""

    boots = 1

    def boot_id(self) -> str:
        return str(self.boots)


class Killed(Exception):
    pass


@contextmanager
def is_killed() -> Iterator[None]:
    """The process ends within the block, before the store can."""
    with pytest.raises(ExceptionGroup) as caught:
        yield
    assert caught.group_contains(Killed)


async def live(disk: MemoryDisk, durability: Durability = Durability.SYNC, *, dies: bool = False) -> int:
    async with open_store(disk, describe, durability) as store:
        if dies:
            raise Killed
        return store.power_cuts


@pytest.mark.parametrize("durability", Durability)
@pytest.mark.parametrize("dies", [False, True])
@pytest.mark.parametrize("reboots", [False, True])
async def test_k09_k32_a_power_cut_in_mode_async_alone_makes_every_stream_another_one(
    durability: Durability, *, dies: bool, reboots: bool
) -> None:
    disk = Machine()
    if dies:
        with is_killed():
            await live(disk, durability, dies=True)
    else:
        await live(disk, durability)
    disk.boots += reboots
    expected = int(dies and reboots and durability is Durability.ASYNC)
    for _ in range(2):
        assert await live(disk) == expected


async def test_k09_each_power_cut_counts() -> None:
    disk = Machine()
    for _ in range(3):
        with is_killed():
            await live(disk, Durability.ASYNC, dies=True)
        disk.boots += 1
    assert await live(disk) == 3


@pytest.mark.parametrize("note", ["123", "{", '{"pid":1}', '{"boot":7,"durability":"async"}'])
async def test_k09_a_note_that_nobody_understands_may_mean_anything(note: str) -> None:
    disk = MemoryDisk()
    with disk.lock(LOCK) as held:
        held.note(note)
    assert await live(disk) == 1


async def test_k09_a_start_that_fails_leaves_the_note_to_the_next_one() -> None:
    disk = Machine()
    with is_killed():
        await live(disk, Durability.ASYNC, dies=True)
    disk.boots += 1
    good = disk.read("format.json", 0, 99)
    disk.replace("format.json", b"{}")
    with pytest.raises(Exception, match="format"):
        await live(disk)
    disk.replace("format.json", good)
    assert await live(disk) == 1


async def test_k15_what_a_killed_process_left_is_looked_at_in_the_media_however_many_processes_later() -> None:
    disk = Machine()
    async with open_store(disk, describe) as store:
        for name in "ab":
            await store.create(entry(name), [FIRST])
    with is_killed():
        await live(disk, dies=True)
    disk.forgotten.clear()
    async with open_store(disk, describe) as store:
        for _ in range(2):
            await (await store.open_log("a")).close()
    assert disk.forgotten == [LOG.format("a")]
    async with open_store(disk, describe) as store:
        await store.view("a")
        await store.view("b")
        await store.open_log("b")
    assert disk.forgotten == [LOG.format("a")] * 2 + [LOG.format("b")]
    async with open_store(disk, describe) as store:
        await store.view("a")
        await store.view("b")
    assert len(disk.forgotten) == 3


async def test_k15_a_process_with_a_failed_sync_does_not_end_in_peace() -> None:
    disk = FaultyDisk()
    async with open_store(disk, describe) as store:
        await store.create(entry("a"), [FIRST])
        log = await store.open_log("a")
        disk.faults.syncs.add(LOG.format("a"))
        with pytest.raises(Exception, match="sync failed"):
            await log.append([[b"{}"]])
    assert _left(disk)
    disk.faults.syncs.clear()
    async with open_store(disk, describe) as store:
        log = await store.open_log("a")
        await log.append([[b"{}"]])
    assert not _left(disk)


def _left(disk: MemoryDisk) -> str:
    held: Held
    with disk.lock(LOCK) as held:
        return held.left
