"""What lies in a conversation's mailbox: the domain's commands, and what concerns the actor's own life."""

from typing import TypeAlias

import attrs

from actors.conversation.cursor import Cursor
from actors.domain import commands as c

__all__ = ["LookAtClock", "Message", "Subscribe", "Unsubscribe", "kind_of", "without_terms"]


@attrs.frozen
class Subscribe:
    """A cursor joins (K31); answered with the log that it reads from. `again`: it was here before, so that it is no
    activity (K21)."""

    cursor: Cursor
    again: bool = False


@attrs.frozen
class Unsubscribe:
    """A cursor leaves."""

    cursor: Cursor


@attrs.frozen
class LookAtClock:
    """The alarm of this conversation has rung: is it idle for too long (K22)?"""


Message: TypeAlias = c.Command | Subscribe | Unsubscribe | LookAtClock


def without_terms(message: Message) -> Message:
    """What is to be done, whatever the terms that it came on."""
    return message.command if isinstance(message, c.OnTerms) else message


def kind_of(message: Message) -> str:
    """What it is called where people look at what waits; nothing of what it holds."""
    return type(without_terms(message)).__name__
