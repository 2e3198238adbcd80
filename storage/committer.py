"""Group commit across conversations (K8, K9): one task gathers what is to be appended, writes all of it, syncs all of
it and releases all who wait. While one group is on the disk, the next gathers.

A failure reaches only those who appended to the failing file: a failed write is cut back (K14), a failed sync is
never tried again on the same descriptor (K15).
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from functools import partial

import attrs
import trio

from storage.disk import AppendFile, Disk
from storage.errors import OutcomeUnknown, StorageDegraded, StorageError

__all__ = ["Append", "Committer", "Durability"]

SYNC_THREADS_MAX = 4
"""Syncs of different files overlap on most disks up to about four; beyond that they only queue deeper."""

ASYNC_WINDOW_SECONDS = 0.1
"""In mode `async`, what a power cut may take with it."""


class Durability(StrEnum):
    """What an acknowledgement means (K9)."""

    SYNC = "sync"
    ASYNC = "async"


@attrs.define(eq=False)
class Append:
    """Bytes on their way to the end of a file; `offset` is where they must begin."""

    file: AppendFile
    offset: int
    data: bytes
    error: StorageError | None = None
    done: bool = False
    _waiters: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    def settle(self) -> None:
        self.done = True
        self._waiters.unpark_all()

    async def wait(self) -> None:
        """Return when the bytes are durable; raises `StorageDegraded` or `OutcomeUnknown`."""
        while not self.done:
            await self._waiters.park()
        if self.error is not None:
            raise self.error


class Committer:
    """`run` must be alive in some nursery for appends to end."""

    def __init__(self, disk: Disk, durability: Durability = Durability.SYNC) -> None:
        self._disk = disk
        self._durability = durability
        self._pending: list[Append] = []
        self._unsynced: dict[int, AppendFile] = {}
        self._work = trio.lowlevel.ParkingLot()
        self._threads = ThreadPoolExecutor(SYNC_THREADS_MAX, "greenroom-sync")
        self._groups = 0
        self._appends = 0

    def submit(self, append: Append) -> None:
        """Take the bytes into the next group."""
        self._pending.append(append)
        self._work.unpark()

    async def run(self) -> None:
        """Commit group after group until cancelled; a group that has begun is brought to its end."""
        try:
            while True:
                await self._wait_for_work()
                group, self._pending = self._pending, []
                try:
                    await self._disk.run(partial(self._commit, group))
                finally:
                    for append in group:
                        append.settle()
                self._groups += 1
                self._appends += len(group)
        finally:
            self._threads.shutdown()

    async def _wait_for_work(self) -> None:
        if self._pending:
            return
        window = ASYNC_WINDOW_SECONDS if self._unsynced else float("inf")
        with trio.move_on_after(window):
            await self._work.park()

    def _commit(self, group: Sequence[Append]) -> None:
        """In the disk's own thread: write everything, then sync everything."""
        for append in group:
            _write(append)
        files = {id(append.file): append.file for append in group if append.error is None}
        if self._durability is Durability.ASYNC:
            due, self._unsynced = (self._unsynced, files) if not group else ({}, self._unsynced | files)
        else:
            due = files
        failures = self._sync(list(due.values()))
        for append in group:
            append.error = append.error or failures.get(id(append.file))

    def _sync(self, files: list[AppendFile]) -> dict[int, StorageError]:
        # One file alone is not worth a second thread.
        results = [_sync_one(files[0])] if len(files) == 1 else list(self._threads.map(_sync_one, files))
        return {id(file): error for file, error in zip(files, results, strict=True) if error is not None}

    def forget(self, file: AppendFile) -> None:
        """The file is about to be closed."""
        self._unsynced.pop(id(file), None)

    def statistics(self) -> dict[str, int]:
        return {"groups": self._groups, "appends": self._appends, "pending": len(self._pending)}

    def __repr__(self) -> str:
        return f"<Committer {self._durability} {self._appends} appends in {self._groups} groups>"


def _write(append: Append) -> None:
    try:
        append.file.write(append.data)
    except OSError as failure:
        append.error = _cut_back(append, failure)


def _cut_back(append: Append, failure: OSError) -> StorageError:
    try:
        append.file.truncate(append.offset)
    except OSError as second:
        return OutcomeUnknown(f"a failed write could not be cut back: {failure}; {second}")
    return StorageDegraded(f"the write failed and was cut back: {failure}")


def _sync_one(file: AppendFile) -> StorageError | None:
    try:
        file.sync()
    except OSError as failure:
        return OutcomeUnknown(f"the sync failed: {failure}")
    return None
