"""The one table from what can go wrong inside to what the outside is told. Pure.

An error that is not in the table is nobody's business outside: strangers see "Internal error" and an id that the log
explains.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import attrs

from actors.conversation.errors import EventIdMismatch, Refused
from actors.domain.codec import DecodeError
from actors.runtime import (
    ActorCrashed,
    ActorFailed,
    AskTimedOut,
    CutOff,
    Expired,
    MailboxFull,
    RegistryClosed,
    ServerFull,
)
from storage.errors import (
    BadCursor,
    ConversationNotFound,
    CorruptLog,
    LogClosed,
    NothingToRepair,
    OutcomeUnknown,
    StorageDegraded,
    Unreadable,
)

__all__ = ["INTERNAL_ERROR", "Refusal", "Refusals", "refusal"]


@attrs.frozen
class Refusal:
    """`status` is HTTP's; `code` is for programs; `retry_after_seconds` where trying again makes sense; `facts` are
    what a program needs besides, and come on every way out."""

    status: int
    code: str
    message: str
    retry_after_seconds: int | None = None
    facts: Mapping[str, Any] = attrs.field(factory=dict)

    @property
    def msg_id(self) -> str:
        """Under which the catalogue has it for people: V0's id where it has one, else the code."""
        return _V0_IDS.get(self.code, self.code)

    def body(self) -> dict[str, Any]:
        """As JSON over HTTP: what each family of V0's clients reads of its routes' errors (contract §0), in one."""
        return {
            "status": "error",
            "message": self.message,
            "msg_id": self.msg_id,
            "detail": self.message,
            "error": self.message,
            "success": False,
            "code": self.code,
            **self.facts,
        }


_V0_IDS = {
    "not_found": "CONVERSATION$NOT_FOUND",
    "too_many_conversations": "AGENT_ERROR$TOO_MANY_CONVERSATIONS",
}

INTERNAL_ERROR = Refusal(500, "internal_error", "Internal server error")
"""All that strangers are told of what is not in the table, with the id of the log's line."""


_TABLE: dict[type[Exception], Refusal] = {
    ConversationNotFound: Refusal(404, "not_found", "Conversation not found"),
    DecodeError: Refusal(422, "bad_action", ""),
    BadCursor: Refusal(400, "bad_cursor", ""),
    MailboxFull: Refusal(429, "mailbox_full", "This conversation has too much waiting; try again", 1),
    ServerFull: Refusal(503, "server_full", "The server has too much waiting; try again", 1),
    Expired: Refusal(503, "expired", "The command waited too long and was not executed", 1),
    AskTimedOut: Refusal(504, "outcome_unknown", "No answer in time; the outcome is unknown"),
    CutOff: Refusal(503, "outcome_unknown", "The server is shutting down; whether this was done is unknown", 5),
    RegistryClosed: Refusal(503, "shutting_down", "The server is shutting down", 1),
    StorageDegraded: Refusal(503, "storage_degraded", "The disk takes no writes at the moment; try again", 5),
    OutcomeUnknown: Refusal(503, "outcome_unknown", "The disk failed; whether this was kept is unknown", 5),
    Unreadable: Refusal(503, "storage_unreadable", "The disk could not be read; try again", 5),
    LogClosed: Refusal(503, "log_closed", "The conversation is being opened anew; try again", 1),
    CorruptLog: Refusal(409, "log_corrupt", "The conversation's log is damaged; an operator must look at it"),
    NothingToRepair: Refusal(409, "nothing_to_repair", ""),
    ActorCrashed: Refusal(500, "crashed", "The command failed and had no effect"),
}


_CODES: dict[str, tuple[int, int | None]] = {
    "too_many_conversations": (503, 10),
    "busy": (409, 1),
    "bad_key": (422, None),
    "key_reused": (422, None),
}
"""Refusals that are no plain conflict: status, and seconds after which to try again if time will lift it."""


def refusal(error: Exception) -> Refusal | None:
    """What to tell of this error, or None when nothing of it may be told."""
    if isinstance(error, Refused):
        status, retry_after_seconds = _CODES.get(error.code, (409, None))
        facts = {"last_event_id": error.last_event_id} if isinstance(error, EventIdMismatch) else {}
        return Refusal(status, error.code, error.message, retry_after_seconds, facts)
    if isinstance(error, ActorFailed):
        return Refusal(409, error.reason, f"The conversation is in error: {error.reason}")
    found = _TABLE.get(type(error))
    if found is None or found.message:
        return found
    return attrs.evolve(found, message=str(error))


@attrs.define
class Refusals:
    """The table at work: how often what was refused, by code."""

    counts: Counter[str] = attrs.field(factory=Counter)

    def tell(self, error: Exception) -> Refusal | None:
        """As `refusal`, counted; what may not be told is an `internal_error`."""
        told = refusal(error)
        self.count((INTERNAL_ERROR if told is None else told).code)
        return told

    def count(self, code: str) -> None:
        """One refusal that no error of ours has led to."""
        self.counts[code] += 1
