"""A disk in memory that remembers what was read of which file: for who must not read a whole history."""

from storage.memory_disk import MemoryDisk

__all__ = ["ReadingDisk"]


class ReadingDisk(MemoryDisk):
    """`reads` are (path, start, stop) in order; `forgotten` the files whose cache was dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[tuple[str, int, int]] = []
        self.forgotten: list[str] = []

    def read(self, path: str, start: int, stop: int) -> bytes:
        data = super().read(path, start, stop)
        self.reads.append((path, start, start + len(data)))
        return data

    def forget_cached(self, path: str) -> None:
        super().forget_cached(path)
        self.forgotten.append(path)

    def bytes_read(self, path: str) -> int:
        return sum(stop - start for name, start, stop in self.reads if name == path)
