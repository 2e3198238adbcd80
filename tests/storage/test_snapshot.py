"""A snapshot is a cache (K18): whatever is wrong with it, it is as if there were none."""

import pytest

from storage.memory_disk import MemoryDisk
from storage.snapshot import Snapshot, load, save


def test_k18_what_is_saved_is_loaded() -> None:
    disk = MemoryDisk()
    save(disk, "state.json", Snapshot(1, 2, {"old": True}))
    save(disk, "state.json", Snapshot(7, 99, {"phase": ["a", None]}))
    assert load(disk, "state.json") == Snapshot(7, 99, {"phase": ["a", None]})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"format":2,"position":1,"checksum":2,"document":{}}',
        b'{"format":1,"position":"1","checksum":2,"document":{}}',
        b'{"format":1,"position":1,"document":{}}',
    ],
)
def test_k18_a_damaged_or_newer_one_is_none(data: bytes) -> None:
    disk = MemoryDisk()
    disk.replace("state.json", data)
    assert load(disk, "state.json") is None


def test_k18_a_missing_one_is_none() -> None:
    assert load(MemoryDisk(), "state.json") is None


def test_k18_every_cut_of_one_is_none() -> None:
    disk = MemoryDisk()
    save(disk, "state.json", Snapshot(7, 99, {"a": 1}))
    whole = disk.read("state.json", 0, 999)
    for length in range(len(whole)):
        disk.replace("state.json", whole[:length])
        assert load(disk, "state.json") is None
