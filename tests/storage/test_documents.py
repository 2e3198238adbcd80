"""A document is the old one or the new one, on every disk; what cannot be read is told and left alone."""

from pathlib import Path

import pytest

from storage.disk import Disk
from storage.documents import Documents, path_of
from storage.errors import DamagedDocument, OutcomeUnknown, StorageDegraded, UnknownFormat
from storage.local_disk import LocalDisk
from storage.memory_disk import MemoryDisk
from tests.fakes.sim_disk import CHANGES, Operation, SimDisk


@pytest.fixture(params=["local", "memory", "simulated"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Disk:
    match request.param:
        case "local":
            return LocalDisk(tmp_path / "data")
        case "memory":
            return MemoryDisk()
    return SimDisk()


async def test_what_was_written_last_is_read_also_by_the_next_one(disk: Disk) -> None:
    documents = Documents(disk)
    assert await documents.read("settings") is None
    await documents.write("settings", {"a": [1, None, "ü"]})
    await documents.write("settings", {"a": 2})
    await documents.write("other", [])
    assert await Documents(disk).read("settings") == {"a": 2}
    assert disk.list_folder("documents") == ["other.json", "settings.json"]


async def test_a_document_is_its_owners_only(tmp_path: Path) -> None:
    await Documents(LocalDisk(tmp_path)).write("settings", {})
    assert (tmp_path / "documents").stat().st_mode & 0o077 == 0
    assert (tmp_path / "documents/settings.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", ["", "A", "a b", "../a", "a/b", "a.json", "-a", "a" * 64, "a\n"])
def test_a_name_that_nobody_could_read_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no name for a document"):
        path_of(name)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[]", b"null", b'{"format":"1"}', b'{"format":1}'])
async def test_a_damaged_document_is_told_and_left_alone(disk: Disk, data: bytes) -> None:
    disk.make_folder("documents")
    disk.replace("documents/settings.json", data)
    with pytest.raises((DamagedDocument, UnknownFormat), match=r"documents/settings.json"):
        await Documents(disk).read("settings")
    assert disk.read("documents/settings.json", 0, 99) == data


async def test_every_cut_of_a_document_is_told(disk: Disk) -> None:
    documents = Documents(disk)
    await documents.write("settings", {"a": 1})
    whole = disk.read("documents/settings.json", 0, 999)
    for length in range(len(whole) - 1):  # without the last newline it is whole
        disk.replace("documents/settings.json", whole[:length])
        with pytest.raises(DamagedDocument):
            await documents.read("settings")


async def test_a_document_of_a_newer_version_is_told_apart(disk: Disk) -> None:
    disk.make_folder("documents")
    disk.replace("documents/settings.json", b'{"format":2,"document":{}}')
    with pytest.raises(UnknownFormat, match="format 2"):
        await Documents(disk).read("settings")


async def test_a_write_that_fails_leaves_the_old_one_and_says_so() -> None:
    disk = SimDisk()
    documents = Documents(disk)
    await documents.write("settings", 1)
    disk.fail(times=None)
    with pytest.raises(StorageDegraded):
        await documents.write("settings", 2)
    disk.heal()
    assert await documents.read("settings") == 1


async def test_a_first_write_that_fails_at_any_step_leaves_none_or_is_unknown() -> None:
    disk = SimDisk()
    await Documents(disk).write("settings", 1)
    steps = [step for step in disk.steps if step.operation in CHANGES]
    for place in range(len(steps)):
        disk = SimDisk()
        disk.fail(nth=place + 1, times=None)
        last = place == len(steps) - 1  # the new one is in its place then, and only its folder is not synced
        with pytest.raises(OutcomeUnknown if last else StorageDegraded):
            await Documents(disk).write("settings", 1)
        disk.heal()
        assert await Documents(disk).read("settings") == (1 if last else None)
        await Documents(disk).write("settings", 2)
        assert await Documents(disk.crash()).read("settings") == 2


async def test_a_write_that_is_there_but_not_durable_is_unknown() -> None:
    disk = SimDisk()
    documents = Documents(disk)
    await documents.write("settings", 1)
    disk.fail(Operation.SYNC_FOLDER, "documents")
    with pytest.raises(OutcomeUnknown, match="may not survive"):
        await documents.write("settings", 2)
    assert await documents.read("settings") == 2
    assert await Documents(disk.crash()).read("settings") == 1
