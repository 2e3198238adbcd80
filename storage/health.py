"""Whether the disk takes writes (K14): what a failed write says about the next ones.

What lives here: the state, who is refused without the disk being touched, and the probe that ends the state by itself.
A disk without room is the store's trouble: everybody is refused until a probe has written and synced something as
large as what failed. An error on one file is that file's trouble alone: its appends are refused for a while, then the
next one tries. Reads are nobody's business here. What must not: cutting anything back; whoever wrote does that.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import attrs
import structlog
import trio

from storage.disk import Disk
from storage.errors import OutcomeUnknown, StorageDegraded

__all__ = ["PROBE", "Health", "Refusing"]

logger = structlog.get_logger(__name__)

RETRY_SECONDS_MIN = 0.25
"""A log rotated or a file removed often makes room within a second."""

RETRY_SECONDS_MAX = 4.0
"""Whoever comes back after the `Retry-After` of the refusal, 5 s, finds the disk probed since."""

AILING_SECONDS = 60.0
"""A file whose writes failed and that nobody has written since is not told of any longer than this."""

PROBE = ".probe"
"""Left only by a crash in the middle of a probe; the next probe takes it away."""

PROBE_BYTES_MIN = 64 * 1024
"""Room for a few hundred events, or the state would end and begin with every one that just fits."""

PROBE_BYTES_MAX = 8 * 1024 * 1024
"""More than any one write of ours."""

_OF_THE_STORE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""No room, no more quota, mounted read-only: true of every file at once."""


@attrs.frozen
class Refusing:
    """Writes are refused `since` then, to everybody or to one file; after `retry_at` the disk is tried again, by a
    probe or by the file's next write. Both on trio's clock."""

    since: float
    retry_at: float
    everybody: bool


@attrs.define
class _Trouble:
    """Since when, why, and when to try again; times on trio's clock."""

    why: str
    since: float
    failed_at: float
    pause_seconds: float = RETRY_SECONDS_MIN

    @property
    def retry_at(self) -> float:
        return self.failed_at + self.pause_seconds

    def again(self, why: str, now: float) -> None:
        self.why, self.failed_at = why, now
        self.pause_seconds = min(2 * self.pause_seconds, RETRY_SECONDS_MAX)


class Health:
    """`run` must be alive in some nursery for a degraded store to recover."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._trouble: _Trouble | None = None
        self._files: dict[str, _Trouble] = {}
        self._probe_bytes = 0
        self._begins = trio.lowlevel.ParkingLot()

    @property
    def degraded(self) -> bool:
        """Whether every write is refused."""
        return self._trouble is not None

    def check(self, path: str | None = None) -> None:
        """Raises `StorageDegraded` when a write, to this file, is to be refused untried."""
        if self._trouble is not None:
            raise StorageDegraded(f"the disk takes no writes: {self._trouble.why}")
        if self._files and path in self._files and trio.current_time() < self._files[path].retry_at:
            raise StorageDegraded(f"{path} takes no writes: {self._files[path].why}")

    def refusing(self, path: str) -> Refusing | None:
        """Whether writes to this file fail, and since when; None where nothing is known against it."""
        if self._trouble is not None:
            return Refusing(self._trouble.since, self._trouble.retry_at, everybody=True)
        found = self._files.get(path)
        if found is None or trio.current_time() - found.failed_at > AILING_SECONDS:
            return None
        return Refusing(found.since, found.retry_at, everybody=False)

    def note(self, failure: BaseException | None, size_bytes: int, path: str | None = None) -> None:
        """A write of so many bytes failed like this."""
        if isinstance(failure, OSError) and failure.errno in _OF_THE_STORE:
            self._degrade(str(failure), size_bytes)
        elif path is not None:
            self._ail(path, str(failure))

    def recovered(self, path: str) -> None:
        """This file has been written to."""
        if self._files and self._files.pop(path, None) is not None:
            logger.info("file_recovered", path=path)

    @contextmanager
    def writing(self, size_bytes: int = 0) -> Iterator[None]:
        """For a write that is no append: refused untried while the disk is full; what it raises is noted."""
        self.check()
        try:
            yield
        except (StorageDegraded, OutcomeUnknown) as failure:
            self.note(failure.__cause__, size_bytes)
            raise
        except OSError as failure:
            self.note(failure, size_bytes)
            raise

    async def run(self) -> None:
        """Probe whenever the store is degraded, until it is not."""
        while True:
            while self._trouble is None:
                await self._begins.park()
            await trio.sleep_until(self._trouble.retry_at)
            await self._try(self._trouble)

    async def _try(self, trouble: _Trouble) -> None:
        try:
            await self._disk.run(partial(_probe, self._disk, self._probe_bytes))
        except OSError as failure:
            trouble.again(str(failure), trio.current_time())
            return
        logger.info("storage_recovered", after_seconds=round(trio.current_time() - trouble.since, 3))
        self._trouble, self._probe_bytes = None, 0

    def _degrade(self, why: str, size_bytes: int) -> None:
        self._probe_bytes = min(max(self._probe_bytes, PROBE_BYTES_MIN, size_bytes), PROBE_BYTES_MAX)
        if self._trouble is not None:
            return
        logger.error("storage_degraded", error=why)
        now = trio.current_time()
        self._trouble = _Trouble(why, now, now)
        self._begins.unpark_all()

    def _ail(self, path: str, why: str) -> None:
        self._forget_old()
        now = trio.current_time()
        if path in self._files:
            self._files[path].again(why, now)
        else:
            logger.error("file_takes_no_writes", path=path, error=why)
            self._files[path] = _Trouble(why, now, now)

    def _forget_old(self) -> None:
        oldest = trio.current_time() - AILING_SECONDS
        self._files = {path: trouble for path, trouble in self._files.items() if trouble.failed_at > oldest}

    def statistics(self) -> dict[str, int]:
        """`degraded` is 1 while every write is refused; `files_ailing` are those whose last write failed."""
        self._forget_old()
        return {"degraded": int(self.degraded), "files_ailing": len(self._files)}

    def __repr__(self) -> str:
        state = "well" if self._trouble is None else f"degraded: {self._trouble.why}"
        return f"<Health {state}, {len(self._files)} files ailing>"


def _probe(disk: Disk, size_bytes: int) -> None:
    """Have so many bytes on the disk, durably, and take them away again."""
    try:
        disk.replace(PROBE, b"\0" * size_bytes)
    finally:
        disk.remove_tree(PROBE)
