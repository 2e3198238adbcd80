"""The data folder as a whole: K3, creation and deletion as a whole, what a start makes of what it finds."""

import sys
from functools import partial
from pathlib import Path
from random import Random
from subprocess import PIPE

import orjson
import pytest
import trio
import trio.testing

from storage.catalogue import Claim, Entry
from storage.disk import Disk
from storage.errors import (
    ConversationExists,
    ConversationNotFound,
    OutcomeUnknown,
    StorageDegraded,
    StoreLocked,
    UnknownFormat,
)
from storage.local_disk import LocalDisk
from storage.memory_disk import MemoryDisk
from storage.record import encode_batch
from storage.store import open_store
from tests.fakes.sim_disk import CHANGES, Operation, SimDisk, Step

FIRST = b'{"kind":"created"}'


def describe(conversation_id: str, first_event: bytes) -> Entry | None:
    return Entry(conversation_id, "2026-01-01T00:00:00Z", {"known": "yes"}) if first_event == FIRST else None


def entry(conversation_id: str) -> Entry:
    return Entry(conversation_id, "2026-01-01T00:00:00Z")


async def listed(disk: Disk) -> list[str]:
    async with open_store(disk, describe) as store:
        return [found.conversation_id for found in store.catalogue.page(100)[0]]


async def test_what_is_created_is_there_after_a_restart(tmp_path: Path) -> None:
    async with open_store(LocalDisk(tmp_path), describe) as store:
        await store.create(entry("a"), [FIRST, b'{"n":1}'])
        log = await store.open_log("a")
        await log.append([[b'{"n":2}']])
        await log.save_snapshot({"s": 1})
        folder = store.workspace("a")
        assert folder is not None
        assert folder.is_dir()
    async with open_store(LocalDisk(tmp_path), describe) as store:
        [found] = store.catalogue.page(10)[0]
        assert (found.conversation_id, found.attributes) == ("a", {"known": "yes"})
        view = await store.view("a")
        assert await view.read(0, 9) == [FIRST, b'{"n":1}', b'{"n":2}']
        assert view.snapshot is not None
        assert (view.snapshot.position, view.snapshot.document) == (2, {"s": 1})
        with pytest.raises(ConversationExists):
            await store.create(entry("a"), [FIRST])
    for line in (tmp_path / "conversations/a/events.jsonl").read_bytes().splitlines():
        assert list(orjson.loads(line)) == ["id", "epoch", "batch", "crc", "event"]


async def steps_of_a_creation() -> list[Step]:
    disk = SimDisk()
    async with open_store(disk, describe) as store:
        before = len(disk.steps)
        await store.create(entry("a"), [FIRST])
        return [step for step in disk.steps[before:] if step.operation in CHANGES]


async def test_a_creation_that_fails_at_any_step_for_good_is_not_there() -> None:
    """The disk fails from that step on: when even the undoing failed, the answer says that nobody knows."""
    steps = await steps_of_a_creation()
    for place in range(len(steps)):
        disk = SimDisk()
        async with open_store(disk, describe) as store:
            disk.fail(nth=place + 1, times=None)
            with pytest.raises((OutcomeUnknown, StorageDegraded)) as caught:
                await store.create(entry("a"), [FIRST])
            assert not store.exists("a")
            disk.heal()
        last = place == len(steps) - 1
        assert isinstance(caught.value, OutcomeUnknown) == (place > 0)
        assert await listed(disk) == (["a"] if last else [])
        assert disk.list_folder("conversations") == (["a"] if last else [])


async def test_k14_a_creation_that_fails_at_any_step_once_is_undone_for_good_and_can_be_repeated() -> None:
    for place, step in enumerate(await steps_of_a_creation()):
        disk = SimDisk()
        async with open_store(disk, describe) as store:
            disk.fail(nth=place + 1, keep_bytes=20)
            with pytest.raises(StorageDegraded):
                await store.create(entry("a"), [FIRST])
            assert disk.list_folder("conversations") == []
            assert not store.exists("a")
            for image in disk.crash_images(Random(place)).images:
                assert await listed(disk.booted(image)) == [], step
            await store.create(entry("a"), [FIRST])
            assert await (await store.view("a")).read(0, 9) == [FIRST]
        assert await listed(disk.crash()) == ["a"]


async def test_k11_what_an_unknown_creation_left_is_gone_before_anything_is_made_beside_it() -> None:
    for place in range(1, len(await steps_of_a_creation())):
        disk = SimDisk()
        async with open_store(disk, describe) as store:
            disk.fail(nth=place + 1, times=None)
            with pytest.raises(OutcomeUnknown):
                await store.create(entry("a"), [FIRST])
            with pytest.raises(StorageDegraded, match="left"):
                await store.create(entry("b"), [FIRST])
            disk.heal()
            await store.create(entry("b"), [FIRST])
            assert disk.list_folder("conversations") == ["b"]
        assert await listed(disk.crash()) == ["b"]


async def test_k11_at_start_claims_are_taken_in_the_order_of_their_age() -> None:
    ages = {"a": "2026-01-03", "b": "2026-01-02", "c": "2026-01-01"}

    def describe_claims(conversation_id: str, _: bytes) -> Entry:
        return Entry(conversation_id, ages[conversation_id], claim=Claim("one key for all", "d"))

    disk = MemoryDisk()
    async with open_store(disk, describe_claims) as store:
        for name in ages:
            await store.create(describe_claims(name, FIRST), [FIRST])
    async with open_store(disk, describe_claims) as store:
        found = store.catalogue.claimed("one key for all")
        assert found is not None
        assert found.conversation_id == "a"


async def test_a_half_made_rest_does_not_get_into_the_next_creation() -> None:
    disk = MemoryDisk()
    async with open_store(disk, describe) as store:
        disk.make_folder("conversations/.new-a")
        disk.replace("conversations/.new-a/events.jsonl", b"half")
        await store.create(entry("a"), [FIRST])
        view = await store.view("a")
        assert (view.next_id, view.damage) == (1, None)


@pytest.mark.parametrize("bad", ["", "..", "a/b", "a" * 101, "ä", ".new-a"])
async def test_ids_that_are_not_ids_never_reach_the_disk(bad: str) -> None:
    disk = MemoryDisk()
    async with open_store(disk, describe) as store:
        with pytest.raises(ConversationNotFound):
            await store.create(entry(bad), [FIRST])
        with pytest.raises(ConversationNotFound):
            await store.view(bad)
        assert disk.list_folder("conversations") == []


async def test_a_deleted_conversation_is_gone_at_once_and_its_bytes_soon() -> None:
    disk = MemoryDisk()
    async with open_store(disk, describe) as store:
        await store.create(entry("a"), [FIRST])
        await store.create(entry("b"), [FIRST])
        await store.delete("a")
        assert (store.exists("a"), store.exists("b")) == (False, True)
        with pytest.raises(ConversationNotFound):
            await store.view("a")
        with pytest.raises(ConversationNotFound):
            await store.delete("a")
        await trio.testing.wait_all_tasks_blocked()
        assert disk.list_folder("trash") == []
        await store.create(entry("a"), [FIRST])
    assert sorted(await listed(disk)) == ["a", "b"]


STEPS_OF_A_DELETION = 3
"""A rename, and the sync of both folders; what is removed after that is nobody's concern."""


@pytest.mark.parametrize("times", [1, None])
async def test_k14_a_deletion_that_fails_at_any_step_shows_nobody_half_a_conversation(times: int | None) -> None:
    for place in range(STEPS_OF_A_DELETION):
        disk = SimDisk()
        async with open_store(disk, describe) as store:
            await store.create(entry("a"), [FIRST])
            disk.fail(nth=place + 1, times=times)
            with pytest.raises(OutcomeUnknown if place else StorageDegraded):
                await store.delete("a")
            await trio.testing.wait_all_tasks_blocked()
            disk.heal()
            assert store.exists("a") == disk.exists("conversations/a") == (place == 0)
            for image in disk.crash_images(Random(place)).images:
                assert await events_by_name(disk.booted(image)) in ([{"a": [FIRST]}, {}][: place + 1])


async def events_by_name(disk: Disk) -> dict[str, list[bytes]]:
    async with open_store(disk, describe) as store:
        names = [found.conversation_id for found in store.catalogue.page(9)[0]]
        return {name: await (await store.view(name)).read(0, 9) for name in names}


async def test_bytes_that_cannot_be_removed_wait_for_the_next_start() -> None:
    disk = SimDisk()
    async with open_store(disk, describe) as store:
        await store.create(entry("a"), [FIRST])
        disk.fail(Operation.REMOVE, times=None)
        await store.delete("a")
        await trio.testing.wait_all_tasks_blocked()
        disk.heal()
        await store.create(entry("b"), [FIRST])
    assert len(disk.list_folder("trash")) == 1
    assert await listed(disk) == ["b"]
    assert disk.list_folder("trash") == []


async def test_a_store_that_closes_before_the_bytes_are_removed_removes_them_at_the_next_start(tmp_path: Path) -> None:
    async with open_store(LocalDisk(tmp_path), describe) as store:
        await store.create(entry("a"), [FIRST])
        await store.delete("a")
    assert await listed(LocalDisk(tmp_path)) == []
    assert list((tmp_path / "trash").iterdir()) == []


@pytest.mark.parametrize("data", [b"", b"garbage\n", encode_batch(0, 1, [FIRST])[0][:-9], *encode_batch(0, 1, [b"{}"])])
async def test_a_conversation_whose_first_record_is_damaged_or_strange_is_listed(data: bytes) -> None:
    disk = MemoryDisk()
    async with open_store(disk, describe) as store:
        await store.create(entry("a"), [FIRST])
        disk.replace("conversations/a/events.jsonl", data)
    async with open_store(disk, describe) as store:
        [found] = store.catalogue.page(9)[0]
        assert found.conversation_id == "a"
        assert found.created.endswith("Z")
        assert found.attributes == {}


async def test_a_long_first_record_is_read_whole() -> None:
    disk = MemoryDisk()
    long = b'{"text":"%s"}' % (b"x" * 100_000)
    async with open_store(disk, describe) as store:
        await store.create(entry("a"), [long])
    seen: list[bytes] = []
    async with open_store(disk, lambda _, event: seen.append(event)):
        assert seen == [long]


UNREADABLE = "the data folder has a format.json that says no format; this version reads format 1"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b'{"format":99}\n', "the data folder has format 99; this version reads format 1"),
        (b"", UNREADABLE),
        (b"garbage", UNREADABLE),
        (b'{"format":"b\'1\'"}', UNREADABLE),
        (b"[1]", UNREADABLE),
    ],
)
async def test_a_folder_of_another_format_is_refused_in_words_and_left_alone(data: bytes, told: str) -> None:
    disk = MemoryDisk()
    disk.replace("format.json", data)
    with pytest.raises(UnknownFormat) as refused:
        await listed(disk)
    assert str(refused.value) == told
    assert disk.list_folder("") == ["format.json"]
    disk.replace("format.json", b'{"format":1}')
    assert await listed(disk) == []


HOLDER = """
import sys, trio
from pathlib import Path
from storage.local_disk import LocalDisk
from storage.store import open_store
async def main():
    async with open_store(LocalDisk(Path(sys.argv[1])), lambda *_: None):
        print("held", flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)
trio.run(main)
"""


@pytest.mark.wallclock
async def test_k03_a_second_process_is_refused_until_the_first_is_killed(tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery:
        root = Path(__file__).parents[2]
        command = [sys.executable, "-c", HOLDER, str(tmp_path)]
        holder: trio.Process = await nursery.start(
            partial(trio.run_process, command, stdin=PIPE, stdout=PIPE, cwd=root, check=False)
        )
        with trio.fail_after(30):
            assert holder.stdout is not None
            told = b""
            while not told.endswith(b"\n"):  # a pipe may hand out less than was written
                told += await holder.stdout.receive_some(5)
            assert told == b"held\n"
            with pytest.raises(StoreLocked, match=str(holder.pid)):
                await listed(LocalDisk(tmp_path))
            holder.kill()
            await holder.wait()
        assert await listed(LocalDisk(tmp_path)) == []
