"""The raw baseline of a run: what the disk does with nobody's server in between, in this very minute."""

import os
import platform
import time
from pathlib import Path

import attrs

__all__ = ["RECORD_BYTES", "RawSyncs", "filesystem_of", "machine", "raw_syncs"]

RECORD_BYTES = 300
"""About a line of `events.jsonl`."""


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
