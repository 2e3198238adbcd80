"""Where the time of an append goes: a real disk that writes down when each group passes which point.

What lives here: the points, taken at the seam that every disk has, so that nothing of the store is changed for being
looked at; and what they amount to. What must not: load; `append` puts it on.
"""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import TypeVar

import attrs

from storage.disk import AppendFile
from storage.local_disk import LocalDisk

__all__ = ["Passage", "WatchedDisk", "stages"]

T = TypeVar("T")


@attrs.define
class Passage:
    """One group on its way; moments in seconds. `size` is 0 for work that was no group."""

    called: float
    begun: float = 0.0
    written: float = 0.0
    synced: float = 0.0
    back: float = 0.0
    size: int = 0


class WatchedDisk(LocalDisk):
    """`passages` are the groups that have come back."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.passages: list[Passage] = []
        self._here = threading.local()

    async def run(self, work: Callable[[], T]) -> T:
        passage = Passage(time.perf_counter())

        def watched() -> T:
            passage.begun = time.perf_counter()
            self._here.passage = passage
            return work()

        result = await super().run(watched)
        passage.back = time.perf_counter()
        if passage.size:
            self.passages.append(passage)
        return result

    def sync_files(self, files: Sequence[AppendFile]) -> list[OSError | None]:
        passage: Passage = self._here.passage
        passage.written, passage.size = time.perf_counter(), len(files)
        failures = super().sync_files(files)
        passage.synced = time.perf_counter()
        return failures


_STAGES: dict[str, Callable[[Passage], float]] = {
    "to the thread": lambda passage: passage.begun - passage.called,
    "writing": lambda passage: passage.written - passage.begun,
    "syncing": lambda passage: passage.synced - passage.written,
    "back to the loop": lambda passage: passage.back - passage.synced,
}


def stages(passages: Sequence[Passage], waits: Sequence[float]) -> str:
    """The group of the median append, stage by stage; `waits` are what those who appended waited, in seconds."""
    seen = [passage for passage in passages for _ in range(passage.size)]
    took = {name: median(map(stage, seen)) * 1e6 for name, stage in _STAGES.items()}
    size = median(passage.size for passage in seen)
    told = ", ".join(f"{name} {microseconds:.0f}" for name, microseconds in took.items())
    rest = median(waits) * 1e6 - sum(took.values())
    return f"a group of {size:.0f}: {told}, the rest (encoding, waiting for it, the loop) {rest:.0f}"
