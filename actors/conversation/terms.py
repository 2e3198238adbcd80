"""Commands on terms: once under a key (K11), and only if nothing has happened since (K12). Pure; called by `decide`.

A key is asked for first: whoever tries again is answered, however far the conversation has moved on by then, by that
very command for one. A refusal leaves no key, for it has no effect: the same command may be tried again.
"""

import attrs

from actors.conversation.decision import Decision, Draft, Live
from actors.conversation.errors import EventIdMismatch, KeyReused
from actors.conversation.keys import Receipt, find
from actors.conversation.state import State
from actors.conversation.summary import shown_status, v0_status
from actors.conversation.table import Status
from actors.domain import commands as c
from actors.domain import events as e
from actors.domain.fingerprint import fingerprint
from actors.domain.terms import Terms

__all__ = ["hold", "recall", "with_key"]


def hold(state: State, terms: Terms) -> bool:
    """Whether a command on these terms is anything but a replay or a refusal."""
    return find(state.keys, terms.key) is None and terms.expected_event_id in (None, state.next_id - 1)


def recall(state: State, asked: c.OnTerms) -> Receipt | None:
    """What the command was answered with, if it was carried out before. Raises `KeyReused` and `EventIdMismatch`."""
    if hold(state, asked.terms):
        return None
    used = find(state.keys, asked.terms.key)
    if used is None:
        raise EventIdMismatch(state.next_id - 1)
    if used.digest != fingerprint(asked.command):
        raise KeyReused
    return Receipt(used.event_id, used.status, used.at, replayed=True)


def with_key(state: State, live: Live, asked: c.OnTerms, decision: Decision) -> Decision:
    """The decision with its key behind everything else, so that the ids before it are those that were decided."""
    key = asked.terms.key
    if key is None:
        return decision
    status = _status_told(state, live, asked.command, decision.live)
    used = Draft(e.KeyUsed(key, fingerprint(asked.command), state.next_id, status), e.Source.USER)
    return attrs.evolve(decision, drafts=(*decision.drafts, used))


def _status_told(state: State, live: Live, command: c.Command, after: Live) -> str:
    """A stop is answered with what was before (contract §1.1), everything else with what is now."""
    match command:
        case c.Close():
            return v0_status(live)
        case c.Archive():
            return Status.ARCHIVED.value
        case c.Unarchive():
            return v0_status(after)
        case _:
            return shown_status(state, after)
