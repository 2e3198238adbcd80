"""A disk whose syncs of files wait for the test: what is written lies in a cache until then."""

import threading
from collections.abc import Callable
from typing import TypeVar

import trio

from storage.memory_disk import MemoryAppendFile, MemoryDisk

__all__ = ["HeldDisk"]

T = TypeVar("T")


class HeldFile(MemoryAppendFile):
    """A file whose sync returns when `release` is set."""

    release = threading.Event()

    def sync(self) -> None:
        assert self.release.wait(10), "nobody released the sync"


class HeldDisk(MemoryDisk):
    """Work runs in a thread, since its syncs block; `release` lets them go."""

    def __init__(self) -> None:
        super().__init__()
        self.release = threading.Event()
        self.release.set()

    async def run(self, work: Callable[[], T]) -> T:
        return await trio.to_thread.run_sync(work)

    def open_append(self, path: str) -> MemoryAppendFile:
        super().open_append(path)
        file = HeldFile(self._tree.file(path))
        file.release = self.release
        return file
