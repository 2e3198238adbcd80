"""The walk sees what recovery sees (K16), holds a piece at a time, and finds what is whole behind the damage."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from storage.memory_disk import MemoryDisk
from storage.record import decode, encode_batch
from storage.walk import LINE_BYTES_MAX, LogWalk
from tests.storage.scans import Verdict, judged, scan

LOG = "events.jsonl"

BATCHES = ([b'{"a":0}'], [b'{"b":1}', b'{"b":2}', b'{"b":3}'], [b'{"c":4}'], [b'{"d":5}', b'{"d":6}'], [b'{"e":7}'])


def log_of(*batches: list[bytes]) -> bytes:
    lines: list[bytes] = []
    for epoch, batch in enumerate(batches, 1):
        lines += encode_batch(len(lines), epoch, batch)
    return b"".join(lines)


WHOLE = log_of(*BATCHES)


class CountingDisk(MemoryDisk):
    """Knows the largest piece that was asked for at once."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.replace(LOG, data)
        self.largest = 0

    def read(self, path: str, start: int, stop: int) -> bytes:
        self.largest = max(self.largest, stop - start)
        return super().read(path, start, stop)


def walked(data: bytes, **options: Any) -> tuple[LogWalk, list[int], list[int]]:
    """The walk at its end, with the ids that it found before and behind the damage."""
    walk = LogWalk(CountingDisk(data), LOG, **options)
    ids = [located.record.id for batch in walk.batches() for located in batch]
    return walk, ids, [located.record.id for located in walk.behind()]


def verdict(data: bytes, piece_bytes: int) -> Verdict:
    walk = LogWalk(CountingDisk(data), LOG, piece_bytes=piece_bytes)
    for batch in walk.batches():
        for located in batch:
            assert decode(data[located.offset : located.end - 1]) == located.record
    is_damage = any(walk.is_later(located.record) for located in walk.behind())
    what = "damage" if is_damage else "torn" if walk.is_torn else "whole"
    return walk.next_id, walk.good_bytes, what, walk.stop.offset if is_damage and walk.stop else None


@given(st.integers(0, len(WHOLE)), st.integers(1, 99))
def test_k16_cut_anywhere_it_is_told_as_recovery_tells_it(length: int, piece_bytes: int) -> None:
    assert verdict(WHOLE[:length], piece_bytes) == judged(WHOLE[:length])


@given(
    st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(1, 255)), min_size=1, max_size=3),
    st.integers(1, 200),
)
@example([(WHOLE.index(b"\n"), 1)], 7)  # two lines become one
@example([(WHOLE.rindex(b"\n"), 1), (3, 1)], 7)
def test_k16_flipped_anywhere_it_is_told_as_recovery_tells_it(flips: list[tuple[int, int]], piece_bytes: int) -> None:
    damaged = bytearray(WHOLE)
    for place, mask in flips:
        damaged[place] ^= mask
    assert verdict(bytes(damaged), piece_bytes) == judged(bytes(damaged))
    found = scan(bytes(damaged), piece_bytes=piece_bytes)
    what = "damage" if found.damage else "torn" if found.torn else "whole"
    offset = found.damage.offset if found.damage else None
    assert (found.next_id, found.last.end, what, offset) == judged(bytes(damaged))


def test_what_is_whole_behind_the_damage_is_found_with_its_place() -> None:
    damaged = WHOLE.replace(b'{"b":2}', b'{"B":2}')
    walk, ids, behind = walked(damaged)
    assert (ids, behind, walk.next_id, walk.epoch_max) == ([0], [1, 3, 4, 5, 6, 7], 1, 5)
    assert walk.stop is not None
    assert (walk.stop.event_id, walk.stop.offset) == (2, WHOLE.index(b'{"id":2,'))
    again = LogWalk(CountingDisk(damaged), LOG)
    list(again.batches())
    for located in again.behind():
        assert decode(damaged[located.offset : located.end - 1]) == located.record
        assert damaged[located.offset : located.end].endswith(b"}\n")


def test_a_batch_without_its_end_is_behind_too() -> None:
    walk, ids, behind = walked(log_of(*BATCHES[:2])[: WHOLE.index(b'{"id":3,')])
    assert (ids, behind, walk.is_torn, walk.stop) == ([0], [1, 2], True, None)


@pytest.mark.parametrize("gap", [b"\0", b'{"id":'])
def test_however_long_a_line_without_an_end_is_it_is_read_in_pieces_and_what_follows_is_found(gap: bytes) -> None:
    hole = gap * (2 * LINE_BYTES_MAX // len(gap) + 12_345)
    disk = CountingDisk(log_of(*BATCHES[:2]) + hole + encode_batch(9, 5, [b'{"far":9}'])[0])
    walk = LogWalk(disk, LOG, piece_bytes=8 * 1024 * 1024)
    assert sum(len(batch) for batch in walk.batches()) == 4
    assert [located.record.id for located in walk.behind()] == [9]
    assert disk.largest == 8 * 1024 * 1024


def test_every_byte_is_told_once() -> None:
    pieces: list[int] = []
    walk = LogWalk(CountingDisk(WHOLE), LOG, pieces.append, piece_bytes=50)
    list(walk.batches())
    assert sum(pieces) == len(WHOLE)
    assert max(pieces) == 50
