"""How the process before this one ended, as its note in the lock tells, and what may be lost with it (K9, K15).

What lives here: that note, and the number of power cuts that may have taken what mode `async` had acknowledged. Which
events those were nobody can tell: a log may end at a whole record and yet lack its last ones. So every such cut makes
the streams of all conversations other ones, as clients see them (K32). What must not: a look into a log.
"""

import os

import attrs
import orjson

from storage.committer import Durability
from storage.disk import Disk
from storage.documents import Documents

__all__ = ["Past", "look_back", "note_of"]

POWER_CUTS = "power-cuts"
"""The document that counts them."""


@attrs.frozen
class Past:
    """`ended_in_peace` is about the last process, `power_cuts` about all there were."""

    ended_in_peace: bool
    power_cuts: int


def note_of(disk: Disk, durability: Durability) -> str:
    """For whoever finds the lock held, and for the next holder if this one does not end in peace."""
    return orjson.dumps({"pid": os.getpid(), "boot": disk.boot_id(), "durability": durability}).decode()


async def look_back(disk: Disk, left: str) -> Past:
    """What the note that was left means; a power cut is counted, durably. Raises `StorageError`, `OSError`."""
    documents = Documents(disk)
    found = await documents.read(POWER_CUTS)
    power_cuts = found if isinstance(found, int) else 0
    if left and _may_have_lost(left, disk.boot_id()):
        power_cuts += 1
        await documents.write(POWER_CUTS, power_cuts)
    return Past(not left, power_cuts)


def _may_have_lost(left: str, boot: str) -> bool:
    """While the machine runs on, what a killed process had written is still there. A note that cannot be read is an
    older version's, or nobody's: then all may have happened."""
    try:
        found = orjson.loads(left)
    except orjson.JSONDecodeError:
        return True
    match found:
        case {"boot": str(), "durability": "sync"}:
            return False
        case {"boot": str(then), "durability": "async"}:
            return then != boot
    return True
