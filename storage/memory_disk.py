"""A disk in memory: for `FILE_STORE=memory`, and for tests under a virtual clock. Nothing outlives the process."""

import errno
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import trio

from storage.disk import AppendFile, Held
from storage.errors import StoreLocked
from storage.syncing import sync_each
from storage.tree import File, Folder, Tree, error

__all__ = ["MemoryAppendFile", "MemoryDisk"]

T = TypeVar("T")


class MemoryAppendFile:
    """A file that is open stays the one that it was, whatever becomes of its name."""

    def __init__(self, file: File) -> None:
        self._file: File | None = file

    def write(self, data: bytes) -> None:
        self._opened().data += data

    def truncate(self, size: int) -> None:
        del self._opened().data[size:]

    def sync(self) -> None:
        """Memory is as durable as it gets."""
        self._opened()

    def size(self) -> int:
        return len(self._opened().data)

    def close(self) -> None:
        self._file = None

    def _opened(self) -> File:
        if self._file is None:
            raise error(errno.EBADF, "")
        return self._file


class MemoryDisk:
    """See `storage.disk.Disk`."""

    def __init__(self) -> None:
        self._tree: Tree[File] = Tree()
        self._locked: set[str] = set()
        self._notes: dict[str, str] = {}

    async def run(self, work: Callable[[], T]) -> T:
        await trio.lowlevel.checkpoint()
        return work()

    def open_append(self, path: str) -> MemoryAppendFile:
        folder, name = self._tree.place(path)
        if name not in folder.entries:
            self._tree.relink((folder, name, File(modified_at=time.time())))
        return MemoryAppendFile(self._tree.file(path))

    def sync_files(self, files: Sequence[AppendFile]) -> list[OSError | None]:
        return sync_each(files)

    def read(self, path: str, start: int, stop: int) -> bytes:
        return bytes(self._tree.file(path).data[start:stop])

    def size(self, path: str) -> int:
        return len(self._tree.file(path).data)

    def exists(self, path: str) -> bool:
        return self._tree.exists(path)

    def modified_at(self, path: str) -> float:
        return self._tree.node(path).modified_at

    def replace(self, path: str, data: bytes) -> None:
        folder, name = self._tree.place(path)
        if isinstance(folder.entries.get(name), Folder):
            raise error(errno.EISDIR, path)
        self._tree.relink((folder, name, File(data=bytearray(data), modified_at=time.time())))

    def make_folder(self, path: str) -> None:
        for missing in self._tree.missing(path):
            folder, name = self._tree.place(missing)
            self._tree.relink((folder, name, Folder(time.time())))

    def list_folder(self, path: str) -> list[str]:
        return sorted(self._tree.folder(path).entries)

    def rename(self, source: str, target: str) -> None:
        self._tree.rename(source, target)

    def sync_folder(self, path: str) -> None:
        self._tree.folder(path)

    def remove_tree(self, path: str) -> None:
        if self._tree.below(path):
            self._tree.unlink(path)

    def forget_cached(self, path: str) -> None:
        """There is no cache: memory is the medium."""
        self._tree.file(path)

    def boot_id(self) -> str:
        """Nothing of this disk outlives the process, so nothing was lost by whoever can ask."""
        return "memory"

    @contextmanager
    def lock(self, path: str) -> Iterator[Held]:
        if path in self._locked:
            raise StoreLocked("this disk in memory is in use already")
        self._locked.add(path)
        try:
            yield Held(self._notes.get(path, ""), lambda note: self._notes.update({path: note}))
        finally:
            self._locked.remove(path)

    def real_path(self, path: str) -> Path | None:  # noqa: ARG002 - the protocol's
        return None

    def __repr__(self) -> str:
        return f"<MemoryDisk {sum(1 for _ in self._tree.files())} files>"
