"""The simulated disk loses what its model says, and nothing else: a kinder one would prove nothing."""

import errno
from collections.abc import Callable
from random import Random

import pytest

from tests.fakes.sim_disk import Operation, PoweredOff, SimDisk, Step

CHANCE = Random(1)


def contents(disk: SimDisk, path: str) -> set[bytes | None]:
    """What may be under the name after a power cut now; a name that is gone is b'gone'."""
    crash = disk.crash_images(CHANCE)
    assert len(crash.images) <= crash.possible
    return {dict(image.entries).get(path, b"gone") for image in crash.images}


def with_file(data: bytes = b"old", block_bytes: int = 512, capacity_bytes: int | None = None) -> SimDisk:
    disk = SimDisk(block_bytes=block_bytes, capacity_bytes=capacity_bytes)
    disk.replace("f", data)
    return disk


def test_what_was_synced_is_all_that_a_power_cut_leaves_for_sure() -> None:
    disk = with_file()
    disk.open_append("f").write(b"new")
    again = disk.crash()
    assert again.read("f", 0, 9) == b"old"
    file = again.open_append("f")
    file.write(b"new")
    file.sync()
    assert contents(again, "f") == {b"oldnew"}


def test_of_an_unsynced_write_any_prefix_may_be_left_with_zeros_behind_it_or_a_hole_in_it() -> None:
    disk = with_file(block_bytes=2)
    disk.open_append("f").write(b"abcde")
    left = contents(disk, "f")
    assert left >= {b"oldabcde"[:length] for length in range(3, 9)}
    assert left >= {b"oldabcde"[:length].ljust(8, b"\0") for length in range(3, 9)}
    assert left >= {b"olda\0\0de", b"olda\xa5\xa5de", b"old\0bcde"}
    assert all(found is not None and found.startswith(b"old") for found in left)


def test_a_cut_that_was_not_synced_may_be_undone_and_what_it_cut_may_show_in_a_hole() -> None:
    disk = with_file(b"oldold", block_bytes=3)
    file = disk.open_append("f")
    file.truncate(3)
    assert contents(disk, "f") == {b"oldold", b"old"}
    file.sync()
    file.write(b"new")
    assert b"oldold" in contents(disk, "f")


def test_unsynced_writes_may_be_kept_without_those_before_them() -> None:
    disk = with_file(b"", block_bytes=1)
    file = disk.open_append("f")
    file.write(b"ab")
    file.truncate(1)
    file.write(b"c")
    assert contents(disk, "f") >= {b"", b"a", b"ab", b"ac", b"\0c"}


def test_a_killed_process_loses_nothing_that_it_wrote_and_its_files_are_dead() -> None:
    disk = with_file()
    file = disk.open_append("f")
    file.write(b"new")
    again = disk.kill()
    assert again.read("f", 0, 9) == b"oldnew"
    assert again.boot_id() == disk.boot_id() != again.crash().boot_id()
    for dead in (lambda: file.write(b"x"), file.sync, lambda: disk.read("f", 0, 9), lambda: disk.exists("f")):
        with pytest.raises(PoweredOff):
            dead()
    assert b"old" in contents(again.kill(), "f")


def test_names_are_durable_when_their_folder_was_synced() -> None:
    disk = SimDisk()
    disk.make_folder("d")
    file = disk.open_append("d/f")
    file.write(b"1")
    file.sync()
    assert contents(disk, "d/f") == {b"gone", b"1"}
    disk.sync_folder("d")
    assert contents(disk, "d/f") == {b"gone", b"1"}
    disk.sync_folder(".")
    assert contents(disk, "d/f") == {b"1"}
    disk.remove_tree("d")
    assert {image.paths() == [] for image in disk.crash_images(CHANCE).images} == {True, False}


def test_a_rename_is_the_old_name_or_the_new_one_until_both_folders_were_synced() -> None:
    disk = SimDisk()
    disk.make_folder("a")
    disk.make_folder("b")
    disk.sync_folder("")
    disk.replace("a/f", b"1")
    disk.rename("a/f", "b/f")
    for folder in ("b", "a"):
        assert {tuple(image.paths()) for image in disk.crash_images(CHANCE).images} == {
            ("a", "a/f", "b"),
            ("a", "b", "b/f"),
        }
        disk.sync_folder(folder)
    assert [image.paths() for image in disk.crash_images(CHANCE).images] == [["a", "b", "b/f"]]


def test_changes_of_names_may_be_kept_in_any_order() -> None:
    disk = SimDisk()
    for name in "abc":
        disk.open_append(name)
    left = {tuple(image.paths()) for image in disk.crash_images(CHANCE).images}
    assert left == {(), ("a",), ("b",), ("c",), ("a", "b"), ("a", "c"), ("b", "c"), ("a", "b", "c")}


def test_after_a_failed_sync_the_next_one_succeeds_and_the_bytes_are_on_no_disk() -> None:
    disk = with_file()
    file = disk.open_append("f")
    file.write(b"lost")
    disk.fail(Operation.SYNC, pages_turn_clean=True)
    with pytest.raises(OSError, match="Input/output"):
        file.sync()
    file.write(b"new")
    file.sync()
    assert disk.read("f", 0, 99) == b"oldlostnew"
    assert b"old\0\0\0\0new" in contents(disk, "f")
    killed = disk.kill()
    assert killed.read("f", 0, 99) == b"oldlostnew"
    killed.forget_cached("f")
    assert killed.read("f", 0, 99) == b"old\0\0\0\0new"
    assert contents(killed, "f") == {b"old\0\0\0\0new"}


def test_a_cache_that_cannot_be_written_out_is_forgotten_all_the_same() -> None:
    disk = with_file()
    disk.open_append("f").write(b"lost")
    disk.fail(Operation.SYNC)
    with pytest.raises(OSError, match="Input/output"):
        disk.forget_cached("f")
    assert disk.read("f", 0, 99) == b"old\0\0\0\0"


def test_a_flipped_bit_is_read_once_the_cache_is_gone() -> None:
    disk = with_file()
    disk.flip("f", 0)
    assert disk.read("f", 0, 9) == b"old"
    assert disk.kill().crash().read("f", 0, 9) == b"nld"
    disk = with_file()
    disk.flip("f", 0)
    disk.drop_cache()
    assert disk.read("f", 0, 9) == b"nld"
    with pytest.raises(IndexError):
        disk.flip("f", 3)


def test_a_full_disk_takes_what_fits_and_all_of_it_once_there_is_room() -> None:
    disk = with_file(capacity_bytes=5)
    file = disk.open_append("f")
    with pytest.raises(OSError, match="No space left"):
        file.write(b"new")
    assert disk.read("f", 0, 9) == b"oldne"
    for refused in (lambda: disk.make_folder("d"), lambda: disk.open_append("g"), lambda: disk.replace("f", b"")):
        with pytest.raises(OSError, match="No space left"):
            refused()
    disk.capacity_bytes = 100
    file.write(b"w")
    disk.replace("g", b"1")
    assert disk.read("f", 0, 9) == b"oldnew"


def test_a_replacement_that_finds_no_room_leaves_what_was_there_and_takes_none() -> None:
    disk = with_file(capacity_bytes=5)
    with pytest.raises(OSError, match="No space left"):
        disk.replace("f", b"newer")
    assert (disk.list_folder(""), disk.read("f", 0, 9), disk.room()) == (["f"], b"old", 2)


@pytest.mark.parametrize("operation", Operation)
def test_the_nth_of_a_kind_fails_as_often_as_planned_and_changes_nothing(operation: Operation) -> None:
    disk = with_file()
    file = disk.open_append("f")
    disk.make_folder("d")
    work: Callable[[], object] = {
        Operation.CREATE: lambda: disk.open_append(f"new{len(disk.steps)}"),
        Operation.READ: lambda: disk.read("f", 0, 9),
        Operation.WRITE: lambda: file.write(b"123"),
        Operation.TRUNCATE: lambda: file.truncate(2),
        Operation.SYNC: file.sync,
        Operation.MAKE_FOLDER: lambda: disk.make_folder(f"folder{len(disk.steps)}"),
        Operation.RENAME: lambda: disk.rename("f", "f"),
        Operation.REMOVE: lambda: disk.remove_tree("d"),
        Operation.SYNC_FOLDER: lambda: disk.sync_folder("d"),
    }[operation]
    disk.fail(operation, nth=2, times=2, code=errno.EROFS, keep_bytes=1)
    outcomes = []
    for _ in range(4):
        disk.make_folder("d")  # for the removal to find
        before = disk.list_folder("")
        try:
            work()
        except OSError as failure:
            outcomes.append(failure.errno)
            assert disk.list_folder("") == before
        else:
            outcomes.append(0)
    assert outcomes == [0, errno.EROFS, errno.EROFS, 0]
    if operation is Operation.WRITE:
        assert disk.read("f", 0, 99) == b"old12311123"


def test_faults_are_aimed_by_path_and_healed() -> None:
    disk = SimDisk()
    disk.fail(Operation.CREATE, "*/bad", times=None)
    disk.make_folder("d")
    disk.replace("d/good", b"")
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output"):
            disk.open_append("d/bad")
    disk.heal()
    disk.open_append("d/bad")


def test_the_power_can_be_cut_at_every_step_and_within_a_write() -> None:
    disk = SimDisk(piece_bytes=2)
    lengths: list[int] = []

    def cut(step: Step) -> None:
        if step.operation is Operation.WRITE:
            lengths.append(disk.after_a_kill().size("f"))
        if len(lengths) == 4:
            raise PoweredOff

    disk.on_step = cut
    with pytest.raises(PoweredOff):
        disk.open_append("f").write(b"abcdefg")
    assert lengths == [0, 2, 4, 6]
    assert disk.size("f") == 6


def test_few_images_are_all_and_many_are_a_sample_that_holds_the_plain_ones_and_is_the_same_by_the_same_chance() -> (
    None
):
    disk = SimDisk(block_bytes=8)
    for name in "abc":
        disk.replace(name, b"")
        disk.open_append(name).write(b"x" * 20)
    few = disk.crash_images(Random(7), 100)
    assert len(few.images) <= 100 < few.possible
    whole = {"".join(f"{path}{content!r}" for path, content in image.entries) for image in few.images}
    assert {f"a{x!r}b{x!r}c{x!r}" for x in (b"", b"x" * 20)} <= whole
    assert few == disk.crash_images(Random(7), 100)
    every = disk.crash_images(Random(7), 10**6)
    assert len(every.images) == every.possible == few.possible
    assert set(few.images) <= set(every.images)
    drawn = {disk.after_a_kill().crash(Random(seed)).read("a", 0, 99) for seed in range(50)}
    assert len(drawn) > 20
