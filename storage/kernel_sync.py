"""Handing many syncs to the kernel at once: one call submits them, one waits until all of them are done.

What lives here: Linux's asynchronous I/O (io_submit(2) and its siblings, opcode FDSYNC), in which every sync runs in
a thread of the kernel and is answered for by itself, so that each failure has its file (K15). A process with eight
threads of its own reaches as much and spends three times the CPU on waking them. What must not: anything but syncs.
Where the kernel has none of this (another system, a sandbox that forbids it), `KernelSync` cannot be made, and the
threads of `storage.syncing` do the same work.
"""

import ctypes
import errno
import os
import platform
import sys
import weakref
from collections.abc import Sequence

__all__ = ["KernelSync"]

SYNCS_MAX = 256
"""At once in one context; a larger group takes several turns. The kernel allows 65,536 to the whole machine."""

_NUMBERS = {
    "x86_64": {"setup": 206, "destroy": 207, "getevents": 208, "submit": 209},
    "aarch64": {"setup": 0, "destroy": 1, "submit": 2, "getevents": 4},
}
"""Of the calls, see syscalls(2): the C library has no names for them."""

_FDSYNC = 3

CALLERS_MAX = 4
"""Threads that sync at one time: the committer's lanes, what mode `async` owes, and one more."""


class _Request(ctypes.Structure):
    """`struct iocb` of linux/aio_abi.h, little-endian."""

    _fields_ = (
        ("data", ctypes.c_uint64),
        ("key", ctypes.c_uint32),
        ("rw_flags", ctypes.c_uint32),
        ("opcode", ctypes.c_uint16),
        ("priority", ctypes.c_int16),
        ("descriptor", ctypes.c_uint32),
        ("buffer", ctypes.c_uint64),
        ("size", ctypes.c_uint64),
        ("offset", ctypes.c_int64),
        ("reserved", ctypes.c_uint64),
        ("flags", ctypes.c_uint32),
        ("event_descriptor", ctypes.c_uint32),
    )


class _Event(ctypes.Structure):
    """`struct io_event`: `result` is 0, or an errno below 0."""

    _fields_ = (
        ("data", ctypes.c_uint64),
        ("request", ctypes.c_uint64),
        ("result", ctypes.c_int64),
        ("result2", ctypes.c_int64),
    )


class KernelSync:
    """For use from threads: `sync` blocks, and others run meanwhile. Raises `OSError` where the kernel has none."""

    def __init__(self) -> None:
        if sys.platform != "linux" or platform.machine() not in _NUMBERS or sys.byteorder != "little":
            raise OSError(errno.ENOSYS, "no asynchronous syncs are known here")
        self._contexts = [_Context() for _ in range(CALLERS_MAX)]
        """Those that nobody uses now; a context is one thread's for the time of a call."""

    def sync(self, descriptors: Sequence[int]) -> list[OSError | None]:
        """fdatasync each once. What went wrong with each."""
        if not self._contexts:
            return [_sync(descriptor) for descriptor in descriptors]
        context = self._contexts.pop()
        failures: list[OSError | None] = []
        for start in range(0, len(descriptors), SYNCS_MAX):
            failures += context.sync(descriptors[start : start + SYNCS_MAX])
        self._contexts.append(context)
        return failures

    def __repr__(self) -> str:
        return f"<KernelSync {CALLERS_MAX - len(self._contexts)} of {CALLERS_MAX} at work>"


class _Context:
    """`io_setup`'s."""

    def __init__(self) -> None:
        self._handle = ctypes.c_ulong(0)
        if _call("setup", SYNCS_MAX, ctypes.byref(self._handle)) != 0:
            raise _last_error()
        weakref.finalize(self, _call, "destroy", self._handle)

    def sync(self, descriptors: Sequence[int]) -> list[OSError | None]:
        requests = _requests(descriptors)
        pointers = (ctypes.c_void_p * len(descriptors))(*map(ctypes.addressof, requests))
        failures: list[OSError | None] = [None] * len(descriptors)
        place = submitted = 0
        while place < len(descriptors):
            rest = ctypes.byref(pointers, place * ctypes.sizeof(ctypes.c_void_p))
            taken = max(_call("submit", self._handle, len(descriptors) - place, rest), 0)
            submitted += taken
            place += taken
            if taken == 0:
                # What the kernel takes nothing of has not been tried: it is synced like anything else.
                failures[place] = _sync(descriptors[place])
                place += 1
        self._collect(submitted, failures)
        return failures

    def _collect(self, submitted: int, failures: list[OSError | None]) -> None:
        """Wait for all that are on their way. In a signal's way nothing is lost: the call is made again."""
        events = (_Event * SYNCS_MAX)()
        while submitted > 0:
            found = _call("getevents", self._handle, submitted, submitted, events, None)
            if found < 0 and ctypes.get_errno() != errno.EINTR:
                raise AssertionError(f"io_getevents: {_last_error()}")  # of a context of ours there is no such error
            for event in events[: max(found, 0)]:
                failures[event.data] = _error(-event.result) if event.result else None
            submitted -= max(found, 0)


def _requests(descriptors: Sequence[int]) -> list[_Request]:
    return [_Request(data=place, opcode=_FDSYNC, descriptor=descriptor) for place, descriptor in enumerate(descriptors)]


_LIBC = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> int:
    """One of `_NUMBERS`; plain numbers go as machine words, as syscall(2) wants them."""
    words = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    return int(_LIBC.syscall(ctypes.c_long(_NUMBERS[platform.machine()][name]), *words))


def _sync(descriptor: int) -> OSError | None:
    try:
        os.fdatasync(descriptor)
    except OSError as failure:
        return failure
    return None


def _last_error() -> OSError:
    return _error(ctypes.get_errno())


def _error(code: int) -> OSError:
    return OSError(code, os.strerror(code))
