"""What else lies in a data folder: documents, what was put aside, and what nobody of ours put there.

What lives here: going through the folder's names, without changing anything. What must not: the logs (`verify`), or a
file that is read for more than to see whether it is whole.
"""

from collections.abc import Iterator

import attrs

from storage.disk import Disk
from storage.documents import FOLDER as DOCUMENTS
from storage.documents import open_document
from storage.errors import DamagedDocument, UnknownFormat
from storage.findings import Code, Finding
from storage.health import PROBE
from storage.layout import (
    CONVERSATIONS,
    FORMAT_PATH,
    HALF_MADE,
    INDEX,
    LOCK,
    LOG,
    QUARANTINE,
    STATE,
    TRASH,
    is_conversation_id,
)
from storage.secrets import SECRET_PATH

__all__ = ["Kept", "look_around", "put_aside", "strays"]

_AT_HOME = (FORMAT_PATH, LOCK, SECRET_PATH, DOCUMENTS, CONVERSATIONS, QUARANTINE, TRASH)
_AT_HOME_IN_CONVERSATION = (LOG, STATE, INDEX, "files")


@attrs.frozen
class Kept:
    """A file or folder that was put aside; `size_bytes` is 0 for a folder."""

    path: str
    size_bytes: int


def look_around(disk: Disk) -> Iterator[Finding]:
    """What is wrong with anything but the conversations. Raises `OSError`."""
    yield from _strangers(disk, "", _AT_HOME)
    yield from _documents(disk)
    for name in _names(disk, CONVERSATIONS):
        if not is_conversation_id(name):
            yield _unexpected(f"{CONVERSATIONS}/{name}")


def put_aside(disk: Disk, folder: str) -> list[Kept]:
    """What lies in this folder, `quarantine` or `trash`. Raises `OSError`."""
    return [Kept(path, _size(disk, path)) for path in (f"{folder}/{name}" for name in _names(disk, folder))]


def strays(disk: Disk, conversation_id: str) -> list[Finding]:
    """What does not belong in this conversation's folder. Raises `OSError`."""
    found = _strangers(disk, f"{CONVERSATIONS}/{conversation_id}", _AT_HOME_IN_CONVERSATION)
    return [attrs.evolve(finding, conversation_id=conversation_id) for finding in found]


def _strangers(disk: Disk, folder: str, at_home: tuple[str, ...]) -> list[Finding]:
    return [_unexpected(f"{folder}/{name}".lstrip("/")) for name in _names(disk, folder) if name not in at_home]


def _names(disk: Disk, folder: str) -> list[str]:
    return disk.list_folder(folder) if disk.exists(folder) else []


def _size(disk: Disk, path: str) -> int:
    try:
        disk.list_folder(path)
    except OSError:
        return disk.size(path)
    return 0


def _documents(disk: Disk) -> Iterator[Finding]:
    for name in _names(disk, DOCUMENTS):
        path = f"{DOCUMENTS}/{name}"
        if name.startswith(".") or not name.endswith(".json"):
            yield _unexpected(path)
            continue
        try:
            open_document(path, disk.read(path, 0, disk.size(path)))
        except (DamagedDocument, UnknownFormat) as failure:
            yield Finding(Code.DOCUMENT_DAMAGED, path, str(failure).removeprefix(f"{path} "))
        except OSError as failure:
            yield Finding(Code.UNREADABLE, path, str(failure))


def _unexpected(path: str) -> Finding:
    name = path.rpartition("/")[2]
    if name.startswith(HALF_MADE) or (name.startswith(".") and name.endswith(".new")) or path == PROBE:
        return Finding(Code.HALF_MADE, path, "a crash left it half made, or a server makes it at this moment")
    return Finding(Code.STRAY, path, "no file of ours")
