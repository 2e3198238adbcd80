"""Appending, recovering and reading one log: K10, K15 to K17."""

import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.disk import Disk
from storage.errors import CorruptLog, LogClosed, StorageDegraded, Unreadable
from storage.event_log import EventLog, LogView
from storage.event_log.files import LogFiles
from storage.event_log.tail import TAIL_BYTES_MAX
from storage.local_disk import LocalDisk
from storage.memory_disk import MemoryDisk
from storage.record import encode_batch
from tests.fakes.faulty_disk import FaultyDisk
from tests.fakes.sim_disk import Operation, SimDisk
from tests.storage.committers import running_committer

LOG = "c/events.jsonl"


def events_of(count: int, width: int = 8) -> list[bytes]:
    return [orjson.dumps({"n": number, "text": "x" * width}) for number in range(count)]


def disk_with(data: bytes, disk: Disk | None = None) -> Disk:
    disk = MemoryDisk() if disk is None else disk
    disk.make_folder("c")
    disk.replace(LOG, data)
    return disk


def content(disk: Disk, path: str = LOG) -> bytes:
    return disk.read(path, 0, disk.size(path))


@pytest.mark.parametrize("kind", ["local", "memory"])
async def test_k10_what_is_appended_is_read_from_every_offset_with_the_tail_and_without(
    tmp_path: Path, kind: str
) -> None:
    disk = disk_with(b"", LocalDisk(tmp_path) if kind == "local" else None)
    wanted = events_of(150)
    async with running_committer(disk) as committer:
        log = await EventLog.open(disk, LOG, committer, "quarantine")
        for start in range(0, 150, 10):
            await log.append([wanted[start : start + 3], wanted[start + 3 : start + 10]])
        cold = await EventLog.open(disk, LOG, committer, "quarantine")
        for reader in (log, cold, await LogView.open(disk, LOG)):
            assert reader.next_id == 150
            for start in range(151):
                assert await reader.read(start, 150) == wanted[start:]
                assert await reader.read(start, start + 5) == wanted[start : start + 5]
            assert await reader.read(150, 999) == await reader.read(999, 1000) == await reader.read(5, 2) == []
            assert [event async for event in reader.events(7)] == wanted[7:]
        assert cold.epoch == log.epoch + 1
        assert log.read_tail(0, 150) == wanted
        assert cold.read_tail(0, 150) is None
        assert cold.read_tail(150, 160) == []
        await log.append([[b'{"last":1}']])
        assert log.read_tail(150, 160) == [b'{"last":1}']
        await log.close()
        await cold.close()


async def test_pieces_of_any_size_make_up_the_whole() -> None:
    wanted = events_of(200)
    disk = disk_with(b"".join(encode_batch(0, 1, wanted)))
    view = await LogView.open(disk, LOG)
    for bytes_max in (1, 500, 5000, 10**6):
        got: list[bytes] = []
        while piece := await view.read(len(got), 200, bytes_max=bytes_max):
            got += piece
        assert got == wanted


@pytest.mark.parametrize("bytes_max", [1, 99, 1000, 5000])
async def test_k33_a_read_hands_out_no_more_than_it_may_unless_the_first_event_alone_is_more(bytes_max: int) -> None:
    wanted = [event for width in (8, 900, 3, 4000, 20) for event in events_of(20, width)]
    disk = disk_with(b"")
    async with running_committer(disk) as committer:
        log = await EventLog.open(disk, LOG, committer, "quarantine")
        await log.append([wanted])
        for reader in (log, await LogView.open(disk, LOG)):
            for start in range(len(wanted)):
                piece = await reader.read(start, len(wanted), bytes_max=bytes_max)
                assert piece == wanted[start : start + len(piece)]
                assert len(piece) == 1 or sum(map(len, piece)) <= bytes_max
                assert start + len(piece) == len(wanted) or (
                    sum(map(len, wanted[start : start + len(piece) + 1])) > bytes_max
                )


async def test_the_tail_is_bounded_and_what_fell_out_comes_from_the_disk() -> None:
    disk = disk_with(b"")
    wanted = events_of(80, TAIL_BYTES_MAX // 40)
    async with running_committer(disk) as committer:
        log = await EventLog.open(disk, LOG, committer, "quarantine")
        for event in wanted:
            await log.append([[event]])
        assert log.read_tail(0, 80) is None
        assert log.read_tail(79, 80) == wanted[79:]
        assert [event async for event in log.events()] == wanted


async def test_a_closed_log_keeps_no_event_in_memory_and_is_read_from_the_disk() -> None:
    disk = disk_with(b"")
    wanted = events_of(5)
    async with running_committer(disk) as committer:
        log = await EventLog.open(disk, LOG, committer, "quarantine")
        await log.append([wanted])
        await log.close()
        assert log.read_tail(0, 5) is None
        assert await log.read(0, 5) == wanted


async def test_k10_k16_k17_an_end_cut_at_any_byte_is_kept_aside_and_appended_on_rightly() -> None:
    first, last = encode_batch(0, 1, [b'{"a":1}']), encode_batch(1, 1, [b'{"b":1}', b'{"c":1}'])
    whole, good = b"".join(first + last), len(first[0])
    for length in range(good + 1, len(whole)):
        disk = disk_with(whole[:length])
        async with running_committer(disk) as committer:
            log = await EventLog.open(disk, LOG, committer, "quarantine")
            assert log.repair is not None
            assert (log.repair.first_lost_id, log.repair.bytes_cut) == (1, length - good)
            assert content(disk, log.repair.quarantine) == whole[good:length]
            assert content(disk) == first[0]
            await log.append([[b'{"d":1}']])
        view = await LogView.open(disk, LOG)
        assert (view.damage, await view.read(0, 9)) == (None, [b'{"a":1}', b'{"d":1}'])


async def test_k16_a_second_tear_at_the_same_place_keeps_both_ends() -> None:
    first = encode_batch(0, 1, [b"{}"])[0]
    disk = disk_with(first + b"torn once")
    async with running_committer(disk) as committer:
        one = (await EventLog.open(disk, LOG, committer, "quarantine")).repair
        disk.replace(LOG, first + b"torn twice")
        two = (await EventLog.open(disk, LOG, committer, "quarantine")).repair
    assert one is not None
    assert two is not None
    assert [content(disk, one.quarantine), content(disk, two.quarantine)] == [b"torn once", b"torn twice"]


async def test_k16_a_cut_that_fails_leaves_the_log_as_it_was() -> None:
    data = encode_batch(0, 1, [b"{}"])[0] + b"torn"
    disk = FaultyDisk()
    disk_with(data, disk)
    disk.faults.truncates.add(LOG)
    async with running_committer(disk) as committer:
        with pytest.raises(StorageDegraded, match="could not be mended"):
            await EventLog.open(disk, LOG, committer, "quarantine")
    assert content(disk) == data


async def test_k16_a_bad_middle_is_never_touched_and_is_readable_up_to_the_damage() -> None:
    lines = [line for number in range(70) for line in encode_batch(number, 1, [b'{"n":%d}' % number])]
    lines[40] = lines[40].replace(b'"n":40', b'"n":41')
    data = b"".join(lines)
    disk = disk_with(data)
    async with running_committer(disk) as committer:
        with pytest.raises(CorruptLog) as caught:
            await EventLog.open(disk, LOG, committer, "quarantine")
    assert (caught.value.event_id, caught.value.offset) == (40, len(b"".join(lines[:40])))
    assert content(disk) == data
    assert not disk.exists("quarantine")
    view = await LogView.open(disk, LOG)
    assert view.damage is not None
    assert [event async for event in view.events()] == [b'{"n":%d}' % number for number in range(40)]


async def test_a_closed_log_takes_nothing() -> None:
    disk = disk_with(b"")
    async with running_committer(disk) as committer:
        log = await EventLog.open(disk, LOG, committer, "quarantine")
        await log.close()
        with pytest.raises(LogClosed):
            await log.append([[b"{}"]])
    assert content(disk) == b""


async def test_a_disk_that_cannot_read_is_told_as_that_and_nothing_has_changed() -> None:
    disk = SimDisk()
    disk.make_folder("c")
    disk.replace(LOG, b"")
    wanted = events_of(200, 2_000)
    async with running_committer(disk) as committer:
        log = await EventLog.open(disk, LOG, committer, "quarantine")
        await log.append([wanted])
        view = await LogView.open(disk, LOG)
        disk.fail(Operation.READ, LOG, times=None)
        for reader in (log, view):
            with pytest.raises(Unreadable, match=LOG):
                await reader.read(0, 10)
        with pytest.raises(Unreadable):
            await LogView.open(disk, LOG)
        with pytest.raises(Unreadable):
            await EventLog.open(disk, LOG, committer, "quarantine")
        disk.heal()
        assert await view.read(0, 10) == wanted[:10]
        assert (await EventLog.open(disk, LOG, committer, "quarantine")).repair is None


@given(st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b""))), st.integers(1, 9))
def test_lines_are_what_stands_between_newlines_wherever_the_pieces_are_cut(
    lines: list[bytes], piece_bytes: int
) -> None:
    data = b"".join(line + b"\n" for line in lines) + b"half a li"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("storage.event_log.files.PIECE_BYTES", piece_bytes)
        assert list(LogFiles(disk_with(data), LOG).lines(0, len(data))) == lines


def test_a_line_is_put_together_once_however_many_pieces_it_comes_in() -> None:
    """Two lines of eight megabytes; put together anew with each piece they were a thousand times as many bytes."""
    line = b"x" * 8_000_000 + b"\n"
    files = LogFiles(disk_with(line * 2), LOG)
    assert cpu_seconds(lambda: list(files.lines(0, 2 * len(line)))) < 20 * cpu_seconds(lambda: (line * 2).split(b"\n"))


def cpu_seconds(work: Callable[[], object]) -> float:
    """The least of three."""

    def once() -> float:
        before = time.thread_time()
        work()
        return time.thread_time() - before

    return min(once() for _ in range(3))
