"""The keys that a conversation remembers (K11): a bounded window over its log, the youngest kept. Pure.

What lives here: what is kept of a key, and what a command is answered with. What must not: what a key decides
(`terms`).
"""

from collections.abc import Mapping

import attrs

from actors.domain import events as e

__all__ = ["KEYS_MIN", "PAGE_KEYS", "Keys", "Receipt", "UsedKey", "find", "remember"]

KEYS_MIN = 2048
"""So many of the youngest are remembered at the least. A mailbox and the turn before it hold 1,536 commands (K5, K6):
whatever was under way when a connection or the server broke is still known when it is tried again, with room for what
others send before that. About 1 MB at the most."""

PAGE_KEYS = 128
"""A state is never changed, so a new key costs a copy: of its page alone, some microseconds. Pages go as a whole."""


@attrs.frozen
class UsedKey:
    """What `greenroom.key_used` says; `at` is when (UTC, ISO 8601)."""

    digest: str
    event_id: int
    status: str
    at: str


Keys = tuple[Mapping[str, UsedKey], ...]
"""Pages, the oldest first; all but the youngest are full."""


@attrs.frozen
class Receipt:
    """What a client's command is answered with.

    `event_id` is the first event that it left, None where there is none; `status` is V0's, of the conversation; `at` is
    when the command was carried out (UTC, ISO 8601); `replayed` says that this was before, under the same key.
    """

    event_id: int | None
    status: str
    at: str
    replayed: bool = False


def find(keys: Keys, key: str | None) -> UsedKey | None:
    """What is remembered of the key, or None."""
    return next((page[key] for page in reversed(keys) if key in page), None) if key is not None else None


def remember(keys: Keys, body: e.KeyUsed, at: str) -> Keys:
    """The keys with this one, without the oldest page where there would be one too many."""
    used = UsedKey(body.digest, body.event_id, body.status, at)
    if keys and len(keys[-1]) < PAGE_KEYS:
        return (*keys[:-1], {**keys[-1], body.key: used})
    return (*keys, {body.key: used})[-(KEYS_MIN // PAGE_KEYS + 1) :]
