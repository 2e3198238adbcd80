"""A conversation's files, which its commands write: read as what a stranger left there.

What lives here: reading a folder below a root without ever following a link, so that nothing outside of the root is
read whatever a command put there; bounded in files and bytes. What must not: what the files mean. Blocking; call it in
a thread.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import attrs

__all__ = ["Found", "read_folder"]

NAMES_MAX = 10_000
"""How many entries of one folder are looked at."""


@attrs.frozen
class Found:
    """The files by name, and why others were left out."""

    files: Mapping[str, bytes]
    left_out: Mapping[str, str]


def read_folder(root: Path, folder: str, suffix: str, *, files_max: int, bytes_max: int) -> Found:
    """The regular files of `root/folder` whose names end in `suffix`, in the order of their names.

    None of the parts below `root` may be a link. Nothing is found where there is no such folder.
    """
    files: dict[str, bytes] = {}
    left_out: dict[str, str] = {}
    try:
        with _open_folder(root, folder) as descriptor:
            for place, name in enumerate(_names(descriptor, suffix)):
                if place >= files_max:
                    left_out[name] = f"only {files_max} files are read"
                    continue
                try:
                    files[name] = _read(descriptor, name, bytes_max)
                except (OSError, ValueError) as failure:
                    left_out[name] = str(failure)
    except FileNotFoundError:
        return Found({}, {})
    except OSError as failure:
        return Found({}, {folder: str(failure)})
    return Found(files, left_out)


@contextmanager
def _open_folder(root: Path, folder: str) -> Iterator[int]:
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in Path(folder).parts:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def _names(descriptor: int, suffix: str) -> list[str]:
    with os.scandir(descriptor) as entries:
        return sorted(entry.name for entry in islice(entries, NAMES_MAX) if entry.name.endswith(suffix))


def _read(folder: int, name: str, bytes_max: int) -> bytes:
    # Non-blocking, since opening a pipe would wait for somebody to write into it.
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("not a regular file")
        data = file.read(bytes_max + 1)
    if len(data) > bytes_max:
        raise ValueError(f"larger than {bytes_max} bytes")
    return data
