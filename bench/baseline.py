"""The raw baseline of a run: what the disk does with nobody's server in between, in this very minute."""

import os
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs

__all__ = ["RECORD_BYTES", "RawSyncs", "filesystem_of", "machine", "raw_syncs", "raw_writes"]

RECORD_BYTES = 300
"""About a line of `events.jsonl`."""

READER_SECONDS = 0.02
"""Until a reader has read what there was, and waits again."""


@attrs.frozen
class RawSyncs:
    """Appends of one record, each with its own fdatasync, one after the other: a second's worth, and the middle one."""

    per_second: float
    p50_seconds: float


def raw_syncs(folder: Path, seconds: float = 0.5) -> RawSyncs:
    """Write and fdatasync one file for so long."""
    path = folder / "raw-syncs"
    took: list[float] = []
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        began = time.perf_counter()
        while (now := time.perf_counter()) - began < seconds:
            os.write(fd, b"x" * RECORD_BYTES)
            os.fdatasync(fd)
            took.append(time.perf_counter() - now)
    finally:
        os.close(fd)
        path.unlink()
    return RawSyncs(len(took) / seconds, sorted(took)[len(took) // 2])


def raw_writes(sockets: int, size_bytes: int, rounds: int = 20) -> float:
    """CPU seconds of one write to a connection on the loopback whose reader, another process, waits for it; of so many
    in turn. Below that no delivery can cost."""
    data, used = b"x" * size_bytes, 0.0
    with _read_by_another_process(sockets) as descriptors:
        for _ in range(rounds):
            time.sleep(READER_SECONDS)
            before = time.thread_time()
            for descriptor in descriptors:
                os.write(descriptor, data)
            used += time.thread_time() - before
    return used / rounds / sockets


@contextmanager
def _read_by_another_process(count: int) -> Iterator[list[int]]:
    """Our ends of so many connections."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        command = [sys.executable, "-m", "bench.peers.bare_reader", str(listener.getsockname()[1]), str(count)]
        stack.enter_context(subprocess.Popen(command))
        ours = [stack.enter_context(listener.accept()[0]) for _ in range(count)]
        for connection in ours:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield [connection.fileno() for connection in ours]


def filesystem_of(folder: Path) -> str:
    """The type of the filesystem that holds the folder, as the kernel names it; `unknown` off Linux."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return "unknown"
    found = {Path(line.split()[1]): line.split()[2] for line in mounts.read_text().splitlines()}
    return next(
        (found[parent] for parent in (folder.resolve(), *folder.resolve().parents) if parent in found), "unknown"
    )


def machine(folder: Path) -> str:
    """What the figures of a run hang on, for its head."""
    return f"Python {platform.python_version()}, {os.cpu_count()} cores, data on {filesystem_of(folder)}"
