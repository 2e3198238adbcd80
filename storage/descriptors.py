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
from threading import Lock, RLock

import attrs

__all__ = ["Descriptors", "LocalAppendFile"]

CLOSED = -1
"""A descriptor on which every call fails with EBADF."""

LOOKS_MAX = 64
"""Whoever needs a descriptor looks at so many files for one that can do without its own, and then takes one more than
there should be: the next one goes on looking where this one stopped."""


@attrs.define(eq=False)
class _Slot:
    """A place for a descriptor; `identity` is that of the file that it was first opened for: device and inode.

    Who writes or syncs says so and then takes `fd`, without a lock; see `Descriptors`.
    """

    path: Path
    fd: int = CLOSED
    identity: tuple[int, int] | None = None
    is_unsynced: bool = False
    is_syncing: bool = False
    is_recent: bool = False
    """Written to since the pool has last looked at it."""


class Descriptors:
    """About `open_max` are open, unless more files than that have unsynced bytes. Any thread may use it."""

    def __init__(self, open_max: int) -> None:
        self._open_max = open_max
        self._slots: OrderedDict[_Slot, None] = OrderedDict()
        # Reentrant, since the garbage collector may drop a forgotten file in the middle of anything.
        self._lock = RLock()

    def open(self, slot: _Slot) -> int:
        """Its descriptor, opened anew if it has none. Raises `OSError`: ESTALE when the path is another file's now."""
        with self._lock:
            if slot.fd == CLOSED:
                self._make_room()
                slot.fd = _open(slot)
                self._slots[slot] = None
            return slot.fd

    def size(self, slot: _Slot) -> int:
        """Of the file in bytes. Raises `OSError`."""
        with self._lock:
            return os.fstat(self.open(slot)).st_size

    def drop(self, slot: _Slot) -> None:
        """Close its descriptor if it has one."""
        with self._lock:
            self._slots.pop(slot, None)
            # After this the number may be another file's, and must never be written to again.
            fd, slot.fd = slot.fd, CLOSED
            if fd != CLOSED:
                os.close(fd)

    def _make_room(self) -> None:
        """Go round and have those give up their descriptors that were not written to since the last time round."""
        for _ in range(LOOKS_MAX):
            if len(self._slots) < self._open_max:
                return
            slot = next(iter(self._slots))
            if slot.is_recent or not self._evict(slot):
                slot.is_recent = False
                self._slots.move_to_end(slot)

    def _evict(self, slot: _Slot) -> bool:
        """A writer says that it writes and then looks for the descriptor; so that is hidden first, and then looked
        whether somebody writes: one of the two sees the other."""
        fd, slot.fd = slot.fd, CLOSED
        if slot.is_unsynced or slot.is_syncing:
            slot.fd = fd
            return False
        del self._slots[slot]
        os.close(fd)
        return True

    def __repr__(self) -> str:
        return f"<Descriptors {len(self._slots)} open of {self._open_max}>"


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
    """See `storage.disk.AppendFile`. After `close` and after a failed sync every call fails.

    It may be written to in one thread while another syncs it, in mode `async`.
    """

    _is_over = True

    def __init__(self, path: Path, descriptors: Descriptors) -> None:
        self._descriptors = descriptors
        self._slot = _Slot(path)
        # A sync that fails closes the descriptor: never while somebody writes to it, or its number may be another's.
        self._writing = Lock()
        descriptors.open(self._slot)
        self._is_over = False

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        with self._writing:
            descriptor = self._begin_write()
            while rest:
                rest = rest[os.write(descriptor, rest) :]

    def truncate(self, size: int) -> None:
        with self._writing:
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
        slot = self._slot
        slot.is_syncing = True
        slot.is_unsynced = False
        fd = slot.fd  # read once: the pool may hide it for a moment
        return fd if fd != CLOSED else self._open()

    def end_sync(self, error: OSError | None) -> None:
        """How that sync ended; after a failed one the descriptor is never used again (K15)."""
        self._slot.is_syncing = False
        if error is not None:
            self.close()

    def size(self) -> int:
        self._check()
        return self._descriptors.size(self._slot)

    def close(self) -> None:
        if self._is_over:
            return
        with self._writing:
            self._is_over = True
            self._descriptors.drop(self._slot)

    def __del__(self) -> None:
        # A log whose actor failed is dropped without being closed.
        self.close()

    def _begin_write(self) -> int:
        slot = self._slot
        slot.is_unsynced = slot.is_recent = True
        fd = slot.fd
        return fd if fd != CLOSED else self._open()

    def _open(self) -> int:
        self._check()
        return self._descriptors.open(self._slot)

    def _check(self) -> None:
        if self._is_over:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF), str(self._slot.path))
