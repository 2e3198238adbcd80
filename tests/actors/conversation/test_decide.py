"""The status table, K18, K29 and K30: a walk of random commands over `decide` and `apply`."""

from itertools import pairwise
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.conversation.decide import decide
from actors.conversation.decision import (
    CancelRun,
    CloseRunTime,
    Decision,
    Leave,
    Live,
    OpenRunTime,
    RunTimePhase,
    StartRun,
)
from actors.conversation.errors import Refused, RunOver
from actors.conversation.state import EMPTY, State, apply, dump_state, load_state, status_of
from actors.conversation.table import TABLE, Status, Trigger, require
from actors.domain import commands as c
from actors.domain import events as e
from actors.domain.codec import decode, encode

NOW = "2026-01-02T03:04:05.678901Z"

TRIGGERS: dict[type, Trigger] = {
    c.AddMessage: Trigger.START,
    c.Start: Trigger.START,
    c.Resume: Trigger.START,
    c.Pause: Trigger.STOP,
    c.Close: Trigger.STOP,
    c.RunTimeReady: Trigger.READY,
    c.RunTimeFailed: Trigger.FATAL,
    c.Archive: Trigger.ARCHIVE,
    c.Unarchive: Trigger.UNARCHIVE,
    c.AskUser: Trigger.STOP,
}

CONFIRM, REJECT = c.SetAgentState(e.AgentState.USER_CONFIRMED), c.SetAgentState(e.AgentState.USER_REJECTED)
AWAITING = e.ConfirmationState.AWAITING


@attrs.define
class Walk:
    """A conversation with its run-time, played by the test: it reports what the effects asked for."""

    state: State = EMPTY
    live: Live = attrs.field(factory=Live)
    events: list[e.Event] = attrs.field(factory=list)
    opening: bool = False
    running: int | None = None
    cancelled: bool = False
    closing: bool = False
    left: int = 0

    def give(self, command: c.Command) -> Decision | None:
        before = status_of(self.state)
        try:
            decision = decide(self.state, self.live, command)
        except Refused:
            return None
        self._apply(decision)
        trigger = TRIGGERS.get(type(command))
        if trigger is not None and (trigger is not Trigger.READY or before is Status.STARTING):
            assert status_of(self.state) in TABLE[before][trigger], (before, command)
        self._have(decision)
        return decision

    def _apply(self, decision: Decision) -> None:
        for draft in decision.drafts:
            event = e.Event(self.state.next_id, NOW, draft.source, draft.body, draft.cause)
            assert event.cause is None or event.cause < event.id
            self.events.append(event)
            self.state = apply(self.state, event, answered=getattr(draft.body, "content", "") != "note")
        self.live = decision.live

    def _have(self, decision: Decision) -> None:
        for effect in decision.effects:
            match effect:
                case OpenRunTime():
                    assert not self.opening
                    assert not self.closing
                    assert self.live.phase is RunTimePhase.OPENING
                    self.opening = True
                case StartRun(run, _, first):
                    assert self.running is None
                    if first is not None:
                        assert self.events[first.action_id].body == first.action
                        assert first.action_id in self.state.open_actions
                    assert self.live.phase is RunTimePhase.OPEN
                    assert self.state.run == run
                    assert isinstance(self.events[run].body, e.RunStarted)
                    self.running, self.cancelled = run, False
                case CancelRun():
                    assert self.running is not None
                    self.running, self.cancelled = self.state.run, True
                case CloseRunTime():
                    assert self.running is None
                    self.closing = True
                case Leave():
                    assert self.running is None
                    self.left += 1

    def report(self, what: int) -> None:
        """The run-time does one of the things that it may do now."""
        if self.closing:
            self.closing = self.opening = False
            self.give(c.RunTimeClosed())
        elif self.opening:
            self.opening = False
            self.give(c.RunTimeFailed("no image") if what % 5 == 4 else c.RunTimeReady())
        elif self.running is not None and what % 7 == 3:
            _, *unread = self._messages(self.running) or (0,)
            self.give(c.AskUser(self.running, e.RunAction("rm", thought="hm"), "why", self.running, tuple(unread)))
        elif self.running is not None and what % 7 == 4:
            self.give(c.Forbid(self.running, e.RunAction("rm"), "why", self.running))
        elif self.running is not None and not self.cancelled and what % 3 == 0:
            self.give(c.Record(self.running, (e.RunAction("ls"),), self.running))
        elif self.running is not None:
            run, self.running = self.running, None
            outcome = e.RunOutcome.STOPPED if self.cancelled else list(e.RunOutcome)[what % 4]
            self.give(c.EndRun(run, outcome, "why"))

    def _messages(self, run: int) -> tuple[int, ...]:
        body = self.events[run].body
        assert isinstance(body, e.RunStarted)
        return body.messages


COMMANDS: list[c.Command] = [
    c.AddMessage(e.MessageAction("hello"), answered=True),
    c.AddMessage(e.MessageAction("hello"), answered=True, busy=c.BusyPolicy.INTERRUPT),
    c.AddMessage(e.MessageAction("hello"), answered=True, busy=c.BusyPolicy.REJECT),
    c.AddMessage(e.MessageAction("note"), answered=False),
    c.Start(),
    c.Join(),
    c.Pause(),
    c.Resume(),
    c.Close(),
    c.Archive(),
    c.Unarchive(),
    c.KeepAlive(60),
    c.Rename("a title"),
    c.Rename(""),
    *(c.Shut(why) for why in c.Why),
    *(c.SetAgentState(state) for state in e.AgentState),
    *(CONFIRM, REJECT) * 4,
]


def walked(steps: list[int], *, room: bool = True) -> Walk:
    walk = Walk()
    walk.events.append(e.Event(0, NOW, e.Source.ENVIRONMENT, e.ConversationCreated(title="it")))
    walk.state = apply(walk.state, walk.events[0])
    for step in steps:
        if step % 2:
            walk.live = attrs.evolve(walk.live, room=room or walk.live.phase is not RunTimePhase.CLOSED)
            walk.give(COMMANDS[step // 2 % len(COMMANDS)])
        else:
            walk.report(step // 2)
    return walk


STEPS = st.lists(st.integers(0, 200), max_size=60)


@given(STEPS)
def test_the_table_holds_and_effects_fit_the_run_time_wherever_a_conversation_goes(steps: list[int]) -> None:
    walked(steps)


@given(STEPS)
def test_k30_every_action_gets_exactly_one_observation_and_at_most_one_run_lives(steps: list[int]) -> None:
    walk = walked(steps)
    while walk.running is not None:
        run, walk.running = walk.running, None
        walk.give(c.EndRun(run, e.RunOutcome.STOPPED))
    causes = [event.cause for event in walk.events if type(event.body) not in e.PAIRED_ACTIONS]
    copies = [event.cause for event in walk.events if type(event.body) is e.RunAction and event.body.thought == ""]
    for event in walk.events:
        if isinstance(event.body, e.RunAction) and event.body.confirmation_state is AWAITING:
            is_pending = walk.state.pending is not None and walk.state.pending.action_id == event.id
            assert (causes.count(event.id), copies.count(event.id)) == (0, 0 if is_pending else 1)
        elif type(event.body) in e.PAIRED_ACTIONS:
            assert causes.count(event.id) == 1
    open_runs: set[int] = set()
    for event in walk.events:
        if isinstance(event.body, e.RunStarted):
            assert not open_runs
            open_runs.add(event.id)
        elif isinstance(event.body, e.RunEnded):
            open_runs.remove(event.body.run)


@given(STEPS, st.integers(0, 100))
def test_k18_replay_gives_the_same_state_from_the_bytes_and_from_any_snapshot(steps: list[int], cut: int) -> None:
    walk = walked(steps)
    state = EMPTY
    for event in walk.events:
        again = decode(encode(event))
        assert again == event
        state = apply(state, again, answered=getattr(again.body, "content", "") != "note")
        if event.id == cut:
            loaded = load_state(dump_state(state))
            assert loaded == state
            state = loaded
    assert state == walk.state


@given(STEPS)
def test_state_events_are_appended_only_when_the_agent_state_changes(steps: list[int]) -> None:
    bodies = [event.body for event in walked(steps).events if isinstance(event.body, e.AgentStateChanged)]
    for before, after in pairwise(bodies):
        assert before != after


@given(STEPS)
def test_whatever_happened_recovery_leaves_nothing_open_and_says_so_once(steps: list[int]) -> None:
    walk = walked(steps)
    walk.live = Live()
    walk.give(c.Recover())
    assert (walk.state.run, walk.state.open_actions) == (None, ())
    assert walk.state.agent_state not in (e.AgentState.RUNNING, e.AgentState.LOADING)
    count = len(walk.events)
    walk.give(c.Recover())
    assert len(walk.events) == count


@given(STEPS)
def test_without_room_no_run_time_is_opened(steps: list[int]) -> None:
    walk = walked(steps, room=False)
    assert all(not isinstance(event.body, e.RunStarted) for event in walk.events)


@given(STEPS)
def test_k23_a_message_that_was_taken_is_answered_if_nobody_stops_it(steps: list[int]) -> None:
    """From wherever: once archived, unarchived; then a message; then only the run-time moves."""
    walk = walked(steps)
    walk.give(c.Unarchive())
    if walk.give(COMMANDS[0]) is None:
        return
    walk.give(REJECT)
    message = max(event.id for event in walk.events if isinstance(event.body, e.MessageAction))
    for _ in range(40):
        walk.report(1)
    taken = [event.body.messages for event in walk.events if isinstance(event.body, e.RunStarted)]
    failed = any(
        isinstance(event.body, e.AgentStateChanged) and event.body.agent_state is e.AgentState.ERROR
        for event in walk.events[message:]
    )
    assert failed or any(message in messages for messages in taken)


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("trigger", Trigger)
def test_a_pair_that_the_table_does_not_list_is_one_typed_refusal(status: Status, trigger: Trigger) -> None:
    if trigger in TABLE[status]:
        require(status, trigger)
        return
    with pytest.raises(Refused) as caught:
        require(status, trigger)
    assert caught.value.code == "illegal_transition"


def test_k29_a_late_report_of_a_dead_run_is_refused() -> None:
    walk = walked([])
    walk.give(COMMANDS[0])
    walk.report(0)
    run: Any = walk.running
    walk.report(1)
    for late in (c.Record(run, (e.ThinkAction("late"),)), c.EndRun(run, e.RunOutcome.WAITING)):
        with pytest.raises(RunOver):
            decide(walk.state, walk.live, late)


@given(STEPS)
def test_what_awaits_the_user_waits_alone_and_the_agents_state_says_so(steps: list[int]) -> None:
    walk = walked(steps)
    if walk.state.pending is not None:
        assert walk.state.run is None
        assert walk.state.agent_state in (
            e.AgentState.AWAITING_USER_CONFIRMATION,
            e.AgentState.LOADING,
            e.AgentState.ERROR,  # the run-time did not open; a start tries again
        )
        walk.live, walk.opening, walk.closing = Live(), False, False
        walk.give(c.Recover())
        walk.give(CONFIRM)
        walk.report(0)
        assert walk.state.pending is None
        assert walk.running is not None
    else:
        assert walk.state.agent_state is not e.AgentState.AWAITING_USER_CONFIRMATION


def asked() -> Walk:
    """Two messages, of which the run has looked at the first; what it wants to do awaits the user."""
    walk = walked([])
    for command in (COMMANDS[0], COMMANDS[0]):
        walk.give(command)
    walk.report(0)
    assert walk.running is not None
    walk.give(c.AskUser(walk.running, e.RunAction("rm", thought="hm", security_risk=2), "high risk", 1, (3,)))
    return walk


def told(walk: Walk, since: int) -> list[Any]:
    """What V0's clients see, in a word each."""
    words: list[Any] = []
    for event in walk.events[since:]:
        match event.body:
            case e.AgentStateChanged(state) | e.ChangeAgentStateAction(state):
                words.append(state.value)
            case e.RunAction(confirmation_state=state):
                words.append((event.id, event.cause, state.value))
            case e.RunStarted() | e.RunEnded():
                pass
            case body:
                words.append((type(body), event.cause))
    return words


def test_an_action_that_awaits_the_user_comes_in_v0s_order_and_ends_the_run() -> None:
    walk = asked()
    assert told(walk, 6) == ["awaiting_user_confirmation", (7, 1, "awaiting_confirmation")]
    assert walk.state.unanswered == (3,)
    assert walk.state.reason == "high risk"
    assert (walk.state.run, walk.running) == (None, None)


def test_a_confirmed_action_is_done_by_a_new_run_under_a_new_id_before_what_waits() -> None:
    walk = asked()
    decision = walk.give(CONFIRM)
    assert decision is not None
    [effect] = decision.effects
    assert isinstance(effect, StartRun)
    assert (effect.messages, effect.first and effect.first.action_id) == ((3,), 10)
    assert told(walk, 9) == ["user_confirmed", (10, 7, "confirmed"), "user_confirmed", "running"]
    copy = walk.events[10].body
    assert isinstance(copy, e.RunAction)
    assert (copy.command, copy.thought, copy.security_risk) == ("rm", "", 2)


def test_a_rejected_action_is_observed_as_rejected_and_what_waits_is_answered() -> None:
    walk = asked()
    walk.give(REJECT)
    assert told(walk, 9) == [
        "user_rejected", (10, 7, "rejected"), "user_rejected", (e.UserRejectObservation, 10), "running",
    ]  # fmt: skip
    assert walk.running is not None


@pytest.mark.parametrize("command", [CONFIRM, REJECT])
def test_where_nothing_awaits_the_user_a_decision_is_refused_and_a_second_one_too(command: c.Command) -> None:
    for walk in (walked([]), walked([1, 0]), asked()):
        walk.give(command)
        with pytest.raises(Refused) as caught:
            decide(walk.state, walk.live, command)
        assert caught.value.code == "nothing_to_confirm"


@pytest.mark.parametrize("command", [c.Resume(), c.SetAgentState(e.AgentState.RUNNING)])
def test_the_agent_does_not_go_on_past_what_awaits_the_user(command: c.Command) -> None:
    walk = asked()
    with pytest.raises(Refused) as caught:
        decide(walk.state, walk.live, command)
    assert caught.value.code == "awaiting_confirmation"
    assert walk.give(c.Start()) == Decision(live=walk.live)


STOPS: list[tuple[c.Command, str]] = [
    (c.Close(), "stopped"),
    (c.SetAgentState(e.AgentState.STOPPED), "stopped"),
    (c.Pause(), "paused"),
    (c.Archive(), "stopped"),
]


@pytest.mark.parametrize(("command", "state"), STOPS)
@pytest.mark.parametrize("phase", [RunTimePhase.OPEN, RunTimePhase.CLOSED])
def test_k30_a_stop_closes_what_awaits_the_user_as_not_done(
    command: c.Command, state: str, phase: RunTimePhase
) -> None:
    walk = asked()
    walk.live = Live(phase)
    walk.give(command)
    words = [word for word in told(walk, 9) if isinstance(word, tuple)]
    assert words[0][1:] == (7, "rejected")
    assert words[1] == (e.ErrorObservation, words[0][0])
    assert (walk.state.pending, walk.state.agent_state.value) == (None, state)


@pytest.mark.parametrize("why", [c.Why.TIMEOUT, c.Why.ROOM, c.Why.DRAIN])
def test_what_awaits_the_user_outlives_the_closing_of_the_run_time(why: c.Why) -> None:
    walk = asked()
    walk.give(c.Shut(why))
    walk.report(0)
    assert (walk.live.phase, walk.left) == (RunTimePhase.CLOSED, 1)
    assert told(walk, 9) == []
    walk.give(c.Join())
    walk.report(0)
    assert told(walk, 9) == ["loading", "awaiting_user_confirmation"]
    assert walk.state.reason == "high risk"


def test_a_decision_for_a_closed_run_time_opens_it_and_is_made_when_it_is_open() -> None:
    walk = asked()
    walk.live = Live()
    walk.give(CONFIRM)
    assert told(walk, 9) == ["user_confirmed", "loading"]
    walk.report(0)
    assert told(walk, 11) == [(11, 7, "confirmed"), "user_confirmed", "running"]


def test_a_run_time_that_does_not_open_leaves_the_decision_to_the_user_again() -> None:
    walk = asked()
    walk.live = Live()
    walk.give(CONFIRM)
    walk.report(4)
    walk.give(c.Start())
    walk.report(0)
    assert told(walk, 11) == ["error", "loading", "awaiting_user_confirmation"]


@pytest.mark.parametrize(
    ("policy", "then"),
    [
        (c.BusyPolicy.ENQUEUE, []),
        (c.BusyPolicy.INTERRUPT, [(10, 7, "rejected"), (e.ErrorObservation, 10), "running"]),
    ],
)
def test_a_message_meanwhile_waits_or_takes_the_place_of_what_awaits_the_user(
    policy: c.BusyPolicy, then: list[Any]
) -> None:
    walk = asked()
    walk.give(c.AddMessage(e.MessageAction("hello"), answered=True, busy=policy))
    assert told(walk, 9) == [(e.MessageAction, None), *then]
    assert walk.state.unanswered == (() if then else (3, 9))


def test_a_message_meanwhile_is_refused_where_the_policy_says_so() -> None:
    walk = asked()
    with pytest.raises(Refused) as caught:
        decide(walk.state, walk.live, COMMANDS[2])
    assert caught.value.code == "busy"


def test_k29_a_run_that_is_being_stopped_asks_nobody() -> None:
    walk = walked([])
    walk.give(COMMANDS[0])
    walk.report(0)
    walk.give(c.Pause())
    assert walk.running is not None
    walk.give(c.AskUser(walk.running, e.RunAction("rm"), "high risk", 1))
    walk.report(1)
    assert told(walk, 5)[-3:] == [(5, 1, "rejected"), (e.ErrorObservation, 5), "paused"]
