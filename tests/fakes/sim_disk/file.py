"""A file twice over: as the running system sees it, in its cache, and as the media would give it back.

What lives here: how a change of its bytes gets from the one to the other. What must not: names (`names`), and which of
the changes a crash keeps (`crash`). Pure.
"""

from enum import Enum, auto

import attrs

from storage.tree import File

__all__ = ["CachedFile", "Change", "State", "apply"]


class State(Enum):
    """Where a change of a file's bytes is."""

    DIRTY = auto()
    """In the cache; the next sync moves it to the media."""
    LOST = auto()
    """In the cache, but called clean by a sync that failed: no later sync moves it."""
    DURABLE = auto()


@attrs.define
class Change:
    """`data` written from `at` on; None is a cut to the size `at`."""

    at: int
    data: bytes | None
    state: State = State.DIRTY


def apply(content: bytearray, change: Change) -> None:
    """What was never written in between is zeros, as in a file with a hole."""
    if change.data is None:
        del content[change.at :]
        return
    content.extend(bytes(max(0, change.at - len(content))))
    content[change.at : change.at + len(change.data)] = change.data


@attrs.define(eq=False)
class CachedFile(File):
    """`data` is in the cache; `changes` lead there from `media`, and the first of them is never a durable one."""

    media: bytearray = attrs.field(factory=bytearray)
    changes: list[Change] = attrs.field(factory=list)
    cut_off: bytearray = attrs.field(factory=bytearray)
    """What was once here and was cut: a block that is given anew may show it."""

    def write(self, data: bytes) -> None:
        at = len(self.data)
        self.data += data
        last = self.changes[-1] if self.changes else None
        if last is not None and last.state is State.DIRTY and last.data is not None:
            last.data += data
        else:
            self.changes.append(Change(at, data))

    def truncate(self, size: int) -> None:
        if size >= len(self.data):
            return
        self.cut_off[: len(self.data)] = self.data
        del self.data[size:]
        self.changes.append(Change(size, None))

    def sync(self) -> None:
        """Everything dirty is on the media, size and all."""
        for change in self.changes:
            if change.state is State.DIRTY:
                change.state = State.DURABLE
        self._settle()

    def _settle(self) -> None:
        while self.changes and self.changes[0].state is State.DURABLE:
            apply(self.media, self.changes.pop(0))

    def durable(self) -> bytes:
        """What the media hold of it whatever happens next."""
        content = bytearray(self.media)
        for change in self.changes:
            if change.state is State.DURABLE:
                apply(content, change)
        return bytes(content)

    def lose(self) -> None:
        """A sync failed, and its pages are called clean."""
        for change in self.changes:
            if change.state is State.DIRTY:
                change.state = State.LOST

    def drop_cache(self) -> None:
        """Read from the media from now on; what was lost shows as zeros, since the size is known elsewhere."""
        content = bytearray(self.media)
        for change in self.changes:
            if change.state is not State.LOST:
                apply(content, change)
        content.extend(bytes(max(0, len(self.data) - len(content))))
        self.changes = [change for change in self.changes if change.state is not State.LOST]
        self._settle()
        self.data[:] = content
