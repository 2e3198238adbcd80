"""A disk whose cache and media are two things, as the program sees it: every operation is one step of its machine.

Operations of different threads exclude each other.
"""

import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeVar

import trio

from storage.disk import AppendFile, Held
from storage.errors import StoreLocked
from storage.replacing import replace_whole
from storage.syncing import sync_each
from storage.tree import Folder, error
from tests.fakes.sim_disk.faults import Fault, Operation, Step
from tests.fakes.sim_disk.file import CachedFile
from tests.fakes.sim_disk.machine import Machine

__all__ = ["SimDisk", "SimFile"]

T = TypeVar("T")


class SimDisk(Machine):
    """See `storage.disk.Disk` for what it promises, and `Machine` for what becomes of it."""

    async def run(self, work: Callable[[], T]) -> T:
        await trio.lowlevel.checkpoint()
        return work()

    def open_append(self, path: str) -> "SimFile":
        with self.alone:
            folder, name = self.tree.place(path)
            if name in folder.entries:
                return SimFile(self, path, self.tree.file(path))
            with self.step(Operation.CREATE, path):
                file = CachedFile(modified_at=self.now())
                self.need_room(path)
                self.tree.relink((folder, name, file))
            return SimFile(self, path, file)

    def sync_files(self, files: Sequence[AppendFile]) -> list[OSError | None]:
        return sync_each(files)

    def read(self, path: str, start: int, stop: int) -> bytes:
        with self.step(Operation.READ, path):
            return bytes(self.tree.file(path).data[start:stop])

    def size(self, path: str) -> int:
        self.live()
        return len(self.tree.file(path).data)

    def exists(self, path: str) -> bool:
        self.live()
        return self.tree.exists(path)

    def modified_at(self, path: str) -> float:
        self.live()
        return self.tree.node(path).modified_at

    def replace(self, path: str, data: bytes) -> None:
        replace_whole(self, path, data)

    def make_folder(self, path: str) -> None:
        with self.alone:
            self.live()
            for missing in self.tree.missing(path):
                with self.step(Operation.MAKE_FOLDER, missing):
                    self.need_room(missing)
                    folder, name = self.tree.place(missing)
                    self.tree.relink((folder, name, Folder(self.now())))

    def list_folder(self, path: str) -> list[str]:
        with self.step(Operation.READ, path):
            return sorted(self.tree.folder(path).entries)

    def rename(self, source: str, target: str) -> None:
        with self.step(Operation.RENAME, source, target):
            self.tree.rename(source, target)

    def sync_folder(self, path: str) -> None:
        with self.step(Operation.SYNC_FOLDER, path):
            self.tree.sync(self.tree.folder(path))

    def remove_tree(self, path: str) -> None:
        with self.alone:
            self.live()
            for each in self.tree.below(path):
                with self.step(Operation.REMOVE, each):
                    self.tree.unlink(each)

    def forget_cached(self, path: str) -> None:
        with self.alone:
            self.live()
            file = self.tree.file(path)
            fault = self.begin(Step(Operation.SYNC, path))
            if fault is None:
                file.sync()
            else:
                file.lose()
            file.drop_cache()
            if fault is not None:
                raise error(fault.code, path)

    def boot_id(self) -> str:
        return f"boot {self.boots}"

    @contextmanager
    def lock(self, path: str) -> Iterator[Held]:
        self.live()
        if path in self.locked:
            raise StoreLocked(f"this disk is in use already: {self.notes.get(path, '')}")
        self.locked.add(path)
        try:
            yield Held(self.notes.get(path, ""), lambda note: self.notes.update({path: note}))
        finally:
            self.locked.remove(path)

    def real_path(self, path: str) -> Path | None:  # noqa: ARG002 - the protocol's
        return None


class SimFile:
    """A file opened for appending: it stays this file, whatever becomes of its name."""

    def __init__(self, disk: SimDisk, path: str, file: CachedFile) -> None:
        self._disk = disk
        self._path = path
        self._file: CachedFile | None = file

    def write(self, data: bytes) -> None:
        piece_bytes = self._disk.piece_bytes or len(data) or 1
        for start in range(0, len(data), piece_bytes):
            self._write_piece(data[start : start + piece_bytes])

    def _write_piece(self, data: bytes) -> None:
        with self._alone():
            fault = self._begin(Operation.WRITE)
            room = self._disk.room()
            fits = len(data) if room is None else min(room, len(data))
            kept = fits if fault is None else min(fault.keep_bytes, fits)
            self._opened().write(data[:kept])
            if fault is not None or kept < len(data):
                raise error(errno.ENOSPC if fault is None else fault.code, self._path)

    def truncate(self, size: int) -> None:
        with self._alone():
            self._raise(self._begin(Operation.TRUNCATE))
            self._opened().truncate(size)

    def sync(self) -> None:
        with self._alone():
            fault = self._begin(Operation.SYNC)
            if fault is not None and fault.pages_turn_clean:
                self._opened().lose()
            self._raise(fault)
            self._opened().sync()

    def size(self) -> int:
        return len(self._opened().data)

    def close(self) -> None:
        self._file = None

    def _alone(self) -> AbstractContextManager[object]:
        return self._disk.alone

    def _begin(self, operation: Operation) -> Fault | None:
        file = self._opened()
        fault = self._disk.begin(Step(operation, self._path))
        file.modified_at = self._disk.now()
        return fault

    def _raise(self, fault: Fault | None) -> None:
        if fault is not None:
            raise error(fault.code, self._path)

    def _opened(self) -> CachedFile:
        if self._file is None:
            raise error(errno.EBADF, self._path)
        return self._file
