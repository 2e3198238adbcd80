"""The disk of the machine, below one root folder."""

import fcntl
import os
import resource
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TextIO, TypeVar, cast
from uuid import uuid4

from storage.descriptors import Descriptors, LocalAppendFile
from storage.disk import AppendFile, Held
from storage.errors import StorageError, StoreLocked
from storage.kernel_sync import KernelSync
from storage.replacing import replace_whole
from storage.syncing import SyncThreads, sync_by_kernel
from storage.threads import Threads

__all__ = ["LocalDisk", "descriptors_of_logs_max"]

T = TypeVar("T")

THREADS_MAX = 16
"""Blocking work at one time: the committer's eight lanes, and as many readers of old history."""

NOTE_CHARACTERS_MAX = 1000
"""A lock's note is a line; more is somebody else's file."""

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""Linux draws one at each start of the machine; containers see that of their host."""

OPEN_FILES_MAX = 4096
"""Logs that are written to keep their descriptors; one that gave its own up is opened again in some microseconds."""


def _note(file: TextIO) -> str:
    file.seek(0)
    return file.read(NOTE_CHARACTERS_MAX).strip()


def _put_note(file: TextIO, note: str) -> None:
    file.truncate(0)
    file.write(note)
    file.flush()


def descriptors_of_logs_max() -> int:
    """Half of what the process may open: the rest is for connections, and for files that are read."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return OPEN_FILES_MAX if soft == resource.RLIM_INFINITY else min(soft // 2, OPEN_FILES_MAX)


def _kernel_sync() -> KernelSync | None:
    try:
        return KernelSync()
    except OSError:
        return None


class LocalDisk:
    """See `storage.disk.Disk`. The root is made, readable by its owner only, if there is none.

    Raises `StorageError` where it is something else than a folder, and `OSError`.
    """

    def __init__(self, root: Path, open_files_max: int | None = None) -> None:
        self.root = root
        self._prefix = f"{root}/"
        self._descriptors = Descriptors(descriptors_of_logs_max() if open_files_max is None else open_files_max)
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except FileExistsError:
            raise StorageError(f"{root} is no folder") from None
        self._kernel = _kernel_sync()
        self._sync_threads = SyncThreads()
        self._threads = Threads("greenroom-disk", THREADS_MAX)

    async def run(self, work: Callable[[], T]) -> T:
        return await self._threads.run(work)

    def open_append(self, path: str) -> LocalAppendFile:
        return LocalAppendFile(self.root / path, self._descriptors)

    def sync_files(self, files: Sequence[AppendFile]) -> list[OSError | None]:
        if self._kernel is None or len(files) < 2:
            return self._sync_threads.sync(files)
        return sync_by_kernel(self._kernel, cast("Sequence[LocalAppendFile]", files))

    def read(self, path: str, start: int, stop: int) -> bytes:
        # Not by pathlib, which takes a third as long again: a start reads the beginning of every log.
        fd = os.open(f"{self._prefix}{path}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            parts = []
            while start < stop and (part := os.pread(fd, stop - start, start)):
                parts.append(part)
                start += len(part)
        finally:
            os.close(fd)
        return b"".join(parts)

    def size(self, path: str) -> int:
        return (self.root / path).stat().st_size

    def exists(self, path: str) -> bool:
        return (self.root / path).exists()

    def modified_at(self, path: str) -> float:
        return (self.root / path).stat().st_mtime

    def replace(self, path: str, data: bytes) -> None:
        replace_whole(self, path, data)

    def make_folder(self, path: str) -> None:
        (self.root / path).mkdir(mode=0o700, parents=True, exist_ok=True)

    def list_folder(self, path: str) -> list[str]:
        return sorted(os.listdir(self.root / path))  # noqa: PTH208 - names are all we want, of 10,000 entries

    def rename(self, source: str, target: str) -> None:
        (self.root / source).rename(self.root / target)

    def sync_folder(self, path: str) -> None:
        fd = os.open(self.root / path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def remove_tree(self, path: str) -> None:
        target = self.root / path
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)

    def forget_cached(self, path: str) -> None:
        fd = os.open(self.root / path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fdatasync(fd)
        finally:
            if hasattr(os, "posix_fadvise"):  # macOS has none; there the sync alone must do
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)

    def boot_id(self) -> str:
        """Where the machine has none, every start counts as one after a power cut."""
        return BOOT_ID.read_text().strip() if BOOT_ID.exists() else uuid4().hex

    @contextmanager
    def lock(self, path: str) -> Iterator[Held]:
        with (self.root / path).open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StoreLocked(f"{self.root} is in use by another process: {_note(file)}") from None
            yield Held(_note(file), partial(_put_note, file))

    def real_path(self, path: str) -> Path | None:
        return self.root / path

    def __repr__(self) -> str:
        return f"<LocalDisk {self.root} {self._descriptors!r}>"
