"""The files of one log: the truth and its two caches, side by side in one folder."""

from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from storage.disk import Disk
from storage.errors import Unreadable
from storage.layout import INDEX, LOG, STATE
from storage.walk import pieces

__all__ = ["LogFiles"]

PIECE_BYTES = 64 * 1024
"""A page of events fits in; a reader of more comes for the next one."""


@attrs.frozen
class LogFiles:
    """Blocking; `path` is that of `events.jsonl`."""

    disk: Disk
    path: str

    @property
    def index(self) -> str:
        return self.folder + INDEX

    @property
    def snapshot(self) -> str:
        return self.folder + STATE

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Have what the disk raises said as what it is: `Unreadable`."""
        try:
            yield
        except OSError as failure:
            raise Unreadable(f"{self.path} could not be read: {failure}") from failure

    @property
    def folder(self) -> str:
        return self.path.removesuffix(LOG)

    def lines(self, start: int, end: int) -> Iterator[bytes]:
        """The lines in these bytes, without their newlines; what has none is left out."""
        begun: list[bytes] = []  # joined once: an event of megabytes comes in many pieces
        for piece in pieces(self.disk, self.path, start, end, PIECE_BYTES):
            first, *lines = piece.split(b"\n")
            begun.append(first)
            if lines:
                yield b"".join(begun)
                *whole, last = lines
                yield from whole
                begun = [last]
