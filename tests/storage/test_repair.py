"""Cutting before the damage (K16): nothing is lost that was not named, and every step may be the last."""

import tracemalloc
from pathlib import Path

import pytest

from storage.disk import Disk
from storage.errors import NothingToRepair, StorageDegraded, StorageError
from storage.findings import Code
from storage.local_disk import LocalDisk
from storage.record import encode_batch
from storage.repair import Cut, examine, repair
from storage.walk import PIECE_BYTES, LogWalk
from tests.fakes.faulty_disk import FaultyDisk
from tests.storage.test_verify import GOOD, LOG, STATE, disk_with, lines_of, snapshot_at

SAID = [b'{"repaired":1}']


def content(disk: Disk, path: str = LOG) -> bytes:
    return disk.read(path, 0, disk.size(path))


def flipped(event_id: int) -> bytes:
    lines = [*GOOD]
    lines[event_id] = lines[event_id].replace(b'"n"', b'"N"')
    return b"".join(lines)


def examined(disk: Disk) -> tuple[Cut, list[int]]:
    lost: list[int] = []
    return examine(disk, "a", lambda located: lost.append(located.record.id)), lost


def read(disk: Disk) -> tuple[list[bytes], int, bool]:
    """The events of the log, the epoch of its last record, and whether anything is wrong with it."""
    walk = LogWalk(disk, LOG)
    records = [located.record for batch in walk.batches() for located in batch]
    return [record.event for record in records], records[-1].epoch, walk.is_torn


def test_k16_what_would_be_cut_is_named_and_nothing_is_touched() -> None:
    disk = disk_with(flipped(4))
    cut, lost = examined(disk)
    assert lost == [5, 6, 7, 8, 9]
    assert (cut.code, cut.place.event_id, cut.place.offset) == (Code.LOG_CORRUPT, 4, len(b"".join(GOOD[:4])))
    assert (cut.keep_events, cut.keep_bytes, cut.lost_until) == (4, len(b"".join(GOOD[:4])), 9)
    assert cut.cut_bytes == len(b"".join(GOOD[4:]))
    assert (cut.acknowledged, cut.epoch) == (True, 2)
    assert content(disk) == flipped(4)
    assert not disk.exists("quarantine")


def test_k16_after_the_cut_the_log_is_whole_says_what_was_done_and_the_damaged_one_is_kept_whole() -> None:
    disk = disk_with(flipped(4), snapshot_at(8, 9))
    cut, _ = examined(disk)
    repair(disk, cut, SAID)
    assert read(disk) == ([b'{"n":%d}' % number for number in range(4)] + SAID, 2, False)
    assert content(disk, cut.quarantine) == flipped(4)
    assert disk.list_folder("conversations/a") == ["events.jsonl", "files"]
    assert disk.list_folder("quarantine") == [cut.quarantine.removeprefix("quarantine/")]
    with pytest.raises(NothingToRepair):
        examined(disk)


@pytest.mark.parametrize("state", [None, snapshot_at(3, 4), snapshot_at(8, 9)])
def test_k16_a_torn_end_was_acknowledged_if_a_snapshot_knows_of_it(state: bytes | None) -> None:
    cut, lost = examined(disk_with(b"".join(GOOD[:8])[:-3], state))
    assert (cut.code, cut.keep_events, lost) == (Code.LOG_TORN, 7, [])
    assert (cut.acknowledged, cut.lost_until) == ((True, 8) if state == snapshot_at(8, 9) else (False, None))


def test_k16_an_end_that_is_simply_gone_is_known_from_the_snapshot() -> None:
    disk = disk_with(b"".join(GOOD[:5]), snapshot_at(7, 8))
    cut, _ = examined(disk)
    assert (cut.code, cut.keep_events, cut.cut_bytes, cut.lost_until, cut.acknowledged) == (
        Code.LOG_SHORT, 5, 0, 7, True,
    )  # fmt: skip
    repair(disk, cut, SAID)
    assert len(read(disk)[0]) == 6
    assert not disk.exists("quarantine")  # nothing was cut


def test_k16_another_record_where_the_snapshot_was_made_is_a_loss_too() -> None:
    disk = disk_with(b"".join(GOOD), snapshot_at(6, 7, lines_of(*[b'{"of":"another log"}'] * 7)))
    cut, _ = examined(disk)
    assert (cut.code, cut.keep_events, cut.cut_bytes, cut.acknowledged) == (Code.LOG_SHORT, 10, 0, True)
    repair(disk, cut, SAID)
    with pytest.raises(NothingToRepair):
        examined(disk)


def test_k16_a_log_that_is_missing_begins_anew_and_there_is_nothing_to_keep() -> None:
    disk = disk_with(None, snapshot_at(7, 8))
    cut, lost = examined(disk)
    assert (cut.code, cut.keep_events, cut.quarantine, lost, cut.lost_until) == (Code.LOG_MISSING, 0, "", [], 7)
    repair(disk, cut, SAID)
    # The snapshot still knows that epoch 1 was used.
    assert read(disk) == (SAID, 2, False)
    assert not disk.exists("quarantine")


def test_a_log_damaged_from_its_first_byte_keeps_nothing_but_what_is_put_aside() -> None:
    disk = disk_with(flipped(0))
    cut, lost = examined(disk)
    assert (cut.keep_events, lost) == (0, list(range(1, 10)))
    repair(disk, cut, SAID)
    assert read(disk)[0] == SAID
    assert content(disk, cut.quarantine) == flipped(0)


def test_k03_the_epoch_rises_above_all_that_was_ever_used_also_behind_the_damage() -> None:
    later = [encode_batch(number, 9, [b"{}"])[0] for number in range(5, 10)]
    disk = disk_with(b"".join([*GOOD[:4], b"junk\n", *later]))
    cut, _ = examined(disk)
    assert cut.epoch == 10
    repair(disk, cut, SAID)
    assert read(disk)[1] == 10


@pytest.mark.parametrize("log", [b"".join(GOOD), b""])
def test_a_whole_log_is_not_touched(log: bytes) -> None:
    with pytest.raises(NothingToRepair):
        examined(disk_with(log))


def test_what_was_put_aside_before_is_never_written_over() -> None:
    disk = disk_with(flipped(4))
    first, _ = examined(disk)
    repair(disk, first, SAID)
    disk.replace(LOG, flipped(6))
    second, _ = examined(disk)
    assert second.quarantine != first.quarantine
    with pytest.raises(StorageError, match="is there already"):
        repair(disk, first, SAID)
    repair(disk, second, SAID)
    assert (content(disk, first.quarantine), content(disk, second.quarantine)) == (flipped(4), flipped(6))


def repaired_in(steps: int) -> tuple[FaultyDisk, bool]:
    """After so many steps every further one fails; whether that was before the end."""
    disk = FaultyDisk()
    disk.make_folder("conversations/a")
    disk.replace(LOG, flipped(4))
    disk.replace(STATE, snapshot_at(8, 9))
    cut, _ = examined(disk)
    disk.faults.steps_left = steps
    try:
        repair(disk, cut, SAID)
    except StorageDegraded:
        return disk, True
    finally:
        disk.faults.steps_left = None
    return disk, False


def test_k14_k16_whichever_step_fails_the_log_is_as_it_was_or_mended_and_the_next_repair_gets_through() -> None:
    outcomes = set()
    for steps in range(100):
        disk, has_failed = repaired_in(steps)
        if content(disk) == flipped(4):
            outcomes.add("as it was")
            assert disk.exists(STATE)
            again, lost = examined(disk)
            assert lost == [5, 6, 7, 8, 9]
            repair(disk, again, SAID)
        else:
            outcomes.add("mended" if has_failed else "done")
        assert read(disk) == ([b'{"n":%d}' % number for number in range(4)] + SAID, 2, False)
        kept = [name for name in disk.list_folder("quarantine") if not name.startswith(".")]
        assert {content(disk, f"quarantine/{name}") for name in kept} == {flipped(4)}
        if not has_failed:
            break
    assert outcomes == {"as it was", "mended", "done"}


def test_a_log_of_any_length_is_repaired_in_the_memory_of_some_pieces(tmp_path: Path) -> None:
    disk = LocalDisk(tmp_path)
    disk.make_folder("conversations/a")
    lines = lines_of(*[b'{"text":"%b"}' % (b"x" * 100_000)] * 300)
    lines[250] = b"junk\n"
    disk.replace(LOG, b"".join(lines))
    tracemalloc.start()
    try:
        cut, _ = examined(disk)
        repair(disk, cut, SAID)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(read(disk)[0]) == 251
    assert peak_bytes < 8 * PIECE_BYTES
