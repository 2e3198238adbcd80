"""The event log of one conversation: append in atomic batches, read by id.

`EventLog` is the one writer (K3): opening it verifies everything and repairs a torn tail (K16, K17). `LogView` reads
without writing: cold conversations, and damaged ones up to the damage. Both hand out the event bytes exactly as they
were given; nothing is decoded on the way.
"""

from array import array
from collections import deque
from collections.abc import AsyncIterator, Sequence
from functools import partial

import attrs
import trio

from storage.committer import Append, Committer
from storage.disk import AppendFile, Disk
from storage.errors import CorruptLog, LogClosed, OutcomeUnknown, StorageError
from storage.record import INDEX_STRIDE, Damage, Scan, encode_batch, event_of, scan

__all__ = ["EventLog", "LogView", "Repair"]

READ_BYTES_MAX = 256 * 1024
"""One read hands out about this much; a reader comes back for more at its own pace (K33)."""

TAIL_BYTES_MAX = 256 * 1024
"""Recent events kept in memory, so that live readers never touch the disk."""


@attrs.frozen
class Repair:
    """What recovery cut off the end of a log, and where it is kept (K16)."""

    first_lost_id: int
    bytes_cut: int
    quarantine: str


class _Tail:
    """The most recent events, bounded in bytes."""

    def __init__(self, next_id: int) -> None:
        self._events: deque[bytes] = deque()
        self._first_id = next_id
        self._bytes = 0

    def extend(self, events: Sequence[bytes]) -> None:
        self._events.extend(events)
        self._bytes += sum(map(len, events))
        while self._bytes > TAIL_BYTES_MAX and len(self._events) > 1:
            self._bytes -= len(self._events.popleft())
            self._first_id += 1

    def get(self, start: int, stop: int) -> list[bytes] | None:
        """Events [start, stop), or None when the first is not here."""
        if start < self._first_id:
            return None
        skip = start - self._first_id
        return [self._events[place] for place in range(skip, min(stop - self._first_id, len(self._events)))]


class _Reader:
    """Reading by id, for both kinds of log."""

    def __init__(self, disk: Disk, path: str, found: Scan) -> None:
        self._disk = disk
        self._path = path
        self._index: array[int] = found.index
        self._end = found.good_bytes
        self.next_id = found.next_id

    async def read(self, start: int, stop: int, *, bytes_max: int = READ_BYTES_MAX) -> list[bytes]:
        """Events with ids [start, min(stop, next_id)): at least one if there is one, about `bytes_max` at the most."""
        stop = min(stop, self.next_id)
        if start >= stop:
            await trio.lowlevel.checkpoint()
            return []
        return await self._disk.run(partial(self._read_lines, start, stop, bytes_max))

    async def events(self, start: int = 0) -> AsyncIterator[bytes]:
        """Every event from `start` on, up to what was there when the last piece was read."""
        while piece := await self.read(start, self.next_id):
            for event in piece:
                yield event
            start += len(piece)

    def _read_lines(self, start: int, stop: int, bytes_max: int) -> list[bytes]:
        first = start // INDEX_STRIDE
        last = first + 1
        while last * INDEX_STRIDE < stop and self._offset(last) - self._offset(first) < bytes_max:
            last += 1
        data = self._disk.read(self._path, self._offset(first), self._offset(last))
        skip = start - first * INDEX_STRIDE
        lines = data.split(b"\n")[skip : skip + stop - start]
        return [event_of(line) for line in lines if line]

    def _offset(self, point: int) -> int:
        return self._index[point] if point < len(self._index) else self._end


class LogView(_Reader):
    """A log as it stands, for reading. `damage` says where it stops being readable."""

    def __init__(self, disk: Disk, path: str, found: Scan) -> None:
        super().__init__(disk, path, found)
        self.checksum = found.checksum
        self.damage = _corrupt(path, found.damage) if found.damage else None

    @classmethod
    async def open(cls, disk: Disk, path: str) -> "LogView":
        """Verify the log without changing anything."""
        return cls(disk, path, await disk.run(partial(_scan_file, disk, path)))

    def __repr__(self) -> str:
        return f"<LogView {self._path} next_id={self.next_id}{' damaged' if self.damage else ''}>"


class EventLog(_Reader):
    """The log opened for writing. One appender at a time: its actor."""

    def __init__(self, disk: Disk, path: str, found: Scan, file: AppendFile, committer: Committer) -> None:
        super().__init__(disk, path, found)
        self.epoch = found.epoch + 1
        self.checksum = found.checksum
        self.repair: Repair | None = None
        self._file = file
        self._committer = committer
        self._tail = _Tail(found.next_id)
        self._closed = False

    @classmethod
    async def open(cls, disk: Disk, path: str, committer: Committer, quarantine: str) -> "EventLog":
        """Verify, cut a torn tail into the folder `quarantine`, open. Raises `CorruptLog` for a bad middle (K16)."""
        return await disk.run(partial(cls._open, disk, path, committer, quarantine))

    @classmethod
    def _open(cls, disk: Disk, path: str, committer: Committer, quarantine: str) -> "EventLog":
        found = _scan_file(disk, path)
        if found.damage is not None:
            raise _corrupt(path, found.damage)
        if path in committer.distrusted:
            _renew(disk, path)
            committer.distrusted.discard(path)
        file = disk.open_append(path)
        log = cls(disk, path, found, file, committer)
        if found.torn:
            log.repair = _cut(disk, path, file, found, quarantine)
        return log

    async def append(self, batches: Sequence[Sequence[bytes]]) -> None:
        """Write each batch atomically, in order, with ids from `next_id` on; return when all are durable (K8).

        Raises `StorageDegraded` (nothing of it is there), `OutcomeUnknown` (open the log anew to know) or `LogClosed`.
        """
        if self._closed:
            raise LogClosed(f"{self._path} takes no more events")
        lines: list[bytes] = []
        for batch in batches:
            lines += encode_batch(self.next_id + len(lines), self.epoch, batch)
        append = Append(self._file, self._end, b"".join(lines))
        self._committer.submit(append)
        try:
            await append.wait()
        except OutcomeUnknown:
            self._close_for_doubt()
            raise
        except trio.Cancelled:
            # Only a new reading of the file can tell how it ended, and nothing may be written behind that reader.
            await self._let_end(append)
            raise
        self._adopt(lines, [event for batch in batches for event in batch])

    def _close_for_doubt(self) -> None:
        self._closed = True
        self._committer.distrusted.add(self._path)

    async def _let_end(self, append: Append) -> None:
        self._closed = True
        if self._committer.withdraw(append):
            return
        with trio.CancelScope(shield=True):
            try:
                await append.wait()
            except OutcomeUnknown:
                self._close_for_doubt()
            except StorageError:
                return

    def read_tail(self, start: int, stop: int) -> list[bytes] | None:
        """Recent events [start, stop) from memory, or None when they are not all here."""
        return self._tail.get(start, stop)

    async def read(self, start: int, stop: int, *, bytes_max: int = READ_BYTES_MAX) -> list[bytes]:
        """As for any log, from memory where possible."""
        recent = self._tail.get(start, stop)
        if recent is None:
            return await super().read(start, stop, bytes_max=bytes_max)
        await trio.lowlevel.checkpoint()
        return recent

    async def close(self) -> None:
        """Let go of the file. Nothing of mode `sync` is lost by not calling this."""
        self._closed = True
        if await self._committer.close(self._file) is not None:
            self._close_for_doubt()

    def _adopt(self, lines: list[bytes], events: list[bytes]) -> None:
        for line in lines:
            if self.next_id % INDEX_STRIDE == 0:
                self._index.append(self._end)
            self.next_id += 1
            self._end += len(line)
        if lines:
            start = lines[-1].index(b'"crc":"') + len(b'"crc":"')
            self.checksum = int(lines[-1][start : start + 8], 16)
        self._tail.extend(events)

    def __repr__(self) -> str:
        return f"<EventLog {self._path} next_id={self.next_id} epoch={self.epoch}{' closed' if self._closed else ''}>"


def _scan_file(disk: Disk, path: str) -> Scan:
    """A missing log is a damaged one: its conversation is listed, and whoever opens it is told so (K16)."""
    if not disk.exists(path):
        return attrs.evolve(scan(b""), damage=Damage(0, 0, "the file is missing"))
    return scan(disk.read(path, 0, disk.size(path)))


def _corrupt(path: str, damage: Damage) -> CorruptLog:
    return CorruptLog(path, offset=damage.offset, event_id=damage.event_id, why=damage.why)


def _renew(disk: Disk, path: str) -> None:
    """After a failed sync the pages look clean and may be on no disk: only a fresh file is believed (K15)."""
    try:
        disk.replace(path, disk.read(path, 0, disk.size(path)))
    except OSError as failure:
        raise StorageError(f"{path}: the log could not be moved to a fresh file: {failure}") from failure


def _cut(disk: Disk, path: str, file: AppendFile, found: Scan, quarantine: str) -> Repair:
    """Keep the torn end aside first, then cut it: a crash in between cuts it again."""
    try:
        rest = disk.read(path, found.good_bytes, file.size())
        disk.make_folder(quarantine)
        prefix = f"{path.replace('/', '-')}-{found.epoch + 1}-{found.good_bytes}-"
        # A log may tear twice at the same place before anything was appended: both ends are kept.
        before = sum(name.startswith(prefix) for name in disk.list_folder(quarantine))
        name = f"{quarantine}/{prefix}{before}"
        disk.replace(name, rest)
        file.truncate(found.good_bytes)
        file.sync()
    except OSError as failure:
        file.close()
        raise StorageError(f"{path}: the torn end could not be cut: {failure}") from failure
    return Repair(found.next_id, len(rest), name)
