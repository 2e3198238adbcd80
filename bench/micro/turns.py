"""Turns of several contestants on one disk, taken in rounds so that a noisy minute hits all of them.

What lives here: the rounds, the raw syncs that everything is held against, and how figures are told. What must not:
storage.
"""

import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs

from bench.baseline import RECORD_BYTES
from bench.report import nearest_rank

__all__ = ["RECORD", "Contestant", "Turn", "open_files", "rates_against", "raw_lanes", "take_turns"]

RECORD = b"x" * (RECORD_BYTES - 1) + b"\n"


@attrs.frozen
class Turn:
    """What one contestant did in one turn; `waits` are how long its appends took, in seconds, where it knows."""

    appends: int
    seconds: float
    waits: tuple[float, ...] = ()

    @property
    def per_second(self) -> float:
        return self.appends / self.seconds

    def wait(self, share: float) -> float:
        """Seconds; `share` from 0 to 1, nearest rank."""
        return nearest_rank(self.waits, share)


Contestant = Callable[[], Awaitable[Turn]]


async def take_turns(contestants: Mapping[str, Contestant], rounds: int) -> dict[str, list[Turn]]:
    """A turn of each, and again."""
    turns: dict[str, list[Turn]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            turns[name].append(await contestant())
    return turns


@contextmanager
def open_files(folder: Path, count: int) -> Iterator[list[int]]:
    """Descriptors of this many new files, opened for appending."""
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        files = [stack.enter_context((folder / str(number)).open("ab", buffering=0)) for number in range(count)]
        yield [file.fileno() for file in files]


def raw_lanes(files: Sequence[int], threads: int, seconds: float) -> Turn:
    """Write and fdatasync, file after file, in so many threads that never wait for each other: the raw ceiling."""
    waits: list[float] = []
    began = time.perf_counter()

    def lane(mine: Sequence[int]) -> None:
        while time.perf_counter() - began < seconds:
            for file in mine:
                start = time.perf_counter()
                os.write(file, RECORD)
                os.fdatasync(file)
                waits.append(time.perf_counter() - start)

    lanes = [threading.Thread(target=lane, args=(files[place::threads],)) for place in range(min(threads, len(files)))]
    for each in lanes:
        each.start()
    for each in lanes:
        each.join()
    return Turn(len(waits), time.perf_counter() - began, tuple(waits))


def rates_against(turns: Sequence[Turn], raw: Sequence[Turn]) -> list[float]:
    """Round by round, how much of the raw rate was reached."""
    return [mine.per_second / theirs.per_second for mine, theirs in zip(turns, raw, strict=True)]
