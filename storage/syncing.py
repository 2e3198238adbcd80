"""Syncing many files at once, each answered for by itself (K15).

What lives here: one after the other, for disks without threads; for the real one all of them by the kernel, or a share
of them in each of several threads. What must not: what follows from a failure; and trying again, since after a failed
sync the kernel calls pages clean that are on no disk.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from storage.descriptors import LocalAppendFile
from storage.disk import AppendFile
from storage.kernel_sync import KernelSync

__all__ = ["SyncThreads", "sync_by_kernel", "sync_each"]

THREADS_MAX = 8
"""Syncs on their way at the same time share the file system's own commits; twice as many brought no more."""


def sync_each(files: Sequence[AppendFile]) -> list[OSError | None]:
    """Sync every file once. What went wrong with each."""
    return [_sync(file) for file in files]


def _sync(file: AppendFile) -> OSError | None:
    try:
        file.sync()
    except OSError as failure:
        return failure
    return None


class SyncThreads:
    """For use from threads: `sync` blocks."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS_MAX, "greenroom-sync")

    def sync(self, files: Sequence[AppendFile]) -> list[OSError | None]:
        """As `sync_each`."""
        if len(files) < 2:
            return sync_each(files)
        # One share a thread: handing over each file by itself costs more than half of what its sync does.
        count = min(THREADS_MAX, len(files))
        failures: list[OSError | None] = [None] * len(files)
        for place, share in enumerate(self._pool.map(sync_each, [files[place::count] for place in range(count)])):
            failures[place::count] = share
        return failures


def sync_by_kernel(kernel: KernelSync, files: Sequence[LocalAppendFile]) -> list[OSError | None]:
    """As `sync_each`. For use from threads."""
    begun: list[tuple[int, int]] = []
    failures: list[OSError | None] = [None] * len(files)
    for place, file in enumerate(files):
        try:
            begun.append((place, file.begin_sync()))
        except OSError as failure:
            failures[place] = failure
    for (place, _), error in zip(begun, kernel.sync([descriptor for _, descriptor in begun]), strict=True):
        files[place].end_sync(error)
        failures[place] = error
    return failures
