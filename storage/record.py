"""One line of `events.jsonl` <-> one record (K10). Pure; bytes in, bytes out.

    {"id":12,"epoch":3,"batch":[0,2],"crc":"89abcdef","event":{…}}

`batch` is [place in the batch, size of the batch]; `crc` is the CRC-32 of the line up to `"crc"` followed by the
event. The form is canonical: what does not look exactly like this is damage. The scanner tells a torn tail, which
recovery cuts, from a bad middle, which it must not touch (K16).
"""

import re
import zlib
from array import array
from collections.abc import Sequence

import attrs

__all__ = ["Damage", "Record", "Scan", "Scanner", "decode", "encode_batch", "event_of", "scan"]

_LINE = re.compile(
    rb'(\{"id":(\d{1,15}),"epoch":(\d{1,15}),"batch":\[(\d{1,9}),(\d{1,9})\],)"crc":"([0-9a-f]{8})","event":(\{.*\})\}'
)
_EVENT_KEY = b'"event":'
_LINE_HEAD = re.compile(rb'\{"id":')

INDEX_STRIDE = 32
"""Every so many records one offset is kept: 60,000 events cost 15 KB, and a read wastes at most 31 lines."""


@attrs.frozen
class Record:
    """A verified line."""

    id: int
    epoch: int
    place: int
    size: int
    event: bytes
    checksum: int


@attrs.frozen
class Damage:
    """A record that is not what it should be, with valid ones after it."""

    offset: int
    event_id: int
    why: str


@attrs.frozen
class Scan:
    """What a file holds. `good_bytes` end with the last whole batch; `index[k]` is the offset of record 32·k."""

    next_id: int
    epoch: int
    checksum: int
    good_bytes: int
    torn: bool
    damage: Damage | None
    index: "array[int]"


def encode_batch(first_id: int, epoch: int, events: Sequence[bytes]) -> list[bytes]:
    """The lines of one atomic batch; each event is one JSON object without a newline in it."""
    size = len(events)
    return [_encode(first_id + place, epoch, place, size, event) for place, event in enumerate(events)]


def _encode(event_id: int, epoch: int, place: int, size: int, event: bytes) -> bytes:
    head = b'{"id":%d,"epoch":%d,"batch":[%d,%d],' % (event_id, epoch, place, size)
    return b'%b"crc":"%08x","event":%b}\n' % (head, zlib.crc32(event, zlib.crc32(head)), event)


def event_of(line: bytes) -> bytes:
    """The event of a line that is known to be good, with or without its newline."""
    return line.rstrip(b"\n")[line.index(_EVENT_KEY) + len(_EVENT_KEY) : -1]


def decode(line: bytes) -> Record | None:
    """The record on a line without its newline, or None when it is damaged."""
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    head, event_id, epoch, place, size, crc, event = match.groups()
    checksum = zlib.crc32(event, zlib.crc32(head))
    if checksum != int(crc, 16):
        return None
    return Record(int(event_id), int(epoch), int(place), int(size), event, checksum)


def scan(data: bytes) -> Scan:
    """Verify a whole log."""
    scanner = Scanner()
    offset = 0
    while offset < len(data):
        end = data.find(b"\n", offset)
        record = decode(data[offset:end]) if end >= 0 else None
        why = "the line is damaged" if record is None else scanner.objection(record)
        if record is None or why:
            return scanner.ended(offset, why, data)
        scanner.take(record, offset, end + 1)
        offset = end + 1
    return scanner.result(torn=scanner.good_bytes < len(data))


def _line_at(data: bytes, offset: int) -> bytes:
    end = data.find(b"\n", offset)
    return data[offset : end if end >= 0 else len(data)]


class Scanner:
    """What the lines so far amount to. Whoever feeds it asks for the `objection` before every `take`."""

    def __init__(self) -> None:
        self.expected_id = 0
        self.epoch = 0
        self.place = 0
        self.batch_size = 1
        self.checksum = 0
        self.index: array[int] = array("Q")
        self.next_id = 0
        self.good_bytes = 0
        self.good_checksum = 0
        self.good_epoch = 0

    def objection(self, record: Record) -> str:
        """Why a record that is whole in itself cannot stand here; empty when it can."""
        if record.id != self.expected_id:
            return f"id {record.id} where {self.expected_id} belongs"
        if record.epoch < self.epoch:
            return f"epoch {record.epoch} after {self.epoch}"
        size = record.size if self.place == 0 else self.batch_size
        if record.place != self.place or record.size != size or not record.place < record.size:
            return "it does not fit its batch"
        return ""

    def take(self, record: Record, offset: int, end: int) -> None:
        if record.id % INDEX_STRIDE == 0:
            self.index.append(offset)
        self.expected_id += 1
        self.epoch, self.checksum, self.batch_size = record.epoch, record.checksum, record.size
        self.place = (record.place + 1) % record.size
        if self.place == 0:
            self.next_id, self.good_bytes = self.expected_id, end
            self.good_checksum, self.good_epoch = self.checksum, self.epoch

    def ended(self, offset: int, why: str, data: bytes) -> Scan:
        """The line at `offset` is bad: the tail is torn, unless a record of a later batch is whole.

        Records are looked for by how they begin, as the damage may have been to the newline before one.
        """
        batch_first_id = self.next_id
        for head in _LINE_HEAD.finditer(data, offset + 1):
            record = decode(_line_at(data, head.start()))
            if record is not None and record.id - record.place > batch_first_id:
                return self.result(torn=False, damage=Damage(offset, self.expected_id, why))
        return self.result(torn=True)

    def result(self, *, torn: bool, damage: Damage | None = None) -> Scan:
        kept = self.index[: -(-self.next_id // INDEX_STRIDE)]
        return Scan(self.next_id, self.good_epoch, self.good_checksum, self.good_bytes, torn, damage, kept)
