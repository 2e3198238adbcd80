"""One line of `events.jsonl` <-> one record (K10). Pure; bytes in, bytes out.

    {"id":12,"epoch":3,"batch":[0,2],"crc":"89abcdef","event":{…}}

`batch` is [place in the batch, size of the batch]; `crc` is the CRC-32 of the line up to `"crc"` followed by the
event. The form is canonical: what does not look exactly like this is damage. The scanner tells which line
may follow which.
"""

import re
import zlib
from array import array
from collections.abc import Sequence

import attrs

__all__ = [
    "BEGINNING",
    "Anchor",
    "Damage",
    "Record",
    "Scan",
    "Scanner",
    "decode",
    "encode_batch",
    "event_at",
    "points_below",
]

_LINE = re.compile(
    rb'(\{"id":(\d{1,15}),"epoch":(\d{1,15}),"batch":\[(\d{1,9}),(\d{1,9})\],)"crc":"([0-9a-f]{8})","event":(\{.*\})\}'
)
_CRC_KEY = b'"crc":"'
_EVENT_AT = len(b'"crc":"89abcdef","event":')
"""Where the event begins, counted from the `"crc"` of its line."""


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
class Anchor:
    """A record that is known to be whole and to end its batch, in the bytes [start, end) of its file: a scan may begin
    behind it."""

    id: int
    epoch: int
    checksum: int
    start: int
    end: int

    def holds(self, line: bytes) -> bool:
        """Whether these bytes, its newline included, are that record."""
        record = decode(line[:-1]) if line.endswith(b"\n") else None
        return (
            record is not None
            and (record.id, record.epoch, record.checksum) == (self.id, self.epoch, self.checksum)
            and record.place == record.size - 1
        )


BEGINNING = Anchor(id=-1, epoch=0, checksum=0, start=0, end=0)
"""Where a log begins."""


@attrs.frozen
class Damage:
    """A record that is not what it should be, with valid ones after it."""

    offset: int
    event_id: int
    why: str


@attrs.frozen
class Scan:
    """What a file holds. `last` is the record that ends the last whole batch: up to its end there is nothing else.

    `index[k]` is the offset of record 32·(first_point + k).
    """

    last: Anchor
    torn: bool
    damage: Damage | None
    first_point: int
    index: "array[int]"

    @property
    def next_id(self) -> int:
        return self.last.id + 1


def encode_batch(first_id: int, epoch: int, events: Sequence[bytes]) -> list[bytes]:
    """The lines of one atomic batch; each event is one JSON object without a newline in it."""
    size = len(events)
    return [_encode(first_id + place, epoch, place, size, event) for place, event in enumerate(events)]


def _encode(event_id: int, epoch: int, place: int, size: int, event: bytes) -> bytes:
    head = b'{"id":%d,"epoch":%d,"batch":[%d,%d],' % (event_id, epoch, place, size)
    return b'%b"crc":"%08x","event":%b}\n' % (head, zlib.crc32(event, zlib.crc32(head)), event)


def event_at(line: bytes, event_id: int) -> bytes | None:
    """The event on a line without its newline, if that is the record with this id and whole; else None.

    As `decode`, for those who want the event alone: a third of its cost.
    """
    crc_at = line.find(_CRC_KEY)
    event = line[crc_at + _EVENT_AT : -1]
    sealed = b'%08x","event":' % zlib.crc32(event, zlib.crc32(line[:crc_at]))
    is_whole = line[crc_at + len(_CRC_KEY) : crc_at + _EVENT_AT] == sealed and line.endswith(b"}")
    return event if is_whole and line.startswith(b'{"id":%d,' % event_id) else None


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


class Scanner:
    """What the lines so far amount to, behind an anchor. Whoever feeds it asks for the `objection` before every `take`.

    `last` is the record that ends the last whole batch; `index` see `Scan`.
    """

    def __init__(self, anchor: Anchor = BEGINNING) -> None:
        self.expected_id = anchor.id + 1
        self.last = anchor
        self.first_point = points_below(self.expected_id)
        self.index: array[int] = array("Q")
        self._epoch = anchor.epoch
        self._place = 0
        self._batch_size = 1

    @property
    def next_id(self) -> int:
        """So many events are in whole batches."""
        return self.last.id + 1

    def objection(self, record: Record) -> str:
        """Why a record that is whole in itself cannot stand here; empty when it can."""
        if record.id != self.expected_id:
            return f"id {record.id} where {self.expected_id} belongs"
        if record.epoch < self._epoch:
            return f"epoch {record.epoch} after {self._epoch}"
        size = record.size if self._place == 0 else self._batch_size
        if record.place != self._place or record.size != size or not record.place < record.size:
            return "it does not fit its batch"
        return ""

    def take(self, record: Record, offset: int, end: int) -> None:
        if record.id % INDEX_STRIDE == 0:
            self.index.append(offset)
        self.expected_id += 1
        self._epoch, self._batch_size = record.epoch, record.size
        self._place = (record.place + 1) % record.size
        if self._place == 0:
            self.last = Anchor(record.id, record.epoch, record.checksum, offset, end)

    def result(self, *, is_torn: bool, damage: Damage | None = None) -> Scan:
        return Scan(
            self.last, is_torn, damage, self.first_point, self.index[: points_below(self.next_id) - self.first_point]
        )


def points_below(event_id: int) -> int:
    """How many of the records below this id have their offset in the index."""
    return -(-event_id // INDEX_STRIDE)
