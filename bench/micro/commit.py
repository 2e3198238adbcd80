"""The bench behind the choice of how a group is made durable (docs/decisions): every strategy on this disk, in one run.

What lives here: the strategies, bare, without trio or a store, each for as many files as there are writers. A group is
one record for every writer. What must not: our committer; `append` measures that.
"""

import argparse
import ctypes
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median

import trio

from bench.baseline import machine
from bench.micro.turns import RECORD, Contestant, Turn, open_files, rates_against, raw_lanes, take_turns
from bench.report import spread
from storage.kernel_sync import KernelSync

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "How to make the appends of many conversations durable: strategies on this disk, without a server."

THREADS = (1, 4, 8)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--writers", type=int, nargs="+", default=[1, 8, 64, 512], help="at once (1 8 64 512)")
    parser.add_argument("--rounds", type=int, default=7, help="turns of every strategy, interleaved (7)")
    parser.add_argument("--seconds", type=float, default=0.4, help="of one turn (0.4)")


async def run(arguments: argparse.Namespace, folder: Path) -> None:
    print(
        f"Ways to be durable: records of {len(RECORD)} bytes, {arguments.rounds} rounds of {arguments.seconds} s, "
        f"turns interleaved\n{machine(folder)}; everything counted is durable",
        flush=True,
    )
    for writers in arguments.writers:
        with open_files(folder / f"of-{writers}", writers + 1) as files:
            strategies = _strategies(files[:-1], files[-1], arguments.seconds)
            turns = await take_turns(strategies, arguments.rounds)
        print(f"\n{writers} writers\n{_table(turns)}", flush=True)


def _strategies(files: Sequence[int], journal: int, seconds: float) -> dict[str, Contestant]:
    """`lanes, 4 threads` comes first: everything is told as a share of it."""
    blocking: dict[str, Callable[[], Turn]] = {
        f"lanes, {threads} threads": partial(raw_lanes, files, threads, seconds) for threads in (4, 1, 8)
    }
    for threads in THREADS:
        blocking[f"groups, {threads} threads"] = partial(_groups, files, threads, seconds)
    if (kernel := _kernel_sync()) is not None:
        blocking["groups, synced by the kernel"] = partial(
            _repeat, partial(_kernel, files, kernel), len(files), seconds
        )
    blocking["groups, one journal in front"] = partial(_repeat, partial(_journal, files, journal), len(files), seconds)
    blocking["groups, one syncfs"] = partial(_repeat, partial(_syncfs, files), len(files), seconds)
    return {name: partial(trio.to_thread.run_sync, turn) for name, turn in blocking.items()}


def _repeat(commit: Callable[[], None], group: int, seconds: float) -> Turn:
    """Group after group; everybody waits for the whole of it."""
    waits: list[float] = []
    began = time.perf_counter()
    while (start := time.perf_counter()) - began < seconds:
        commit()
        waits += [time.perf_counter() - start] * group
    return Turn(len(waits), time.perf_counter() - began, tuple(waits))


def _groups(files: Sequence[int], threads: int, seconds: float) -> Turn:
    """Write everything, then sync every file, a share of them in each thread."""
    shares = [files[place::threads] for place in range(min(threads, len(files)))]
    with ThreadPoolExecutor(threads) as pool:
        return _repeat(partial(_group, files, shares, pool), len(files), seconds)


def _group(files: Sequence[int], shares: Sequence[Sequence[int]], pool: ThreadPoolExecutor) -> None:
    for file in files:
        os.write(file, RECORD)
    if len(shares) == 1:
        _sync_each(shares[0])
    else:
        list(pool.map(_sync_each, shares))


def _sync_each(files: Sequence[int]) -> None:
    for file in files:
        os.fdatasync(file)


def _journal(files: Sequence[int], journal: int) -> None:
    """One append and one sync for all; the files get theirs without one, to be synced before the journal is cut."""
    os.write(journal, RECORD * len(files))
    os.fdatasync(journal)
    for file in files:
        os.write(file, RECORD)


def _kernel_sync() -> KernelSync | None:
    try:
        return KernelSync()
    except OSError:
        return None


def _kernel(files: Sequence[int], kernel: KernelSync) -> None:
    """What our store does."""
    for file in files:
        os.write(file, RECORD)
    for failure in kernel.sync(files):
        if failure is not None:
            raise failure


_LIBC = ctypes.CDLL(None, use_errno=True)


def _syncfs(files: Sequence[int]) -> None:
    for file in files:
        os.write(file, RECORD)
    if _LIBC.syncfs(files[0]) != 0:
        raise OSError(ctypes.get_errno(), "syncfs failed")


def _table(turns: dict[str, list[Turn]]) -> str:
    raw = next(iter(turns.values()))
    lines = [f"{'':30}{'appends/s':>11}{'p50 ms':>9}{'p99 ms':>9}   share of four raw lanes"]
    for name, mine in turns.items():
        rate = median(turn.per_second for turn in mine)
        waits = "".join(f"{median(turn.wait(share) for turn in mine) * 1e3:9.2f}" for share in (0.5, 0.99))
        lines.append(f"{name:30}{rate:11,.0f}{waits}   {spread(rates_against(mine, raw))}")
    lines.append("waits: of one file in a lane, of everybody in a group")
    return "\n".join(lines)
