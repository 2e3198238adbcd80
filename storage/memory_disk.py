"""A disk in memory: for `FILE_STORE=memory`, and for tests under a virtual clock. Nothing outlives the process."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import attrs
import trio

from storage.disk import Held
from storage.errors import StoreLocked

__all__ = ["MemoryDisk"]

T = TypeVar("T")


@attrs.define
class MemoryAppendFile:
    data: bytearray

    def write(self, data: bytes) -> None:
        self.data += data

    def truncate(self, size: int) -> None:
        del self.data[size:]

    def sync(self) -> None:
        """Memory is as durable as it gets."""

    def size(self) -> int:
        return len(self.data)

    def close(self) -> None:
        """There is nothing to give back."""


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


class MemoryDisk:
    """See `storage.disk.Disk`."""

    def __init__(self) -> None:
        self._files: dict[str, bytearray] = {}
        self._folders = {"", "."}
        self._locked: set[str] = set()
        self._notes: dict[str, str] = {}
        self._modified: dict[str, float] = {}

    async def run(self, work: Callable[[], T]) -> T:
        await trio.lowlevel.checkpoint()
        return work()

    def open_append(self, path: str) -> MemoryAppendFile:
        self._need_folder(_parent(path))
        self._touch(path)
        return MemoryAppendFile(self._files.setdefault(path, bytearray()))

    def read(self, path: str, start: int, stop: int) -> bytes:
        return bytes(self._file(path)[start:stop])

    def size(self, path: str) -> int:
        return len(self._file(path))

    def exists(self, path: str) -> bool:
        return path in self._files or path in self._folders

    def modified_at(self, path: str) -> float:
        if path not in self._modified:
            raise FileNotFoundError(path)
        return self._modified[path]

    def replace(self, path: str, data: bytes) -> None:
        self._need_folder(_parent(path))
        self._touch(path)
        self._files[path] = bytearray(data)

    def make_folder(self, path: str) -> None:
        while path and path not in self._folders:
            self._folders.add(path)
            self._touch(path)
            path = _parent(path)

    def list_folder(self, path: str) -> list[str]:
        self._need_folder(path)
        inside = [name for name in (*self._files, *self._folders) if name and _parent(name) == path and name != "."]
        return sorted(name.rpartition("/")[2] for name in inside)

    def rename(self, source: str, target: str) -> None:
        if not self.exists(source):
            raise FileNotFoundError(source)
        self._need_folder(_parent(target))
        for path in self._below(source):
            moved = target + path.removeprefix(source)
            self._modified[moved] = self._modified.pop(path)
            if path in self._files:
                self._files[moved] = self._files.pop(path)
            else:
                self._folders.remove(path)
                self._folders.add(moved)

    def sync_folder(self, path: str) -> None:
        self._need_folder(path)

    def remove_tree(self, path: str) -> None:
        for found in self._below(path):
            self._files.pop(found, None)
            self._folders.discard(found)
            self._modified.pop(found, None)

    def forget_cached(self, path: str) -> None:
        """There is no cache: memory is the medium."""
        self._file(path)

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

    def _file(self, path: str) -> bytearray:
        if path not in self._files:
            raise FileNotFoundError(path)
        return self._files[path]

    def _need_folder(self, path: str) -> None:
        if path not in self._folders:
            raise FileNotFoundError(path)

    def _touch(self, path: str) -> None:
        self._modified.setdefault(path, time.time())

    def _below(self, path: str) -> list[str]:
        return [name for name in (*self._files, *self._folders) if name == path or name.startswith(path + "/")]

    def __repr__(self) -> str:
        return f"<MemoryDisk {len(self._files)} files>"
