"""However many files are written to, few have a descriptor, and none is ever mistaken for another one."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from storage.committer import Committer
from storage.descriptors import Descriptors, LocalAppendFile
from storage.event_log import EventLog
from storage.local_disk import LocalDisk
from tests.storage.committers import running_committer

BOUND = 3


def descriptors_of(folder: Path) -> int:
    """How many this process has on files there."""
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return sum(str(link.readlink()).startswith(str(folder)) for link in links)


pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux shows a process its descriptors")


def test_files_that_are_synced_share_few_descriptors(tmp_path: Path) -> None:
    disk = LocalDisk(tmp_path, open_files_max=BOUND)
    files = [disk.open_append(f"f{number}") for number in range(20)]
    for turn in range(3):
        for number, file in enumerate(files):
            file.write(b"%d.%d " % (turn, number))
            file.sync()
            assert descriptors_of(tmp_path) <= BOUND
    for number, file in enumerate(files):
        assert disk.read(f"f{number}", 0, 99) == b"".join(b"%d.%d " % (turn, number) for turn in range(3))
        assert file.size() == disk.size(f"f{number}")
        file.close()
    assert descriptors_of(tmp_path) == 0


def test_k15_a_file_with_unsynced_bytes_keeps_the_descriptor_that_would_be_told_of_their_loss(tmp_path: Path) -> None:
    disk = LocalDisk(tmp_path, open_files_max=BOUND)
    dirty = [disk.open_append(f"dirty{number}") for number in range(2 * BOUND)]
    before = []
    for file in dirty:
        file.write(b"x")
        before.append(file._slot.fd)
    for number in range(20):
        clean = disk.open_append(f"clean{number}")
        clean.write(b"y")
        clean.sync()
    assert [file._slot.fd for file in dirty] == before
    for file in dirty:
        file.sync()
    clean = disk.open_append("one more")
    assert descriptors_of(tmp_path) <= BOUND


def test_k15_bytes_written_during_a_sync_are_not_synced_by_it(tmp_path: Path) -> None:
    disk = LocalDisk(tmp_path, open_files_max=1)
    file = disk.open_append("f")
    file.write(b"x")
    kept = file.begin_sync()
    file.write(b"y")
    file.end_sync(None)
    others = [disk.open_append("another")]
    assert file._slot.fd == kept
    file.sync()
    others.append(disk.open_append("a third"))
    assert descriptors_of(tmp_path) == 1


def test_a_file_that_gave_up_its_descriptor_is_opened_again_only_if_it_is_the_same_one(tmp_path: Path) -> None:
    disk = LocalDisk(tmp_path, open_files_max=1)
    replaced, gone, moved = (disk.open_append(name) for name in ("replaced", "gone", "moved"))
    another = disk.open_append("another")
    disk.replace("replaced", b"new")
    disk.remove_tree("gone")
    disk.rename("moved", "elsewhere")
    with pytest.raises(OSError, match="Stale"):
        replaced.write(b"old")
    for file in (gone, moved):
        with pytest.raises(FileNotFoundError):
            file.write(b"old")
    assert disk.read("replaced", 0, 9) == b"new"
    another.write(b"fine")
    assert disk.list_folder("") == ["another", "elsewhere", "replaced"]


def test_k15_after_a_failed_sync_the_file_takes_nothing_more(tmp_path: Path) -> None:
    file = LocalAppendFile(tmp_path / "f", Descriptors(9))
    file.write(b"x")
    file.end_sync(OSError(5, "told by whoever synced it"))
    for use in (lambda: file.write(b"y"), file.sync, file.size, lambda: file.truncate(0)):
        with pytest.raises(OSError, match="Bad file descriptor"):
            use()
    assert descriptors_of(tmp_path) == 0


def test_a_file_that_nobody_holds_any_more_gives_its_descriptor_back(tmp_path: Path) -> None:
    disk = LocalDisk(tmp_path)
    file = disk.open_append("f")
    file.write(b"x")
    assert descriptors_of(tmp_path) == 1
    del file
    assert descriptors_of(tmp_path) == 0


@pytest.mark.wallclock
def test_threads_that_write_to_many_files_through_few_descriptors_mix_nothing_up(tmp_path: Path) -> None:
    disk = LocalDisk(tmp_path, open_files_max=2)

    def work(name: str) -> None:
        files = [disk.open_append(f"{name}{number}") for number in range(4)]
        for _ in range(50):
            for file in files:
                file.write(name.encode())
                file.sync()

    workers = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for name in disk.list_folder(""):
        assert disk.read(name, 0, 999) == name[0].encode() * 50


async def test_logs_of_many_conversations_are_appended_to_through_few_descriptors(tmp_path: Path) -> None:
    disk = LocalDisk(tmp_path, open_files_max=BOUND)
    async with running_committer(disk) as committer:
        logs = [await _open(disk, committer, f"c{number}") for number in range(50)]
        assert descriptors_of(tmp_path) <= BOUND
        for turn in range(3):
            for log in logs:
                await log.append([[b'{"turn":%d}' % turn]])
        assert descriptors_of(tmp_path) <= BOUND
        for log in logs:
            assert [event async for event in log.events()] == [b'{"turn":0}', b'{"turn":1}', b'{"turn":2}']
            await log.close()
    assert descriptors_of(tmp_path) == 0


async def _open(disk: LocalDisk, committer: Committer, name: str) -> EventLog:
    disk.make_folder(name)
    disk.replace(f"{name}/events.jsonl", b"")
    return await EventLog.open(disk, f"{name}/events.jsonl", committer, "quarantine")


def test_k15_no_descriptor_is_closed_while_somebody_writes_to_it(tmp_path: Path) -> None:
    """Its number may be another file's the moment after, and the bytes would land there."""
    file = LocalAppendFile(tmp_path / "a", Descriptors(10))
    with ThreadPoolExecutor(1) as pool:
        with file._writing:
            closing = pool.submit(file.end_sync, OSError("the sync failed"))
            with pytest.raises(TimeoutError):
                closing.result(0.05)
            os.fstat(file._slot.fd)
        closing.result(5)
    with pytest.raises(OSError, match="Bad file descriptor"):
        file.write(b"stray")
