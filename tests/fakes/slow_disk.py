"""A disk on which everything takes time."""

from collections.abc import Callable
from typing import TypeVar

import trio

from storage.memory_disk import MemoryDisk

__all__ = ["SlowDisk"]

T = TypeVar("T")


class SlowDisk(MemoryDisk):
    """Takes `seconds` on trio's clock for everything it does."""

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__()
        self.seconds = seconds

    async def run(self, work: Callable[[], T]) -> T:
        await trio.sleep(self.seconds)
        return await super().run(work)
