"""K11: two requests are the same when they ask the same."""

from itertools import combinations

import attrs
import pytest

from actors.domain import commands as c
from actors.domain import events as e
from actors.domain.codec import DecodeError
from actors.domain.fingerprint import fingerprint, fingerprint_of_creation

HELLO = e.MessageAction("hello")

DIFFERENT: list[c.Command] = [
    c.AddMessage(HELLO, answered=True),
    c.AddMessage(e.MessageAction("hello "), answered=True),
    c.AddMessage(e.MessageAction("hello", image_urls=("a",)), answered=True),
    c.AddMessage(e.MessageAction("hello", file_urls=("a",)), answered=True),
    c.SetAgentState(e.AgentState.RUNNING),
    c.SetAgentState(e.AgentState.STOPPED),
    c.Rename("hello"),
    c.KeepAlive(60),
    c.KeepAlive(61),
    *(kind() for kind in (c.Start, c.Pause, c.Resume, c.Close, c.Archive, c.Unarchive)),
]


def test_k11_whatever_asks_something_else_has_another_digest() -> None:
    for one, other in combinations(DIFFERENT, 2):
        assert fingerprint(one) != fingerprint(other), (one, other)


def test_k11_what_the_house_adds_is_not_asked() -> None:
    """A retry may meet a server with another agent and another policy."""
    assert fingerprint(c.AddMessage(HELLO, answered=True)) == fingerprint(
        c.AddMessage(HELLO, answered=False, busy=c.BusyPolicy.REJECT)
    )


def test_k11_digests_lie_in_logs_so_they_stay_what_they_were() -> None:
    assert fingerprint(c.AddMessage(HELLO, answered=True)) == "33850ae6b19d2c95a31f1d37aa841f87"
    assert fingerprint(c.Close()) == "382075c013bceacbbf5998cd36bd5e44"
    assert fingerprint_of_creation(e.ConversationCreated(), None) == "6b4d89c8725fda2c8ad781069994d70b"


def test_k11_a_field_that_a_later_version_adds_changes_no_digest() -> None:
    @attrs.frozen
    class MessageOfTomorrow(e.MessageAction):
        mood: str = "calm"

    tomorrow = MessageOfTomorrow("hello")
    assert fingerprint(c.AddMessage(tomorrow, answered=True)) == fingerprint(c.AddMessage(HELLO, answered=True))


def test_k11_creations_differ_by_every_field_and_by_the_message() -> None:
    fields = ("title", "selected_repository", "selected_branch", "git_provider", "conversation_instructions")
    asked = [(e.ConversationCreated(), None), (e.ConversationCreated(), HELLO)]
    asked += [(e.ConversationCreated(**{name: "x"}), HELLO) for name in fields]
    assert len({fingerprint_of_creation(*one) for one in asked}) == len(asked)


def test_text_that_is_no_unicode_is_one_error() -> None:
    with pytest.raises(DecodeError):
        fingerprint(c.Rename("\ud800"))
