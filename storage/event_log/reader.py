"""Reading a log by id, for the one that is being written and for views alike.

Every event is held against its record's id and checksum before it goes out (K16); it is not decoded.
"""

from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial

import trio

from storage import snapshot as snapshots
from storage.disk import Disk
from storage.distrust import Distrust
from storage.errors import CorruptLog, OutcomeUnknown
from storage.event_log.files import LogFiles
from storage.event_log.index import SparseIndex
from storage.event_log.opening import Found, corrupt, find, scan_whole
from storage.record import INDEX_STRIDE, Damage, Scan, event_at
from storage.snapshot import Snapshot

__all__ = ["LogView", "Reader", "take_first_look"]

READ_BYTES_MAX = 256 * 1024
"""One read hands out as much; a reader comes back for more at its own pace (K33)."""


class Reader:
    """`snapshot` is the one that fits the log, if there is one. `damage` says where it stops being readable, once that
    is known."""

    def __init__(self, files: LogFiles, found: Found) -> None:
        self._files = files
        self._index = SparseIndex(files, found.scan)
        self._end = found.scan.last.end
        self.next_id = found.scan.next_id
        self.snapshot: Snapshot | None = found.snapshot
        self.damage: CorruptLog | None = None

    async def read(self, start: int, stop: int, *, bytes_max: int = READ_BYTES_MAX) -> list[bytes]:
        """Events with ids [start, min(stop, next_id)): at least one if there is one, `bytes_max` at the most unless the
        first alone is larger.

        Raises `CorruptLog` when the first is damaged; up to the damage all are handed out. Raises `Unreadable`.
        """
        stop = min(stop, self.next_id)
        if start >= stop:
            await trio.lowlevel.checkpoint()
            return []
        try:
            return await self._files.disk.run(partial(self._read, start, stop, bytes_max, self._end))
        except CorruptLog as damage:
            self.damage = damage
            raise

    async def events(self, start: int = 0) -> AsyncIterator[bytes]:
        """Every event from `start` on, up to what was there when the last piece was read. Raises as `read` does."""
        while piece := await self.read(start, self.next_id):
            for event in piece:
                yield event
            start += len(piece)

    def _read(self, start: int, stop: int, bytes_max: int, end: int) -> list[bytes]:
        with self._files.reading():
            found = self._read_verified(self._index.offset_before(start), start, stop, bytes_max, end)
            if not found:
                # Either the record is damaged or the offset was wrong: whoever reads every byte knows. A full disk may
                # refuse the index that is made of it, but not the reading.
                whole = self._scan_for_damage(end)
                found = self._read_verified(whole.index[start // INDEX_STRIDE], start, stop, bytes_max, end)
        if not found:
            raise corrupt(self._files.path, Damage(end, start, "it reads differently each time"))
        return found

    def _read_verified(self, offset: int | None, start: int, stop: int, bytes_max: int, end: int) -> list[bytes]:
        """Nothing when the first of them is not where it should be: behind `offset`, where its indexed record is."""
        found: list[bytes] = []
        if offset is None:
            return found
        for event_id, line in enumerate(self._files.lines(offset, end), start - start % INDEX_STRIDE):
            if event_id >= start:
                event = event_at(line, event_id)
                bytes_max -= len(event or b"")
                if event is None or (found and bytes_max < 0):
                    break
                found.append(event)
                if event_id == stop - 1:
                    break
        return found

    def _scan_for_damage(self, end: int) -> Scan:
        """Raises `CorruptLog`, or makes the index anew when there is no damage."""
        found = scan_whole(self._files, end)
        if found.last.end == end:
            with suppress(OSError):  # only a cache
                self._index.rebuild(found)
            return found
        damage = found.damage or Damage(found.last.end, found.next_id, "the line is damaged")
        self._remember(found.next_id)
        raise corrupt(self._files.path, damage)

    def _remember(self, readable: int) -> None:
        """That the log is damaged, so that no snapshot from behind the damage hides it at the next opening (K16)."""
        snapshot = snapshots.load(self._files.disk, self._files.snapshot)
        if snapshot is not None and snapshot.position >= readable and snapshot.anchor is not None:
            with suppress(OSError):
                snapshots.save(self._files.disk, self._files.snapshot, Snapshot(snapshot.position, None, None))


class LogView(Reader):
    """A log as it stands, for reading."""

    def __init__(self, files: LogFiles, found: Found) -> None:
        super().__init__(files, found)
        if found.scan.damage is not None:
            self.damage = corrupt(files.path, found.scan.damage)

    @classmethod
    async def open(
        cls, disk: Disk, path: str, distrust: Distrust | None = None, *, from_snapshot: bool = True
    ) -> "LogView":
        """Verify the log from its snapshot on, without changing anything. Raises `Unreadable`, `OutcomeUnknown`."""
        return await disk.run(partial(cls._open, LogFiles(disk, path), distrust or Distrust(), from_snapshot))

    @classmethod
    def _open(cls, files: LogFiles, distrust: Distrust, from_snapshot: bool) -> "LogView":  # noqa: FBT001 - see `open`
        take_first_look(files, distrust)
        doubt = distrust.of(files.path)
        view = cls(files, find(files, from_snapshot=from_snapshot and not doubt.is_damaged))
        if doubt.is_stale:
            # What is there beyond was never acknowledged, and may be on no disk: nobody is shown that (K8, K15).
            view.next_id = min(view.next_id, doubt.next_id)
        return view

    def __repr__(self) -> str:
        return f"<LogView {self._files.path} next_id={self.next_id}{' damaged' if self.damage else ''}>"


def take_first_look(files: LogFiles, distrust: Distrust) -> None:
    """After a process that did not end in peace, what is read must be what the media have (K15).

    Raises `OutcomeUnknown` when bytes that were on their way cannot be synced; looking again then shows what is left.
    """
    if not distrust.is_first_look(files.path) or not files.disk.exists(files.path):
        return
    try:
        files.disk.forget_cached(files.path)
        # The file itself may be a fresh one, and be known by name to the cache alone.
        files.disk.sync_folder(files.folder)
    except OSError as failure:
        raise OutcomeUnknown(f"{files.path}: what a killed process wrote cannot be synced: {failure}") from failure
    distrust.looked(files.path)
