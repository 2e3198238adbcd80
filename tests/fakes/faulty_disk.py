"""A disk in memory that fails where the test says: short writes, failing syncs, a power cut at any step."""

import errno
from collections.abc import Callable

import attrs

from storage.memory_disk import MemoryAppendFile, MemoryDisk
from storage.tree import File

__all__ = ["Faults", "FaultyDisk"]


@attrs.define
class Faults:
    """`writes`, `syncs` and `truncates` are paths that fail; `steps_left` counts changes until all of them fail."""

    writes: set[str] = attrs.field(factory=set)
    syncs: set[str] = attrs.field(factory=set)
    truncates: set[str] = attrs.field(factory=set)
    removals: bool = False
    steps_left: int | None = None
    synced: list[str] = attrs.field(factory=list)
    before_write: Callable[[], None] = attrs.field(default=lambda: None)

    def step(self) -> None:
        if self.steps_left is None:
            return
        if self.steps_left == 0:
            raise OSError(errno.EIO, "the disk is gone")
        self.steps_left -= 1


class FaultyFile(MemoryAppendFile):
    def __init__(self, file: File, path: str, faults: Faults) -> None:
        super().__init__(file)
        self.path = path
        self.faults = faults

    def write(self, data: bytes) -> None:
        self.faults.before_write()
        self.faults.step()
        if self.path in self.faults.writes:
            super().write(data[: len(data) // 2])
            raise OSError(errno.EIO, "cannot write")
        super().write(data)

    def truncate(self, size: int) -> None:
        self.faults.step()
        if self.path in self.faults.truncates:
            raise OSError(errno.EIO, "cannot cut")
        super().truncate(size)

    def sync(self) -> None:
        self.faults.step()
        self.faults.synced.append(self.path)
        if self.path in self.faults.syncs:
            raise OSError(errno.EIO, "cannot sync")


class FaultyDisk(MemoryDisk):
    """See `Faults`. A failing step changes nothing, but for a write, which leaves half of its bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.faults = Faults()
        self.replaced: list[str] = []

    def open_append(self, path: str) -> MemoryAppendFile:
        self.faults.step()
        super().open_append(path)
        return FaultyFile(self._tree.file(path), path, self.faults)

    def replace(self, path: str, data: bytes) -> None:
        self.faults.step()
        self.replaced.append(path)
        super().replace(path, data)

    def make_folder(self, path: str) -> None:
        self.faults.step()
        super().make_folder(path)

    def rename(self, source: str, target: str) -> None:
        self.faults.step()
        super().rename(source, target)

    def sync_folder(self, path: str) -> None:
        self.faults.step()
        super().sync_folder(path)

    def remove_tree(self, path: str) -> None:
        self.faults.step()
        if self.faults.removals:
            raise OSError(errno.EIO, "cannot remove")
        super().remove_tree(path)
