"""`state.json`: a cache of what replay would give, never a source of truth (K18)."""

import attrs
import orjson

from storage.disk import Disk

__all__ = ["Snapshot", "load", "save"]

FORMAT = 1


@attrs.frozen
class Snapshot:
    """State after the event `position`, whose record had the CRC `checksum`; `document` is for the owner to read."""

    position: int
    checksum: int
    document: object


def load(disk: Disk, path: str) -> Snapshot | None:
    """The snapshot, or None when it is missing, damaged or from a newer version."""
    try:
        data = disk.read(path, 0, disk.size(path))
    except OSError:
        return None
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    match found:
        case {"format": 1, "position": int(position), "checksum": int(checksum), "document": document}:
            return Snapshot(position, checksum, document)
    return None


def save(disk: Disk, path: str, snapshot: Snapshot) -> None:
    """Replace the snapshot, durably. Raises `OSError`; the old one stays then."""
    disk.replace(path, orjson.dumps({"format": FORMAT, **attrs.asdict(snapshot, recurse=False)}))
