"""What every disk promises, for the real one and the one in memory alike."""

from pathlib import Path

import pytest

from bench.baseline import filesystem_of
from storage.disk import Disk
from storage.errors import StoreLocked
from storage.local_disk import LocalDisk
from storage.memory_disk import MemoryDisk


@pytest.fixture(params=["local", "memory"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Disk:
    return LocalDisk(tmp_path / "data") if request.param == "local" else MemoryDisk()


def test_an_appended_file_grows_at_its_end_also_after_a_cut(disk: Disk) -> None:
    file = disk.open_append("log")
    file.write(b"one")
    file.write(b"two")
    file.truncate(4)
    file.write(b"!")
    file.sync()
    assert (file.size(), disk.size("log"), disk.read("log", 0, 99)) == (5, 5, b"onet!")
    file.close()
    again = disk.open_append("log")
    again.write(b"+")
    assert disk.read("log", 3, 6) == b"t!+"
    assert disk.read("log", 6, 9) == b""
    again.close()


def test_a_replaced_file_is_the_new_one_and_leaves_nothing_beside_it(disk: Disk) -> None:
    disk.make_folder("a/b")
    disk.replace("a/b/state", b"old and long")
    disk.replace("a/b/state", b"new")
    assert disk.read("a/b/state", 0, 99) == b"new"
    assert disk.list_folder("a/b") == ["state"]
    assert disk.modified_at("a/b/state") > 0


def test_folders_move_with_all_below_them(disk: Disk) -> None:
    disk.make_folder("a/x/deep")
    disk.make_folder("a/x/deep")
    disk.make_folder("ax")
    disk.replace("a/x/deep/file", b"1")
    disk.rename("a/x", "a/y")
    disk.sync_folder("a")
    assert disk.read("a/y/deep/file", 0, 9) == b"1"
    assert not disk.exists("a/x")
    assert disk.exists("ax")
    assert disk.list_folder("a") == ["y"]


def test_removing_takes_all_below_and_is_fine_when_nothing_is_there(disk: Disk) -> None:
    disk.make_folder("a/x")
    disk.make_folder("a/xy")
    disk.replace("a/x/file", b"1")
    disk.remove_tree("a/x")
    disk.remove_tree("a/x")
    assert disk.list_folder("a") == ["xy"]


def test_what_is_not_there_is_an_os_error(disk: Disk) -> None:
    with pytest.raises(FileNotFoundError):
        disk.read("none", 0, 1)
    with pytest.raises(FileNotFoundError):
        disk.size("none")
    with pytest.raises(FileNotFoundError):
        disk.modified_at("none")
    with pytest.raises(FileNotFoundError):
        disk.list_folder("none")
    with pytest.raises(FileNotFoundError):
        disk.rename("none", "other")
    with pytest.raises(FileNotFoundError):
        disk.open_append("none/file")
    with pytest.raises(FileNotFoundError):
        disk.sync_folder("none")


def test_k03_a_lock_is_exclusive_and_ends_with_its_block(disk: Disk) -> None:
    with disk.lock("lock"), pytest.raises(StoreLocked), disk.lock("lock"):
        pass
    with disk.lock("lock"):
        pass


def test_k15_a_lock_keeps_the_note_of_a_holder_that_did_not_take_it_back(disk: Disk) -> None:
    with disk.lock("lock") as held:
        assert held.left == ""
        held.note("first")
        held.note("")
    with disk.lock("lock") as held:
        assert held.left == ""
        held.note("second")
    with disk.lock("lock") as held:
        assert held.left == "second"
    with disk.lock("lock") as held:
        assert held.left == "second"


def test_k15_what_is_read_after_the_cache_was_forgotten_is_what_was_written(disk: Disk) -> None:
    file = disk.open_append("log")
    file.write(b"written, not synced")
    disk.forget_cached("log")
    assert disk.read("log", 0, 99) == b"written, not synced"
    with pytest.raises(FileNotFoundError):
        disk.forget_cached("none")
    file.close()


def test_the_machine_is_the_same_one_while_it_runs(disk: Disk) -> None:
    assert disk.boot_id() == disk.boot_id() != ""


async def test_work_answers_and_raises(disk: Disk) -> None:
    disk.replace("f", b"123")
    assert await disk.run(lambda: disk.size("f")) == 3
    with pytest.raises(FileNotFoundError):
        await disk.run(lambda: disk.size("none"))


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="only Linux tells what a process read from the media")
def test_k15_a_forgotten_cache_is_read_from_the_media(tmp_path: Path) -> None:
    if filesystem_of(tmp_path) in ("tmpfs", "overlay"):
        pytest.skip("there are no media behind a tmpfs, and an overlay does not say what is behind it")
    disk = LocalDisk(tmp_path)
    disk.replace("log", bytes(2**20))
    disk.read("log", 0, 2**20)
    before = _read_from_media()
    disk.read("log", 0, 2**20)
    assert _read_from_media() == before
    disk.forget_cached("log")
    disk.read("log", 0, 2**20)
    assert _read_from_media() >= before + 2**20


def _read_from_media() -> int:
    [line] = [line for line in Path("/proc/self/io").read_text().splitlines() if line.startswith("read_bytes")]
    return int(line.partition(":")[2])


def test_a_closed_file_never_writes_into_whatever_has_its_number_now(tmp_path: Path) -> None:
    disk = LocalDisk(tmp_path)
    closed = disk.open_append("closed")
    closed.close()
    other = disk.open_append("other")
    with pytest.raises(OSError, match="Bad file descriptor"):
        closed.write(b"stray")
    closed.close()
    other.write(b"fine")
    other.close()
    assert disk.read("other", 0, 99) == b"fine"
