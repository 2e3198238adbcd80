"""The log opened for writing: the one appender of a conversation (K3)."""

from collections.abc import Sequence
from functools import partial

import trio

from storage import snapshot as snapshots
from storage.committer import Append, Committer
from storage.disk import AppendFile, Disk
from storage.distrust import FAILED_SYNCS_MAX
from storage.errors import CorruptLog, LogClosed, OutcomeUnknown, StorageDegraded, StorageFailing
from storage.event_log.files import LogFiles
from storage.event_log.opening import Found, Repair, corrupt, find, mend
from storage.event_log.reader import READ_BYTES_MAX, Reader, take_first_look
from storage.event_log.tail import Tail
from storage.record import INDEX_STRIDE, Anchor, encode_batch
from storage.snapshot import Snapshot

__all__ = ["EventLog"]

_CRC_KEY = b'"crc":"'

HEAD_BYTES_MAX = 128
"""Up to the end of its `crc` no line has more: its numbers are bounded (see `storage.record`)."""


class EventLog(Reader):
    """One appender at a time: its actor. `repair` says what recovery cut off, or found missing."""

    def __init__(self, files: LogFiles, found: Found, file: AppendFile, committer: Committer) -> None:
        super().__init__(files, found)
        self.epoch = found.epoch + 1
        self.repair: Repair | None = None
        self._last = found.scan.last
        self._last_line = (b"", 0)
        """How the last record that was appended begins, and where; `_last` is made of it when it is asked for."""
        self._file = file
        self._committer = committer
        self._tail = Tail(found.scan.next_id)
        self._closed = False
        self._doubted = files.path in committer.distrust

    @classmethod
    async def open(cls, disk: Disk, path: str, committer: Committer, quarantine: str) -> "EventLog":
        """Verify, cut a torn tail into the folder `quarantine`, open.

        Raises `CorruptLog` for a bad middle (K16), `StorageFailing` after too many failed syncs in a row (K15),
        `OutcomeUnknown` when one fails now, `Unreadable`, and `StorageDegraded` when what is torn cannot be cut yet.
        """
        return await disk.run(partial(cls._open, LogFiles(disk, path), committer, quarantine))

    @classmethod
    def _open(cls, files: LogFiles, committer: Committer, quarantine: str) -> "EventLog":
        distrust, path = committer.distrust, files.path
        doubt = distrust.of(path)
        if doubt.failed_syncs >= FAILED_SYNCS_MAX:
            distrust.give_one_more_try(path)
            raise StorageFailing(f"{path}: {doubt.failed_syncs} syncs in a row have failed")
        take_first_look(files, distrust)
        found = find(files, from_snapshot=not doubt.is_stale and not doubt.is_damaged)
        if found.scan.damage is not None:
            raise corrupt(path, found.scan.damage)
        try:
            bytes_cut, kept = mend(files, found.scan, quarantine, is_stale=doubt.is_stale)
        except StorageDegraded:
            if doubt.is_stale:
                distrust.sync_failed(path, doubt.next_id)
            raise
        if doubt.is_stale:
            distrust.moved(path)
        log = cls(files, found, files.disk.open_append(path), committer)
        is_loss = found.has_lost or found.scan.next_id < doubt.next_id
        if bytes_cut or is_loss:
            log.repair = Repair(found.scan.next_id, bytes_cut, kept, is_loss)
        return log

    async def append(self, batches: Sequence[Sequence[bytes]]) -> None:
        """Write all of it atomically, in order, with ids from `next_id` on; return when it is durable (K8).

        Raises `StorageDegraded` (nothing of it is there), `OutcomeUnknown` (open the log anew to know), `CorruptLog`
        (a reader has met damage: nothing is written behind it) or `LogClosed`.
        """
        if self.damage is not None:
            raise self.damage
        if self._closed:
            raise LogClosed(f"{self._files.path} takes no more events")
        # One atomic batch for the whole turn (docs/decisions/0008): of several, a power cut may leave a hole in an
        # early one and a later one whole, which recovery could not tell from a bad middle.
        events = [event for batch in batches for event in batch]
        lines = encode_batch(self.next_id, self.epoch, events)
        append = Append(self._files.path, self._file, self._end, b"".join(lines))
        try:
            await self._committer.commit(append)
        except OutcomeUnknown:
            self._close_for_doubt()
            raise
        except trio.Cancelled:
            # Its actor is at its end, and nothing may be written behind the next one, which reads the file.
            self._closed = True
            raise
        self._adopt(lines, events)

    def _close_for_doubt(self) -> None:
        self._closed = True
        self._committer.distrust.sync_failed(self._files.path, self.next_id)

    def read_tail(self, start: int, stop: int) -> list[bytes] | None:
        """Recent events [start, stop) from memory, or None when they are not all here."""
        return self._tail.get(start, stop)

    async def read(self, start: int, stop: int, *, bytes_max: int = READ_BYTES_MAX) -> list[bytes]:
        """As for any log, from memory where possible."""
        recent = self._tail.get(start, stop, bytes_max)
        if recent is not None:
            await trio.lowlevel.checkpoint()
            return recent
        try:
            return await super().read(start, stop, bytes_max=bytes_max)
        except CorruptLog:
            self._committer.distrust.met_damage(self._files.path, self.next_id)
            raise

    async def save_snapshot(self, document: object) -> None:
        """Save the state after the last event, and the index so far. Both are only caches (K18).

        Raises `OSError`, or `StorageDegraded` untried (K14).
        """
        last = self._find_last()
        if last.id < 0 or self.damage is not None:
            await trio.lowlevel.checkpoint()
            return
        with self._committer.health.writing():
            self._index.forget(await self._files.disk.run(partial(self._save, Snapshot(last.id, last, document))))
        if self.damage is not None:  # met meanwhile
            await self._files.disk.run(partial(self._remember, self.damage.event_id))

    def _save(self, snapshot: Snapshot) -> int:
        # In this order: an index that reaches beyond its snapshot would have to be cut back.
        snapshots.save(self._files.disk, self._files.snapshot, snapshot)
        return self._index.save()

    async def close(self) -> None:
        """Let go of the file, and of what is kept for live readers: who still reads here does so from the file. Nothing
        of mode `sync` is lost by not calling this."""
        self._closed = True
        self._tail = Tail(self.next_id)
        if await self._committer.close(self._file) is not None:
            self._close_for_doubt()

    def _adopt(self, lines: list[bytes], events: list[bytes]) -> None:
        if self._doubted:
            self._committer.distrust.synced(self._files.path)
            self._doubted = False
        for line in lines:
            if self.next_id % INDEX_STRIDE == 0:
                self._index.add(self._end)
            self.next_id += 1
            self._end += len(line)
        if lines:
            self._last_line = (lines[-1][:HEAD_BYTES_MAX], self._end - len(lines[-1]))
        self._tail.extend(events)

    def _find_last(self) -> Anchor:
        head, start = self._last_line
        if self._last.end < self._end:
            crc_at = head.index(_CRC_KEY) + len(_CRC_KEY)
            self._last = Anchor(self.next_id - 1, self.epoch, int(head[crc_at : crc_at + 8], 16), start, self._end)
        return self._last

    def __repr__(self) -> str:
        state = " damaged" if self.damage else " closed" if self._closed else ""
        return f"<EventLog {self._files.path} next_id={self.next_id} epoch={self.epoch}{state}>"
