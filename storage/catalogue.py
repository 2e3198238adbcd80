"""Which conversations exist, newest first. An index in memory that is rebuilt from the logs' first records at start.

It knows what never changes about a conversation (when it was created, and attributes to filter by). What changes is
read from the conversation itself, for the one page that somebody looks at.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterator, Mapping

import attrs
import orjson

from storage.errors import BadCursor

__all__ = ["CLAIMS_MAX", "Catalogue", "Claim", "Entry"]

CLAIMS_MAX = 16_384
"""Who tries a creation again does so within minutes: many times more than are made in these, and some 5 MB."""


@attrs.frozen
class Claim:
    """Under which key, one in the store, a conversation was asked for (K11), and a digest of what was asked."""

    key: str
    digest: str


@attrs.frozen
class Entry:
    """`created` sorts as text: ISO 8601 in UTC."""

    conversation_id: str
    created: str
    attributes: Mapping[str, str | None] = attrs.field(factory=dict, eq=False)
    claim: Claim | None = None

    @property
    def key(self) -> tuple[str, str]:
        return (self.created, self.conversation_id)


class Catalogue:
    """Entries by id and in order; adding and finding a place is O(log n).

    The last `claims_max` claims that were added are remembered, and no others.
    """

    def __init__(self, claims_max: int = CLAIMS_MAX) -> None:
        self._claims_max = claims_max
        self._claims: OrderedDict[str, str] = OrderedDict()
        self._entries: dict[str, Entry] = {}
        self._order: list[tuple[str, str]] = []

    def add(self, entry: Entry) -> None:
        self._entries[entry.conversation_id] = entry
        insort(self._order, entry.key)
        if entry.claim is not None:
            self._forget(self._claims.get(entry.claim.key))
            self._claims[entry.claim.key] = entry.conversation_id
        if len(self._claims) > self._claims_max:
            self._forget(next(iter(self._claims.values())))

    def _forget(self, conversation_id: str | None) -> None:
        """The conversation's claim, if it has one; another conversation may have its key then."""
        entry = self._entries.get(conversation_id or "")
        if entry is not None and entry.claim is not None:
            del self._claims[entry.claim.key]
            self._entries[entry.conversation_id] = attrs.evolve(entry, claim=None)

    def claimed(self, key: str) -> Entry | None:
        """What was made under this key, as far as it is remembered."""
        conversation_id = self._claims.get(key)
        return self._entries[conversation_id] if conversation_id is not None else None

    def remove(self, conversation_id: str) -> None:
        self._forget(conversation_id)
        entry = self._entries.pop(conversation_id)
        del self._order[bisect_left(self._order, entry.key)]

    def __contains__(self, conversation_id: str) -> bool:
        return conversation_id in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

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
