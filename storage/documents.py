"""Small named JSON documents: `documents/{name}.json`, each replaced as a whole.

What lives here: reading and replacing one, so that a crash leaves the old or the new one. What must not: what a
document means, or a default for one that cannot be read, since the next write would make the loss final.
"""

import re
from contextlib import nullcontext, suppress
from functools import partial
from typing import Any

import orjson

from storage.disk import Disk
from storage.errors import DamagedDocument, OutcomeUnknown, StorageDegraded, StorageError, UnknownFormat
from storage.health import Health

__all__ = ["FOLDER", "Documents", "open_document", "path_of"]

FOLDER = "documents"
FORMAT = 1

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")


def path_of(name: str) -> str:
    """Where the document lies, from the disk's root. Raises `ValueError` for a name that nobody could read."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name for a document: small letters, digits and dashes, 63 at most")
    return f"{FOLDER}/{name}.json"


class Documents:
    """The documents on a disk. Nothing of them is kept in memory: the owner of a document does that.

    `health` is that of the store on the same disk (K14); without one every write is tried.
    """

    def __init__(self, disk: Disk, health: Health | None = None) -> None:
        self._disk = disk
        self._health = health
        self._names_are_durable = False

    async def read(self, name: str) -> Any | None:
        """What was written last, or None when nothing was. Raises `DamagedDocument`, `UnknownFormat`, `OSError`."""
        path = path_of(name)
        data = await self._disk.run(partial(self._read, path))
        return None if data is None else open_document(path, data)

    async def write(self, name: str, document: Any) -> None:
        """Have the document under this name, durably.

        Raises `StorageDegraded` (the old one stays) or `OutcomeUnknown`.
        """
        data = orjson.dumps({"format": FORMAT, "document": document}, option=orjson.OPT_APPEND_NEWLINE)
        with self._health.writing(len(data)) if self._health is not None else nullcontext():
            await self._disk.run(partial(self._write, path_of(name), data))

    def _read(self, path: str) -> bytes | None:
        if not self._disk.exists(path):
            return None
        with suppress(OSError):  # a disk that takes no writes is read all the same
            self._make_names_durable()
        return self._disk.read(path, 0, self._disk.size(path))

    def _make_names_durable(self) -> None:
        """The process before this one may have been killed between a rename and its sync, or within the first write."""
        if not self._names_are_durable:
            self._disk.sync_folder(FOLDER)
            self._disk.sync_folder(".")
            self._names_are_durable = True

    def _write(self, path: str, data: bytes) -> None:
        try:
            self._disk.make_folder(FOLDER)
            self._make_names_durable()
            self._disk.replace(path, data)
        except OSError as failure:
            raise self._what_became(path, data, failure) from failure

    def _what_became(self, path: str, data: bytes, failure: OSError) -> StorageError:
        """The new one may be in its place although the folder could not be synced."""
        try:
            is_there = self._read(path) == data
        except OSError as second:
            return OutcomeUnknown(f"{path} could not be written, and not be read after that: {failure}; {second}")
        if is_there:
            return OutcomeUnknown(f"{path} is written, but may not survive a power cut: {failure}")
        return StorageDegraded(f"{path} could not be written: {failure}")

    def __repr__(self) -> str:
        return f"<Documents on {self._disk!r}>"


def open_document(path: str, data: bytes) -> Any:
    """What these bytes hold; `path` is for the error. Raises `DamagedDocument`, `UnknownFormat`."""
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError as failure:
        raise DamagedDocument(f"{path} is damaged: {failure}") from failure
    match found:
        case {"format": 1, "document": document}:
            return document
        case {"format": int(other)}:
            raise UnknownFormat(f"{path} has the format {other}; this version reads format {FORMAT}")
    raise DamagedDocument(f"{path} is damaged: it is JSON, but not one of our documents")
