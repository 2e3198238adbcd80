"""Which conversations exist, newest first. An index in memory that is rebuilt from the logs' first records at start.

It knows what never changes about a conversation (when it was created, and attributes to filter by). What changes is
read from the conversation itself, for the one page that somebody looks at.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from bisect import bisect_left, insort
from collections.abc import Mapping

import attrs
import orjson

from storage.errors import BadCursor

__all__ = ["Catalogue", "Entry"]


@attrs.frozen
class Entry:
    """`created` sorts as text: ISO 8601 in UTC."""

    conversation_id: str
    created: str
    attributes: Mapping[str, str | None] = attrs.field(factory=dict, eq=False)

    @property
    def key(self) -> tuple[str, str]:
        return (self.created, self.conversation_id)


class Catalogue:
    """Entries by id and in order; adding and finding a place is O(log n)."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._order: list[tuple[str, str]] = []

    def add(self, entry: Entry) -> None:
        self._entries[entry.conversation_id] = entry
        insort(self._order, entry.key)

    def remove(self, conversation_id: str) -> None:
        entry = self._entries.pop(conversation_id)
        del self._order[bisect_left(self._order, entry.key)]

    def __contains__(self, conversation_id: str) -> bool:
        return conversation_id in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def page(
        self, limit: int, cursor: str | None = None, where: Mapping[str, str] | None = None
    ) -> tuple[list[Entry], str | None]:
        """Up to `limit` matching entries after `cursor`, and the cursor for what follows; None at the end.

        A cursor names a place between entries, so pages neither skip nor repeat when others come and go. Raises
        `BadCursor`.
        """
        place = bisect_left(self._order, _decode(cursor)) if cursor is not None else len(self._order)
        found: list[Entry] = []
        for key in reversed(self._order[:place]):
            entry = self._entries[key[1]]
            if not _matches(entry, where or {}):
                continue
            if len(found) == limit:
                return found, _encode(found[-1].key) if found else None
            found.append(entry)
        return found, None

    def __repr__(self) -> str:
        return f"<Catalogue {len(self)} conversations>"


def _matches(entry: Entry, where: Mapping[str, str]) -> bool:
    return all(entry.attributes.get(name) == value for name, value in where.items())


def _encode(key: tuple[str, str]) -> str:
    return urlsafe_b64encode(orjson.dumps(key)).decode()


def _decode(cursor: str) -> tuple[str, str]:
    try:
        found = orjson.loads(urlsafe_b64decode(cursor.encode()))
    except (Base64Error, ValueError) as failure:
        raise BadCursor("this is not a page cursor of this server") from failure
    match found:
        case [str(created), str(conversation_id)]:
            return (created, conversation_id)
    raise BadCursor("this is not a page cursor of this server")
