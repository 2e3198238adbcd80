"""What opening makes of the bytes of a log, and the same told by a second, simpler hand that has all of it at once."""

from storage import walk
from storage.memory_disk import MemoryDisk
from storage.record import BEGINNING, Anchor, Scan, Scanner, decode

__all__ = ["Verdict", "judged", "scan"]

Verdict = tuple[int, int, str, int | None]
"""How many events are good, how many bytes they have, what follows, and the offset of the damage if that is it."""


def scan(data: bytes, anchor: Anchor = BEGINNING, *, piece_bytes: int = walk.PIECE_BYTES) -> Scan:
    disk = MemoryDisk()
    disk.replace("log", data)
    return walk.LogWalk(disk, "log", anchor=anchor, piece_bytes=piece_bytes).result()


def judged(data: bytes) -> Verdict:
    """Recovery's verdict (K16), by looking at every byte where a record may begin."""
    scanner, offset = Scanner(), 0
    while offset < len(data):
        end = data.find(b"\n", offset)
        record = decode(data[offset:end]) if end >= 0 else None
        if record is None or scanner.objection(record):
            break
        scanner.take(record, offset, end + 1)
        offset = end + 1
    for start in range(offset + 1, len(data)):
        record = decode(data[start:].partition(b"\n")[0])
        if record is not None and record.id - record.place > scanner.next_id:
            return scanner.next_id, scanner.last.end, "damage", offset
    what = "torn" if scanner.last.end < len(data) else "whole"
    return scanner.next_id, scanner.last.end, what, None
