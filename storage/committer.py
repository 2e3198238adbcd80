"""Group commit across conversations (K8, K9): one task gathers what is to be appended, writes all of it, syncs all of
it and releases all who wait. While one group is on the disk, the next gathers.

A failure reaches only those who appended to the failing file: a failed write is cut back (K14), a failed sync is
never tried again on the same descriptor (K15).
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from functools import partial

import attrs
import trio

from storage.disk import AppendFile, Disk
from storage.distrust import Distrust
from storage.errors import OutcomeUnknown, StorageDegraded, StorageError
from storage.histogram import Histogram

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
    error: StorageError | None = attrs.field(factory=lambda: OutcomeUnknown("the committer stopped in the middle"))
    done: bool = False
    submitted_at: float = attrs.field(factory=trio.current_time)
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
    """`run` must be alive in some nursery for appends to end.

    `distrust` is what the logs that append here have against their files (K15).
    """

    def __init__(self, disk: Disk, durability: Durability = Durability.SYNC, distrust: Distrust | None = None) -> None:
        self._disk = disk
        self._durability = durability
        self._pending: list[Append] = []
        self._unsynced: dict[int, AppendFile] = {}
        self._sync_at = float("inf")
        self._failed: dict[int, AppendFile] = {}
        self._work = trio.lowlevel.ParkingLot()
        self._busy = False
        self._group_ends = trio.lowlevel.ParkingLot()
        self.distrust = distrust or Distrust()
        self._threads = ThreadPoolExecutor(SYNC_THREADS_MAX, "greenroom-sync")
        self._groups = 0
        self._appends = 0
        self.append_times = Histogram()
        """From the submission of an append to its end."""
        self.sync_times = Histogram()
        """Of a whole group's syncs."""

    def submit(self, append: Append) -> None:
        """Take the bytes into the next group."""
        self._pending.append(append)
        self._work.unpark()

    def withdraw(self, append: Append) -> bool:
        """Take it back; False when its group has begun, which then ends, whoever waits."""
        if append not in self._pending:
            return False
        self._pending.remove(append)
        return True

    async def run(self) -> None:
        """Commit group after group until cancelled; a group that has begun is brought to its end."""
        try:
            while True:
                await self._wait_for_work()
                await self._commit_group()
        finally:
            with trio.CancelScope(shield=True):
                await self._disk.run(partial(self._sync, list(self._unsynced.values())))
            for append in self._pending:
                append.settle()
            self._threads.shutdown()

    async def _wait_for_work(self) -> None:
        if self._pending:
            return
        with trio.move_on_at(self._sync_at):
            await self._work.park()

    async def _commit_group(self) -> None:
        group, self._pending = self._pending, []
        due = self._take_due()
        self._busy = True
        try:
            failed = await self._disk.run(partial(self._commit, group, due))
        finally:
            self._busy = False
            self._group_ends.unpark_all()
            now = trio.current_time()
            for append in group:
                append.settle()
                self.append_times.add(now - append.submitted_at)
        self._failed |= failed
        self._groups += 1
        self._appends += len(group)
        if self._durability is Durability.ASYNC:
            self._owe({id(append.file): append.file for append in group if append.error is None})

    def _take_due(self) -> dict[int, AppendFile]:
        """What mode `async` has to sync by now: even when groups never cease, the window is kept (K9)."""
        if trio.current_time() < self._sync_at:
            return {}
        due, self._unsynced, self._sync_at = self._unsynced, {}, float("inf")
        return due

    def _owe(self, files: dict[int, AppendFile]) -> None:
        if files and not self._unsynced:
            self._sync_at = trio.current_time() + ASYNC_WINDOW_SECONDS
        self._unsynced |= files

    def _commit(self, group: Sequence[Append], due: dict[int, AppendFile]) -> dict[int, AppendFile]:
        """In the disk's own thread: write everything, then sync what is due. Returns files that failed unnoticed."""
        outcomes = [self._write(append) for append in group]
        written = {id(append.file): append.file for append, error in zip(group, outcomes, strict=True) if error is None}
        if self._durability is Durability.SYNC:
            due = written
        began = time.perf_counter()
        failures = self._sync(list(due.values()))
        if due:
            self.sync_times.add(time.perf_counter() - began)
        for append, error in zip(group, outcomes, strict=True):
            append.error = error or failures.get(id(append.file))
        return {key: file for key, file in due.items() if key in failures and key not in written}

    def _write(self, append: Append) -> StorageError | None:
        """In mode `async`, a sync that failed when nobody waited is told to the next who appends (K15)."""
        if self._failed.pop(id(append.file), None) is not None:
            return OutcomeUnknown("an earlier sync of this file failed")
        return _write(append)

    def _sync(self, files: list[AppendFile]) -> dict[int, StorageError]:
        # One share a thread: handing over each file by itself costs more than half of what its sync does.
        shares = [files[place::SYNC_THREADS_MAX] for place in range(min(SYNC_THREADS_MAX, len(files)))]
        # One share alone is not worth a second thread.
        done = [_sync_each(shares[0])] if len(shares) == 1 else self._threads.map(_sync_each, shares)
        return {key: error for failures in done for key, error in failures.items()}

    async def close(self, file: AppendFile) -> StorageError | None:
        """Sync what mode `async` still owes this file and close it; says when a sync of it has failed."""
        while self._busy:
            await self._group_ends.park()
        error: StorageError | None = None
        if self._failed.pop(id(file), None) is not None:
            error = OutcomeUnknown("an earlier sync of this file failed")
        owed = self._unsynced.pop(id(file), None) is not None
        return await self._disk.run(partial(_close, file, error, owed=owed))

    def statistics(self) -> dict[str, int]:
        return {"groups": self._groups, "appends": self._appends, "pending": len(self._pending)}

    def __repr__(self) -> str:
        return f"<Committer {self._durability} {self._appends} appends in {self._groups} groups>"


def _write(append: Append) -> StorageError | None:
    try:
        append.file.write(append.data)
    except OSError as failure:
        return _cut_back(append, failure)
    return None


def _cut_back(append: Append, failure: OSError) -> StorageError:
    try:
        append.file.truncate(append.offset)
    except OSError as second:
        return OutcomeUnknown(f"a failed write could not be cut back: {failure}; {second}")
    return StorageDegraded(f"the write failed and was cut back: {failure}")


def _sync_each(files: Sequence[AppendFile]) -> dict[int, StorageError]:
    """The failures, by `id` of the file."""
    return {id(file): error for file in files if (error := _sync_one(file)) is not None}


def _sync_one(file: AppendFile) -> StorageError | None:
    try:
        file.sync()
    except OSError as failure:
        return OutcomeUnknown(f"the sync failed: {failure}")
    return None


def _close(file: AppendFile, error: StorageError | None, *, owed: bool) -> StorageError | None:
    if owed and error is None:
        error = _sync_one(file)
    file.close()
    return error
