"""What mode `async` has acknowledged and not yet synced (K9), and the bound on it.

Syncing begins a tenth of a second after the first write that is owed, while further ones are taken. When the disk is
slower than that, acknowledgements wait: none is given while an older one has been owed for longer than
`OWED_SECONDS_MAX`. So what a power cut can take was all acknowledged within that time, however busy the server is.
"""

import time
from collections.abc import Callable, Iterable
from functools import partial

import trio

from storage.disk import AppendFile, Disk
from storage.errors import OutcomeUnknown, StorageError

__all__ = ["OWED_SECONDS_MAX", "SYNC_AFTER_SECONDS", "Arrears"]

SYNC_AFTER_SECONDS = 0.1
"""Long enough that a busy file is synced ten times a second at the most."""

OWED_SECONDS_MAX = 0.5
"""What a power cut may take, in seconds of acknowledgements."""

_NEVER = float("inf")


class Arrears:
    """`run` must be alive in some nursery for anything to be synced. Files are told apart by identity."""

    def __init__(self, disk: Disk, add_time: Callable[[float], None]) -> None:
        self._disk = disk
        self._add_time = add_time
        self._owed: dict[int, AppendFile] = {}
        self._owed_since = _NEVER
        self._syncing: dict[int, AppendFile] = {}
        self._syncing_since = _NEVER
        self._failed: dict[int, AppendFile] = {}
        self._begins = trio.lowlevel.ParkingLot()
        self._synced = trio.lowlevel.ParkingLot()

    def owe(self, files: Iterable[AppendFile]) -> None:
        """These were written to."""
        self._owed.update((id(file), file) for file in files)
        if self._owed and self._owed_since == _NEVER:
            self._owed_since = trio.current_time()
            self._begins.unpark_all()

    @property
    def age_seconds(self) -> float:
        """How long the oldest write has been owed; 0 when none is."""
        since = min(self._owed_since, self._syncing_since)
        return 0.0 if since == _NEVER else trio.current_time() - since

    def tell_failed(self, file: AppendFile) -> OutcomeUnknown | None:
        """A sync that failed when nobody waited, told once: to the next who appends or closes (K15)."""
        if self._failed.pop(id(file), None) is None:
            return None
        return OutcomeUnknown("an earlier sync of this file failed")

    async def wait_for_room(self) -> None:
        """Return when nothing is owed for too long."""
        while self.age_seconds >= OWED_SECONDS_MAX:
            await self._synced.park()

    async def run(self) -> None:
        while True:
            while not self._owed:
                await self._begins.park()
            await trio.sleep_until(self._owed_since + SYNC_AFTER_SECONDS)
            await self.settle()

    async def settle(self) -> None:
        """Sync what is owed by now; once begun, it is brought to its end."""
        with trio.CancelScope(shield=True):
            while self._syncing:
                await self._synced.park()
            self._syncing, self._owed = self._owed, {}
            self._syncing_since, self._owed_since = self._owed_since, _NEVER
            began = time.perf_counter()
            files = list(self._syncing.values())
            failures = await self._disk.run(partial(self._disk.sync_files, files))
            self._add_time(time.perf_counter() - began)
            self._failed.update(
                (id(file), file) for file, failure in zip(files, failures, strict=True) if failure is not None
            )
            self._syncing, self._syncing_since = {}, _NEVER
            self._synced.unpark_all()

    async def close(self, file: AppendFile) -> StorageError | None:
        """Sync the file if that is owed, and close it; says when a sync of it has failed."""
        while id(file) in self._syncing:
            await self._synced.park()
        owed = self._owed.pop(id(file), None) is not None
        if not self._owed:
            self._owed_since = _NEVER
        error: StorageError | None = self.tell_failed(file)
        return await self._disk.run(partial(_close, file, error, owed=owed))

    def __repr__(self) -> str:
        return f"<Arrears {len(self._owed)} files owed, {len(self._syncing)} syncing, {self.age_seconds:.3f} s>"


def _close(file: AppendFile, error: StorageError | None, *, owed: bool) -> StorageError | None:
    if owed and error is None:
        try:
            file.sync()
        except OSError as failure:
            error = OutcomeUnknown(f"the sync failed: {failure}")
    file.close()
    return error
