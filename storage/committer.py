"""Group commit across conversations (K8, K9): gather, write everything, sync every file, release all who wait.

A lane is one group on its way to the disk. While the lanes are busy, the next group gathers; whoever comes while one
is free and nobody waits goes at once, alone. Why this way, and with how many lanes, is in docs/decisions/0010.

A failure reaches only those who appended to the failing file: a failed write is cut back (K14), a failed sync is
never tried again on the same descriptor (K15).
"""

import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial

import attrs
import trio

from storage.arrears import Arrears
from storage.disk import AppendFile, Disk
from storage.distrust import Distrust
from storage.errors import LogClosed, OutcomeUnknown, StorageDegraded, StorageError
from storage.health import Health
from storage.histogram import Histogram

__all__ = ["Append", "Committer", "Durability"]

LANES = 2
"""While one group syncs, the next is written and begins to sync; with more, groups get small and threads get in each
other's way."""


class Durability(StrEnum):
    """What an acknowledgement means (K9)."""

    SYNC = "sync"
    ASYNC = "async"


@attrs.define(eq=False)
class Append:
    """Bytes on their way to the end of a file; `offset` is where they must begin. A file has one at a time.

    `error` says what became of them once they have been in a lane.
    """

    path: str
    file: AppendFile
    offset: int
    data: bytes
    error: StorageError | None = attrs.field(factory=lambda: OutcomeUnknown("the committer stopped in the middle"))
    _waiter: trio.lowlevel.Task | None = None

    async def wait(self, withdraw: Callable[["Append"], bool]) -> None:
        """Return when it is settled. Cancelled, it is withdrawn; where that is too late, it is waited for."""

        def abort(_: object) -> trio.lowlevel.Abort:
            return trio.lowlevel.Abort.SUCCEEDED if withdraw(self) else trio.lowlevel.Abort.FAILED

        self._waiter = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(abort)

    def settle(self) -> None:
        """Whoever was in a lane of its own does not wait."""
        if self._waiter is not None:
            trio.lowlevel.reschedule(self._waiter)


class Committer:
    """`run` must be alive in some nursery for all appends to end.

    `distrust` is what the logs that append here have against their files (K15), `health` whether the disk takes writes
    (K14).
    """

    def __init__(self, disk: Disk, durability: Durability = Durability.SYNC, distrust: Distrust | None = None) -> None:
        self._disk = disk
        self._durability = durability
        self._pending: list[Append] = []
        self._free_lanes = LANES
        self._work = trio.lowlevel.ParkingLot()
        self._stopped = False
        self.distrust = distrust or Distrust()
        self.health = Health(disk)
        self._groups = 0
        self._appends = 0
        self.append_times = Histogram()
        """From the call of `commit` to its end."""
        self.sync_times = Histogram()
        """Of the syncs of one group."""
        self.arrears = Arrears(disk, self.sync_times.add)

    async def commit(self, append: Append) -> None:
        """Return when the bytes are durable, in mode `async` when they are written.

        Raises `StorageDegraded` (nothing of it is there) or `OutcomeUnknown`. Cancelled before it is on its way,
        nothing of it is there; afterwards it is brought to its end.
        """
        self._check(append)
        began = trio.current_time()
        if self._free_lanes and not self._pending:
            await self._commit_alone(append)
        else:
            await self._wait_for_lane(append)
        self.append_times.add(trio.current_time() - began)
        if append.error is not None:
            raise append.error

    def _check(self, append: Append) -> None:
        if self._stopped:
            raise LogClosed("the store is closed")
        if (failed := self.arrears.tell_failed(append.file)) is not None:
            raise failed
        self.health.check(append.path)

    async def run(self) -> None:
        """Give lanes to those who wait until cancelled; what is on its way is brought to its end."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.health.run)
                nursery.start_soon(self.arrears.run)
                while True:
                    if self._pending and self._free_lanes:
                        self._free_lanes -= 1
                        nursery.start_soon(self._lane)
                    await self._work.park()
        finally:
            self._stopped = True
            with trio.CancelScope(shield=True):
                while self._free_lanes < LANES:  # those who went alone are no children of this task
                    await self._work.park()
                await self.arrears.settle()
            for append in self._pending:
                append.settle()

    async def _commit_alone(self, append: Append) -> None:
        """There is nobody to share with: no detour through another task."""
        self._free_lanes -= 1
        try:
            await self._commit([append])
        finally:
            self._give_back_lane()

    async def _wait_for_lane(self, append: Append) -> None:
        self._pending.append(append)
        if self._free_lanes:
            self._work.unpark()
        await append.wait(self._withdraw)

    def _withdraw(self, append: Append) -> bool:
        if append not in self._pending:
            return False
        self._pending.remove(append)
        return True

    async def _lane(self) -> None:
        try:
            while self._pending:
                await self._commit_pending()
        finally:
            self._give_back_lane()

    def _give_back_lane(self) -> None:
        self._free_lanes += 1
        if self._pending or self._stopped:
            self._work.unpark()

    async def _commit_pending(self) -> None:
        group, self._pending = self._pending, []
        try:
            await self._commit(group)
        finally:
            for append in group:
                append.settle()

    async def _commit(self, group: Sequence[Append]) -> None:
        if self._durability is Durability.SYNC:
            self.sync_times.add(await self._disk.run(partial(self._write_and_sync, group)))
        else:
            await self._disk.run(partial(_write_all, group))
            self.arrears.owe(append.file for append in group if append.error is None)
            with trio.CancelScope(shield=True):
                await self.arrears.wait_for_room()
        self._groups += 1
        self._appends += len(group)
        for append in group:
            self._learn(append)

    def _write_and_sync(self, group: Sequence[Append]) -> float:
        """In a thread of the disk. Seconds that the syncs took."""
        _write_all(group)
        written = [append for append in group if append.error is None]
        began = time.perf_counter()
        failures = self._disk.sync_files([append.file for append in written])
        for append, failure in zip(written, failures, strict=True):
            append.error = None if failure is None else OutcomeUnknown(f"the sync failed: {failure}")
        return time.perf_counter() - began

    def _learn(self, append: Append) -> None:
        """What this write says about the next ones (K14)."""
        match append.error:
            case None:
                self.health.recovered(append.path)
            case StorageDegraded() as error:
                self.health.note(error.__cause__, len(append.data), append.path)
            case error:
                self.health.note(error.__cause__, len(append.data))

    async def close(self, file: AppendFile) -> StorageError | None:
        """Sync what mode `async` still owes this file and close it; says when a sync of it has failed."""
        return await self.arrears.close(file)

    def statistics(self) -> dict[str, int]:
        return {"groups": self._groups, "appends": self._appends, "pending": len(self._pending)}

    def __repr__(self) -> str:
        return f"<Committer {self._durability} {self._appends} appends in {self._groups} groups>"


def _write_all(group: Sequence[Append]) -> None:
    for append in group:
        append.error = _write(append)


def _write(append: Append) -> StorageError | None:
    try:
        append.file.write(append.data)
    except OSError as failure:
        return _cut_back(append, failure)
    return None


def _cut_back(append: Append, failure: OSError) -> StorageError:
    error: StorageError = StorageDegraded(f"the write failed and was cut back: {failure}")
    try:
        append.file.truncate(append.offset)
    except OSError as second:
        error = OutcomeUnknown(f"a failed write could not be cut back: {failure}; {second}")
    error.__cause__ = failure
    return error
