"""`state.json`: a cache of what replay would give, never a source of truth (K18).

    {"format":2,"crc":"89abcdef","snapshot":{…}}

`crc` is the CRC-32 of the bytes of `snapshot`, so that a flipped bit which leaves JSON behind is noticed, too.
"""

import re
import zlib

import attrs
import orjson

from storage.disk import Disk
from storage.record import Anchor

__all__ = ["Snapshot", "encode", "load", "save"]

_FORM = re.compile(rb'\{"format":2,"crc":"([0-9a-f]{8})","snapshot":(\{.*\})\}', re.DOTALL)


@attrs.frozen
class Snapshot:
    """State after the event `position`; `document` is for the owner to read.

    `anchor` is the record of that event: opening starts there (K18). Without one the log was found damaged, and the
    snapshot only remembers how far it once reached.
    """

    position: int
    anchor: Anchor | None
    document: object


def load(disk: Disk, path: str) -> Snapshot | None:
    """The snapshot, or None when it is missing, damaged or of another version."""
    try:
        data = disk.read(path, 0, disk.size(path))
    except OSError:
        return None
    match = _FORM.fullmatch(data)
    if match is None or zlib.crc32(match[2]) != int(match[1], 16):
        return None
    try:
        found = orjson.loads(match[2])
    except orjson.JSONDecodeError:
        return None
    match found:
        case {"position": int(position), "anchor": None, "document": document}:
            return Snapshot(position, None, document)
        case {
            "position": int(position),
            "anchor": [int(epoch), int(checksum), int(start), int(end)],
            "document": document,
        }:
            return Snapshot(position, Anchor(position, epoch, checksum, start, end), document)
    return None


def encode(snapshot: Snapshot) -> bytes:
    """What lies in the file."""
    at = snapshot.anchor
    anchor = None if at is None else [at.epoch, at.checksum, at.start, at.end]
    content = orjson.dumps({"position": snapshot.position, "anchor": anchor, "document": snapshot.document})
    return b'{"format":2,"crc":"%08x","snapshot":%b}' % (zlib.crc32(content), content)


def save(disk: Disk, path: str, snapshot: Snapshot) -> None:
    """Replace the snapshot, durably. Raises `OSError`; the old one stays then."""
    disk.replace(path, encode(snapshot))
