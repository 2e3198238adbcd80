"""Going through one log from its first byte to its last, in pieces: logs may be larger than memory.

What lives here: the walk that `verify` and `repair` take, which hands out whole batches while they are good, and after
that every record that is whole in itself; and `scan`, which is what opening a log makes of such a walk. What must not:
a change of the file.
"""

import re
from collections.abc import Callable, Iterator
from sys import maxsize
from typing import TypeAlias

import attrs

from storage.disk import Disk
from storage.record import BEGINNING, Anchor, Damage, Record, Scan, Scanner, decode

__all__ = ["LINE_BYTES_MAX", "PIECE_BYTES", "Located", "LogWalk", "pieces", "scan"]

PIECE_BYTES = 1024 * 1024
"""One read of the disk."""

LINE_BYTES_MAX = 64 * 1024 * 1024
"""Nothing that is ever written comes near it: a body has 4 MiB, and stands in its event twice. What is longer is
damage, and is looked through a part at a time."""

_HEAD = re.compile(rb'\{"id":\d{1,15},"epoch":\d{1,15},"batch":\[\d{1,9},\d{1,9}\],"crc":"')
_HEAD_BEGINS = b'{"id":'


_Line: TypeAlias = tuple[int, bytes, bool]
"""Offset, bytes without the newline, and whether there is one."""


@attrs.frozen
class Located:
    """A record that is whole in itself; its line is the bytes [offset, end), with the newline if there is one."""

    record: Record
    offset: int
    end: int

    @property
    def anchor(self) -> Anchor:
        return Anchor(self.record.id, self.record.epoch, self.record.checksum, self.offset, self.end)


class LogWalk:
    """One walk: first through `batches`, to their end, then through `behind`. Both raise `OSError`.

    It goes over the bytes behind `anchor`, up to `end` or the end of the file. `told` is handed the number of bytes of
    each piece that was read.
    """

    def __init__(
        self,
        disk: Disk,
        path: str,
        told: Callable[[int], None] = lambda _: None,
        *,
        piece_bytes: int = PIECE_BYTES,
        anchor: Anchor = BEGINNING,
        end: int | None = None,
    ) -> None:
        self._lines = _lines(_tell(pieces(disk, path, anchor.end, end, piece_bytes), told), anchor.end)
        self._scanner = Scanner(anchor)
        self._batch: list[Located] = []
        self._bad_line: _Line = (0, b"", False)
        self.stop: Damage | None = None
        """Where the good part ended though the file did not; `event_id` is that of the record expected there."""
        self.epoch_max = 0
        """The highest that any record had, also behind the damage (K3)."""

    @property
    def next_id(self) -> int:
        """So many events are in whole batches."""
        return self._scanner.next_id

    @property
    def good_bytes(self) -> int:
        """So many bytes those batches have."""
        return self._scanner.last.end

    @property
    def is_torn(self) -> bool:
        """Whether there is anything after the good part: a bad line, or a batch without its end (K16)."""
        return self.stop is not None or bool(self._batch)

    def batches(self) -> Iterator[list[Located]]:
        """Whole batches, from the first on."""
        for found in self._lines:
            offset, line, is_whole = found
            record = decode(line) if is_whole else None
            why = "the line is damaged" if record is None else self._scanner.objection(record)
            if record is None or why:
                self.stop = Damage(offset, self._scanner.expected_id, why)
                self._bad_line = found
                return
            located = Located(record, offset, offset + len(line) + 1)
            self._scanner.take(record, offset, located.end)
            self.epoch_max = max(self.epoch_max, record.epoch)
            self._batch.append(located)
            if self._scanner.last.end == located.end:
                batch, self._batch = self._batch, []
                yield batch

    def behind(self) -> Iterator[Located]:
        """What is whole after the good part: of a batch without its end, and after the damage, wherever it begins."""
        yield from self._batch
        if self.stop is None:
            return
        # The bad line may be two, if the newline between them is what was damaged.
        yield from self._found(self._bad_line, 1)
        for line in self._lines:
            yield from self._found(line, 0)

    def is_later(self, record: Record) -> bool:
        """Whether it belongs to a batch after the one that is bad: then that was no torn end (K16)."""
        return record.id - record.place > self._scanner.next_id

    def result(self) -> Scan:
        """What the rest of the walk amounts to."""
        for _ in self.batches():
            pass
        is_corrupt = any(self.is_later(located.record) for located in self.behind())
        return self._scanner.result(is_torn=self.is_torn and not is_corrupt, damage=self.stop if is_corrupt else None)

    def _found(self, line: _Line, start: int) -> Iterator[Located]:
        offset, data, has_newline = line
        for head in _HEAD.finditer(data, start):
            record = decode(data[head.start() :])
            if record is not None:
                self.epoch_max = max(self.epoch_max, record.epoch)
                yield Located(record, offset + head.start(), offset + len(data) + has_newline)
                return


def scan(disk: Disk, path: str, anchor: Anchor = BEGINNING, end: int | None = None) -> Scan:
    """Verify what follows the anchor, to the end of the file or up to `end`. Raises `OSError`."""
    return LogWalk(disk, path, anchor=anchor, end=end).result()


def pieces(disk: Disk, path: str, start: int, end: int | None, piece_bytes: int) -> Iterator[bytes]:
    """The bytes [start, end) of a file as they are asked for, fewer where it ends before. Raises `OSError`."""
    end = maxsize if end is None else end
    while start < end and (piece := disk.read(path, start, min(start + piece_bytes, end))):
        yield piece
        start += len(piece)


def _lines(found: Iterator[bytes], offset: int) -> Iterator[_Line]:
    """What is too long comes in parts, without a newline."""
    rest = b""
    for piece in found:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield offset, line, True
            offset += len(line) + 1
        if len(rest) > LINE_BYTES_MAX:
            # A record may begin in it, so what could be its beginning stays for the next part.
            cut = rest.rfind(_HEAD_BEGINS, 1)
            cut = cut if cut > 0 else len(rest) - len(_HEAD_BEGINS)
            yield offset, rest[:cut], False
            offset, rest = offset + cut, rest[cut:]
    if rest:
        yield offset, rest, False


def _tell(found: Iterator[bytes], told: Callable[[int], None]) -> Iterator[bytes]:
    for piece in found:
        told(len(piece))
        yield piece
