"""What a client asked, as a short text to compare by: a key stands for one request (K11). Pure.

What lives here: the digest of a command. It is of the command and not of the bytes that brought it, so that a retry may
come by another transport, or from a JSON library that writes fields in another order; and of what was said and not of
what the house adds (a default, a policy), so that a retry may meet a server that is configured anew. What must not: a
secret. Commands come here masked, or a digest in a log would let short secrets be guessed.
"""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import attrs
import orjson

from actors.domain import commands as c
from actors.domain import events as e
from actors.domain.codec import DecodeError

__all__ = ["fingerprint", "fingerprint_of_creation"]

DIGEST_BYTES = 16
"""Two different requests under one key are told apart but for one case in 10^38."""

_NAMES: Mapping[type, str] = {
    c.AddMessage: "message",
    c.SetAgentState: "change_agent_state",
    c.Rename: "rename",
    c.Start: "start",
    c.Pause: "pause",
    c.Resume: "resume",
    c.Close: "stop",
    c.KeepAlive: "keepalive",
    c.Archive: "archive",
    c.Unarchive: "unarchive",
}
"""What clients can ask for. Digests lie in logs: a class may be renamed, these names may not."""


def fingerprint(command: c.Command) -> str:
    """Of a command that came from a client. Raises `DecodeError` when its text is not valid Unicode."""
    return _digest(_NAMES[type(command)], command.message if isinstance(command, c.AddMessage) else command)


def fingerprint_of_creation(created: e.ConversationCreated, first_message: e.MessageAction | None) -> str:
    """As `fingerprint`, for what has no command."""
    return _digest("create", created, *(() if first_message is None else (first_message,)))


def _digest(name: str, *said: Any) -> str:
    parts = [attrs.asdict(part, filter=_is_said) for part in said]
    try:
        text = orjson.dumps([name, *parts], option=orjson.OPT_SORT_KEYS)
    except TypeError as failure:
        raise DecodeError(f"cannot be written as JSON: {failure}") from failure
    return blake2b(text, digest_size=DIGEST_BYTES).hexdigest()


def _is_said(field: "attrs.Attribute[Any]", value: object) -> bool:
    """A field that comes with a later version is not there in the digests of this one."""
    return bool(value != field.default)
