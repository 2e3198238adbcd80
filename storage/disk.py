"""The only seam to the operating system: what this project asks of a disk, and nothing more.

Paths are relative to the disk's root, with `/` between the parts. All primitives are synchronous and raise `OSError`;
`Disk.run` says where blocking work happens, so that the real disk can use a thread and the one in memory need not.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, TypeVar

import attrs

__all__ = ["AppendFile", "Disk", "Held"]

T = TypeVar("T")


class AppendFile(Protocol):
    """A file that grows at its end."""

    def write(self, data: bytes) -> None:
        """Append all of `data`. After an error any prefix of it may be there."""

    def truncate(self, size: int) -> None:
        """Cut the file back to `size` bytes."""

    def sync(self) -> None:
        """Return when everything written is durable."""

    def size(self) -> int: ...

    def close(self) -> None: ...


@attrs.frozen
class Held:
    """A lock in hand. `left` is the note that lay in it: empty when the last holder took its own back in peace."""

    left: str
    note: Callable[[str], None]
    """Replace the note, for whoever comes too early or later."""


class Disk(Protocol):
    """A tree of folders and files."""

    async def run(self, work: Callable[[], T]) -> T:
        """Do blocking work where it blocks nobody; always a checkpoint."""

    def open_append(self, path: str) -> AppendFile:
        """Open for appending, created empty if there is none."""

    def sync_files(self, files: Sequence[AppendFile]) -> list[OSError | None]:
        """Sync each of them once, at the same time where that is faster. What went wrong with each."""

    def read(self, path: str, start: int, stop: int) -> bytes:
        """The bytes [start, stop), fewer where the file ends before."""

    def size(self, path: str) -> int: ...

    def exists(self, path: str) -> bool: ...

    def modified_at(self, path: str) -> float:
        """Seconds since the epoch."""

    def replace(self, path: str, data: bytes) -> None:
        """Have `data` under this name, durably: all of it or what was there before."""

    def make_folder(self, path: str) -> None:
        """Make the folder and its parents; fine if it is there."""

    def list_folder(self, path: str) -> list[str]:
        """Names in the folder, sorted."""

    def rename(self, source: str, target: str) -> None:
        """Move a file or folder; durable after `sync_folder` of both parents."""

    def sync_folder(self, path: str) -> None: ...

    def remove_tree(self, path: str) -> None:
        """Remove a file or a folder with all below it; fine if it is gone."""

    def forget_cached(self, path: str) -> None:
        """Have the next read of the file tell what the media hold (K15).

        What was written and not synced is synced first. When that fails, the cache is dropped all the same and the
        error is raised: the bytes are lost, and reading says so. Clean pages that never reached the media go, too.
        """

    def boot_id(self) -> str:
        """Another one after everything that was only in the machine's memory may have been lost."""

    def lock(self, path: str) -> AbstractContextManager[Held]:
        """Hold the file exclusively for the block (K3); raises `StoreLocked`. Its note outlives the block."""

    def real_path(self, path: str) -> Path | None:
        """Where the operating system finds it, or None where it does not."""
