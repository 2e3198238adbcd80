"""K11 and K12 as plain functions: a walk of random commands with keys and expected ids over `decide` and `apply`."""

from typing import Any

import attrs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.conversation.decide import decide
from actors.conversation.decision import Live
from actors.conversation.errors import EventIdMismatch, KeyReused, Refused
from actors.conversation.keys import KEYS_MIN, PAGE_KEYS, Receipt, find, remember
from actors.conversation.state import EMPTY, State, apply, dump_state, load_state
from actors.domain import commands as c
from actors.domain import events as e
from actors.domain.codec import decode, encode
from actors.domain.fingerprint import fingerprint
from actors.domain.terms import Terms
from tests.actors.conversation.test_decide import NOW, Walk

ASKED: list[c.Command] = [
    c.AddMessage(e.MessageAction("hello"), answered=True),
    c.AddMessage(e.MessageAction("hello"), answered=True, busy=c.BusyPolicy.INTERRUPT),
    c.AddMessage(e.MessageAction("note"), answered=False),
    c.SetAgentState(e.AgentState.STOPPED),
    c.SetAgentState(e.AgentState.RUNNING),
    c.SetAgentState(e.AgentState.USER_CONFIRMED),
    c.SetAgentState(e.AgentState.USER_REJECTED),
    c.Start(),
    c.Pause(),
    c.Resume(),
    c.Close(),
    c.KeepAlive(60),
    c.Archive(),
    c.Unarchive(),
    c.Rename("a title"),
]

STEPS = st.lists(
    st.tuples(
        st.sampled_from(ASKED),
        st.none() | st.sampled_from("abcd"),
        st.none() | st.sampled_from([0, 0, 0, 1, -1]),
        st.integers(0, 100),
    ),
    max_size=40,
)


@attrs.define
class Client:
    """Gives commands on terms, and knows for each key what it stands for and what it was answered with."""

    walk: Walk = attrs.field(factory=Walk)
    known: dict[str, tuple[str, Receipt]] = attrs.field(factory=dict)

    def give(self, command: c.Command, key: str | None, ahead: int | None) -> None:
        state, live = self.walk.state, self.walk.live
        last_id = state.next_id - 1
        asked = c.OnTerms(command, Terms(key, None if ahead is None else last_id + ahead))
        if key in self.known:
            self._check_known(asked)
        elif ahead not in (None, 0):
            with pytest.raises(EventIdMismatch) as caught:
                decide(state, live, asked)
            assert caught.value.last_event_id == last_id
        else:
            self._check_first(asked)

    def _check_known(self, asked: c.OnTerms) -> None:
        state, live = self.walk.state, self.walk.live
        digest, receipt = self.known[asked.terms.key or ""]
        if digest != fingerprint(asked.command):
            with pytest.raises(KeyReused):
                decide(state, live, asked)
            return
        decision = decide(state, live, asked)
        assert decision.replayed == attrs.evolve(receipt, replayed=True)
        assert (decision.drafts, decision.effects, decision.live) == ((), (), live)

    def _check_first(self, asked: c.OnTerms) -> None:
        state, live, key = self.walk.state, self.walk.live, asked.terms.key
        try:
            plain = decide(state, live, asked.command)
        except Refused:
            with pytest.raises(Refused):
                decide(state, live, asked)
            return
        decision = self.walk.give(asked)
        assert decision is not None
        assert (decision.effects, decision.live, decision.replayed) == (plain.effects, plain.live, None)
        if key is None:
            assert decision.drafts == plain.drafts
            return
        assert decision.drafts[:-1] == plain.drafts
        used = decision.drafts[-1].body
        assert isinstance(used, e.KeyUsed)
        assert used.event_id == state.next_id
        self.known[key] = used.digest, Receipt(used.event_id, used.status, NOW)


def walked(steps: list[tuple[c.Command, str | None, int | None, int]]) -> Client:
    client = Client()
    client.walk.events.append(e.Event(0, NOW, e.Source.ENVIRONMENT, e.ConversationCreated()))
    client.walk.state = apply(EMPTY, client.walk.events[0])
    for command, key, ahead, report in steps:
        client.give(command, key, ahead)
        if report % 2:
            client.walk.report(report // 2)
    return client


@given(STEPS)
def test_k11_k12_a_key_takes_effect_once_and_an_expected_id_only_at_the_end(steps: list[Any]) -> None:
    client = walked(steps)
    keys = [event.body.key for event in client.walk.events if isinstance(event.body, e.KeyUsed)]
    assert sorted(keys) == sorted(client.known)


@given(STEPS, st.integers(0, 100))
def test_k11_replay_knows_the_same_keys_from_the_bytes_and_from_any_snapshot(steps: list[Any], cut: int) -> None:
    walk = walked(steps).walk
    state = EMPTY
    for event in walk.events:
        state = apply(state, decode(encode(event)), answered=getattr(event.body, "content", "") != "note")
        if event.id == cut:
            state = snapshot_round_trip(state)
    assert state == walk.state


def snapshot_round_trip(state: State) -> State:
    loaded = load_state(orjson.loads(orjson.dumps(dump_state(state))))
    assert loaded == state
    return loaded


def test_k11_a_refusal_leaves_no_key_so_the_same_command_may_be_tried_again() -> None:
    archived = apply(EMPTY, e.Event(0, NOW, e.Source.USER, e.Archived()))
    asked = c.OnTerms(ASKED[0], Terms("k"))
    with pytest.raises(Refused, match="ARCHIVED"):
        decide(archived, Live(), asked)
    taken_out = apply(archived, e.Event(1, NOW, e.Source.USER, e.Unarchived()))
    assert decide(taken_out, Live(), asked).replayed is None


def test_k11_the_key_goes_before_the_expected_id_which_the_first_try_has_moved() -> None:
    asked = c.OnTerms(ASKED[2], Terms("k", 0))
    client = walked([(ASKED[2], "k", 0, 0)])
    assert decide(client.walk.state, client.walk.live, asked).replayed is not None


def test_k11_a_stop_is_answered_with_what_was_before_and_the_archive_with_what_is() -> None:
    client = walked([(c.Start(), "start", None, 0), (c.Close(), "stop", None, 0), (c.Archive(), "archive", None, 1)])
    assert [receipt.status for _, receipt in client.known.values()] == ["STARTING", "STARTING", "ARCHIVED"]


# --- the window ---


@given(st.integers(0, 3 * KEYS_MIN))
def test_k11_the_window_keeps_the_youngest_and_is_bounded(count: int) -> None:
    keys: Any = ()
    for number in range(count):
        keys = remember(keys, e.KeyUsed(f"k{number}", "d", number, "RUNNING"), NOW)
    kept = [key for page in keys for key in page]
    assert kept == [f"k{number}" for number in range(count - len(kept), count)]
    assert min(count, KEYS_MIN) <= len(kept) <= KEYS_MIN + PAGE_KEYS
    assert find(keys, f"k{count - 1}") == (keys[-1][f"k{count - 1}"] if count else None)
    assert find(keys, f"k{count - len(kept) - 1}") is None


def test_k11_a_new_key_changes_no_state_that_anybody_holds() -> None:
    first = apply(EMPTY, e.Event(0, NOW, e.Source.USER, e.KeyUsed("a", "d", 0, "RUNNING")))
    before = dump_state(first)
    second = apply(first, e.Event(1, NOW, e.Source.USER, e.KeyUsed("b", "d", 1, "RUNNING")))
    assert dump_state(first) == before
    assert [list(page) for page in second.keys] == [["a", "b"]]
