"""Where every 32nd record begins, so that reading at any depth is one seek.

What lives here: the points since the last snapshot, in memory, and those before it, in the cache file `events.index`
(docs/log-format.md). What must not: trust in that file. Nothing in it is synced or sealed; whoever uses an offset finds
the record there or has the file made anew.
"""

import sys
from array import array

import attrs

from storage.event_log.files import LogFiles
from storage.record import INDEX_STRIDE, Scan

__all__ = ["SparseIndex"]

OFFSET_BYTES = 8
"""Of one point in the file: unsigned, little-endian."""


@attrs.frozen
class _Known:
    """`offsets[k]` is that of point `first + k`, which is record 32·(first + k)."""

    first: int
    offsets: "array[int]"


class SparseIndex:
    """Threads read it while its owner adds to it: what they look at is replaced as a whole, or grows at its end."""

    def __init__(self, files: LogFiles, found: Scan) -> None:
        self._files = files
        self._known = _Known(found.first_point, found.index)

    def add(self, offset: int) -> None:
        """Of the next record whose id is a multiple of 32."""
        self._known.offsets.append(offset)

    def offset_before(self, event_id: int) -> int | None:
        """Where the last indexed record up to this one begins, as the file says if it is not known better."""
        point, known = event_id // INDEX_STRIDE, self._known
        if point >= known.first:
            return known.offsets[point - known.first]
        try:
            data = self._files.disk.read(self._files.index, OFFSET_BYTES * point, OFFSET_BYTES * (point + 1))
        except OSError:
            return None
        return int.from_bytes(data, "little") if len(data) == OFFSET_BYTES else None

    def save(self) -> int:
        """Bring what is in memory to the file; how many points are there now, all that memory may `forget`.

        A file that is not as long as it should be is not added to: it goes, and is made anew by who needs it. Raises
        `OSError`.
        """
        disk, path, known = self._files.disk, self._files.index, self._known
        offsets = known.offsets[:]
        if known.first == 0:
            disk.replace(path, _packed(offsets))
        elif offsets and not self._extend(known.first, offsets):
            disk.remove_tree(path)
        return known.first + len(offsets)

    def _extend(self, first: int, offsets: "array[int]") -> bool:
        disk, path, begins = self._files.disk, self._files.index, OFFSET_BYTES * first
        if not disk.exists(path) or disk.size(path) < begins:
            return False
        file = disk.open_append(path)
        try:
            if file.size() > begins:  # a crash came between this file and the snapshot
                file.truncate(begins)
            file.write(_packed(offsets))
        finally:
            file.close()
        return True

    def forget(self, points: int) -> None:
        """The first so many are in the file."""
        known = self._known
        self._known = _Known(points, known.offsets[points - known.first :])

    def rebuild(self, found: Scan) -> None:
        """Make the file anew from a scan of the whole log. Raises `OSError`."""
        self._files.disk.replace(self._files.index, _packed(found.index[: self._known.first]))


def _packed(offsets: "array[int]") -> bytes:
    if sys.byteorder == "big":
        offsets = offsets[:]
        offsets.byteswap()
    return offsets.tobytes()
