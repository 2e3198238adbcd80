"""What every disk promises, for the real one, the one in memory and the simulated one alike."""

import errno
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.baseline import filesystem_of
from storage.disk import AppendFile, Disk
from storage.errors import StoreLocked
from storage.local_disk import LocalDisk
from storage.memory_disk import MemoryDisk
from tests.fakes.sim_disk import SimDisk


@pytest.fixture(params=["local", "memory", "simulated", "simulated in pieces"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Disk:
    made: dict[str, Callable[[], Disk]] = {
        "local": lambda: LocalDisk(tmp_path / "data"),
        "memory": MemoryDisk,
        "simulated": SimDisk,
        "simulated in pieces": lambda: SimDisk(piece_bytes=1),
    }
    return made[request.param]()


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


def test_an_open_file_stays_the_one_it_was_whatever_becomes_of_its_name(disk: Disk) -> None:
    moved, replaced, removed = (disk.open_append(name) for name in ("moved", "replaced", "removed"))
    disk.rename("moved", "elsewhere")
    disk.replace("replaced", b"new")
    disk.remove_tree("removed")
    for file in (moved, replaced, removed):
        file.write(b"1")
        file.sync()
        assert file.size() == 1
        file.close()
    assert disk.list_folder(".") == ["elsewhere", "replaced"]
    assert (disk.read("elsewhere", 0, 9), disk.read("replaced", 0, 9)) == (b"1", b"new")


def test_a_rename_takes_the_place_of_a_file_and_of_an_empty_folder_alone(disk: Disk) -> None:
    disk.replace("file", b"1")
    disk.replace("other", b"2")
    disk.rename("file", "other")
    assert (disk.exists("file"), disk.read("other", 0, 9)) == (False, b"1")
    disk.make_folder("full/inner")
    disk.make_folder("empty")
    for source, target, code in (
        ("empty", "full", errno.ENOTEMPTY),
        ("empty", "other", errno.ENOTDIR),
        ("other", "empty", errno.EISDIR),
        ("full", "full/inner/deep", errno.EINVAL),
    ):
        with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is looked at
            disk.rename(source, target)
        assert caught.value.errno == code
    disk.rename("full", "empty")
    assert disk.list_folder("") == ["empty", "other"]
    assert disk.list_folder("empty") == ["inner"]


def test_a_file_is_no_folder_and_a_folder_no_file(disk: Disk) -> None:
    disk.make_folder("folder")
    disk.replace("file", b"1")
    for refused in (lambda: disk.open_append("folder"), lambda: disk.read("folder", 0, 9)):
        with pytest.raises(IsADirectoryError):
            refused()
    with pytest.raises(FileExistsError):
        disk.make_folder("file")
    for refused_below in (
        lambda: disk.list_folder("file"),
        lambda: disk.sync_folder("file"),
        lambda: disk.make_folder("file/below"),
        lambda: disk.open_append("file/below"),
        lambda: disk.replace("file/below", b""),
    ):
        with pytest.raises(NotADirectoryError):
            refused_below()
    assert not disk.exists("file/below")


def test_a_closed_file_does_nothing_more(disk: Disk) -> None:
    file = disk.open_append("f")
    file.close()
    file.close()
    for refused in (lambda: file.write(b"1"), lambda: file.truncate(0), file.sync, file.size):
        with pytest.raises(OSError, match="Bad file descriptor"):
            refused()
    assert disk.size("f") == 0


PATHS = ("a", "a/b", "a/b/c", "d", "d/b", "d/e")
ACTIONS = ("create", "write", "truncate", "replace", "folder", "rename", "remove", "list", "read", "exists")
Action = tuple[str, str, str]


def outcome(disk: Disk, files: list[AppendFile], action: Action) -> object:
    """What comes of one action, or the number of its error."""
    kind, path, other = action
    work: dict[str, Callable[[], object]] = {
        "create": lambda: files.append(disk.open_append(path)),
        "write": lambda: files[-1].write(path.encode()),
        "truncate": lambda: files[-1].truncate(min(files[-1].size(), len(other))),
        "replace": lambda: disk.replace(path, other.encode()),
        "folder": lambda: disk.make_folder(path),
        "rename": lambda: disk.rename(path, other),
        "remove": lambda: disk.remove_tree(path),
        "list": lambda: disk.list_folder(path),
        "read": lambda: disk.read(path, 1, 4),
        "exists": lambda: disk.exists(path),
    }
    try:
        return work[kind]()
    except OSError as failure:
        return failure.errno


def everything(disk: Disk, path: str = "") -> dict[str, bytes | None]:
    """What there is, by path; None is a folder."""
    found: dict[str, bytes | None] = {}
    for name in disk.list_folder(path):
        below = f"{path}/{name}" if path else name
        try:
            found |= {below: None, **everything(disk, below)}
        except NotADirectoryError:
            found[below] = disk.read(below, 0, 999)
    return found


@pytest.fixture(scope="module")
def local_disk(tmp_path_factory: pytest.TempPathFactory) -> LocalDisk:
    """One for many examples: the kernel takes a tenth of a second to take back what it gave for syncing."""
    return LocalDisk(tmp_path_factory.mktemp("disk"))


@given(
    actions=st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from(PATHS), st.sampled_from(PATHS)), max_size=25)
)
def test_whatever_is_done_to_them_all_disks_answer_and_end_alike(
    local_disk: LocalDisk, actions: Sequence[Action]
) -> None:
    disks: list[Disk] = [local_disk, MemoryDisk(), SimDisk(), SimDisk(piece_bytes=2)]
    files: list[list[AppendFile]] = [[disk.open_append("first")] for disk in disks]
    try:
        for action in actions:
            real, *fakes = [outcome(disk, opened, action) for disk, opened in zip(disks, files, strict=True)]
            assert fakes == [real] * len(fakes), action
        real_end, *ends = map(everything, disks)
        assert ends == [real_end] * len(ends)
    finally:
        for file in files[0]:
            file.close()
        shutil.rmtree(local_disk.root)
        local_disk.root.mkdir()


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
