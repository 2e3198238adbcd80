"""Files that grow at their end, of which only so many have a descriptor at one time.

What lives here: the real disk's append files and their pool. Ten thousand conversations may be in memory with one file
each; those that were not written to for the longest time give up their descriptor and get another one when they are
written to again. A file with bytes that are not synced keeps its own, since an error of writing them back is told to
that descriptor alone (K15).
"""

import errno
import os
from collections import OrderedDict
from pathlib import Path
from threading import RLock

import attrs

__all__ = ["Descriptors", "LocalAppendFile"]

CLOSED = -1
"""A descriptor on which every call fails with EBADF."""


@attrs.define(eq=False)
class _Slot:
    """A place for a descriptor; `identity` is that of the file that it was first opened for: device and inode.

    `is_taken`: whoever uses it need not ask. `is_unsynced`: bytes were written since the last sync began.
    """

    path: Path
    fd: int = CLOSED
    identity: tuple[int, int] | None = None
    is_taken: bool = False
    is_unsynced: bool = False


class Descriptors:
    """At most `open_max` are open, unless more files than that have unsynced bytes. Any thread may use it."""

    def __init__(self, open_max: int) -> None:
        self._open_max = open_max
        self._open = 0
        self._resting: OrderedDict[_Slot, None] = OrderedDict()
        # Reentrant, since the garbage collector may drop a forgotten file in the middle of anything.
        self._lock = RLock()

    def take(self, slot: _Slot) -> None:
        """Have a descriptor in the slot, which stays until `rest` or `drop`.

        Raises `OSError`: ESTALE when the path is another file's now.
        """
        with self._lock:
            if slot in self._resting:
                del self._resting[slot]
            elif slot.fd == CLOSED:
                self._make_room()
                slot.fd = _open(slot)
                self._open += 1
            slot.is_taken = True

    def rest(self, slot: _Slot) -> None:
        """Its descriptor may go when another one is needed, unless bytes were written meanwhile."""
        with self._lock:
            # In this order, since a writer looks without the lock: it says that it writes, and then looks.
            slot.is_taken = False
            if slot.is_unsynced:
                slot.is_taken = True
            elif slot.fd != CLOSED:
                self._resting[slot] = None

    def size(self, slot: _Slot) -> int:
        """Of the file in bytes, which changes nothing about its descriptor's staying. Raises `OSError`."""
        with self._lock:
            if slot.is_taken:
                return os.fstat(slot.fd).st_size
            self.take(slot)
            size = os.fstat(slot.fd).st_size
            self.rest(slot)
            return size

    def drop(self, slot: _Slot) -> None:
        """Close its descriptor if it has one."""
        with self._lock:
            self._resting.pop(slot, None)
            # After this the number may be another file's, and must never be written to again.
            fd, slot.fd = slot.fd, CLOSED
            if fd != CLOSED:
                self._open -= 1
                os.close(fd)

    def _make_room(self) -> None:
        while self._open >= self._open_max and self._resting:
            self.drop(next(iter(self._resting)))

    def __repr__(self) -> str:
        return f"<Descriptors {self._open} open, {len(self._resting)} of them resting>"


def _open(slot: _Slot) -> int:
    """Created the first time only: a file that has gone meanwhile is not made again, and no other one written to."""
    create = os.O_CREAT if slot.identity is None else 0
    fd = os.open(slot.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | create, 0o600)
    found = os.fstat(fd)
    identity = (found.st_dev, found.st_ino)
    if slot.identity not in (None, identity):
        os.close(fd)
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(slot.path))
    slot.identity = identity
    return fd


class LocalAppendFile:
    """See `storage.disk.AppendFile`. After `close` and after a failed sync every call fails."""

    _is_over = True

    def __init__(self, path: Path, descriptors: Descriptors) -> None:
        self._descriptors = descriptors
        self._slot = _Slot(path)
        descriptors.take(self._slot)
        self._is_over = False
        descriptors.rest(self._slot)

    def write(self, data: bytes) -> None:
        descriptor, rest = self._begin_write(), memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    def truncate(self, size: int) -> None:
        os.ftruncate(self._begin_write(), size)

    def sync(self) -> None:
        descriptor = self.begin_sync()
        try:
            os.fdatasync(descriptor)
        except OSError as failure:
            self.end_sync(failure)
            raise
        self.end_sync(None)

    def begin_sync(self) -> int:
        """The descriptor, for whoever syncs it; it stays until `end_sync`. Raises `OSError`."""
        descriptor = self._take()
        self._slot.is_unsynced = False
        return descriptor

    def end_sync(self, error: OSError | None) -> None:
        """How that sync ended; after a failed one the descriptor is never used again (K15)."""
        if error is None:
            self._descriptors.rest(self._slot)
        else:
            self.close()

    def _begin_write(self) -> int:
        self._slot.is_unsynced = True
        return self._take()

    def _take(self) -> int:
        self._check()
        if not self._slot.is_taken:
            self._descriptors.take(self._slot)
        return self._slot.fd

    def size(self) -> int:
        self._check()
        return self._descriptors.size(self._slot)

    def _check(self) -> None:
        if self._is_over:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF), str(self._slot.path))

    def close(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._descriptors.drop(self._slot)

    def __del__(self) -> None:
        # A log whose actor failed is dropped without being closed.
        self.close()
