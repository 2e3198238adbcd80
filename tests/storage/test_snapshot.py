"""A snapshot is a cache (K18): whatever is wrong with it, it is as if there were none."""

import zlib

import pytest

from storage.memory_disk import MemoryDisk
from storage.record import Anchor
from storage.snapshot import Snapshot, load, save

SNAPSHOT = Snapshot(7, Anchor(7, epoch=2, checksum=99, start=120, end=180), {"phase": ["a", None]})


def saved(snapshot: Snapshot) -> bytes:
    disk = MemoryDisk()
    save(disk, "state.json", snapshot)
    return disk.read("state.json", 0, 9999)


def loaded(data: bytes) -> Snapshot | None:
    disk = MemoryDisk()
    disk.replace("state.json", data)
    return load(disk, "state.json")


@pytest.mark.parametrize("snapshot", [SNAPSHOT, Snapshot(7, None, None)])
def test_k18_what_is_saved_is_loaded(snapshot: Snapshot) -> None:
    disk = MemoryDisk()
    save(disk, "state.json", Snapshot(1, None, {"old": True}))
    save(disk, "state.json", snapshot)
    assert load(disk, "state.json") == snapshot


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b'{"position":"7","anchor":null,"document":1}',
        b'{"position":7,"anchor":null}',
        b'{"position":7,"anchor":[1,2,3],"document":1}',
        b'{"position":7,"anchor":{},"document":1}',
        b'{"position":7',
    ],
)
def test_k18_one_that_is_sealed_and_makes_no_sense_is_none(content: bytes) -> None:
    assert loaded(b'{"format":2,"crc":"%08x","snapshot":%b}' % (zlib.crc32(content), content)) is None


def test_k18_one_of_another_version_is_none() -> None:
    assert loaded(b'{"format":1,"position":1,"checksum":2,"document":{}}') is None
    assert loaded(saved(SNAPSHOT).replace(b'"format":2', b'"format":3')) is None


def test_k18_a_missing_one_is_none() -> None:
    assert load(MemoryDisk(), "state.json") is None


def test_k18_every_cut_of_one_is_none() -> None:
    whole = saved(SNAPSHOT)
    for length in range(len(whole)):
        assert loaded(whole[:length]) is None


@pytest.mark.parametrize("bit", [0x01, 0x04, 0x20, 0x80])
def test_k18_no_flipped_bit_passes_even_when_it_leaves_json(bit: int) -> None:
    whole = saved(SNAPSHOT)
    for place in range(len(whole)):
        assert loaded(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :]) is None
