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
}


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
                case StartRun(run, _):
                    assert self.running is None
                    assert self.live.phase is RunTimePhase.OPEN
                    assert self.state.run == run
                    assert isinstance(self.events[run].body, e.RunStarted)
                    self.running, self.cancelled = run, False
                case CancelRun():
                    assert self.running is not None
                    self.cancelled = True
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
        elif self.running is not None and not self.cancelled and what % 3 == 0:
            self.give(c.Record(self.running, (e.RunAction("ls"),), self.running))
        elif self.running is not None:
            run, self.running = self.running, None
            outcome = e.RunOutcome.STOPPED if self.cancelled else list(e.RunOutcome)[what % 4]
            self.give(c.EndRun(run, outcome, "why"))


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
    c.KeepAlive(),
    c.Rename("a title"),
    *(c.Shut(why) for why in c.Why),
    *(c.SetAgentState(state) for state in e.AgentState),
]


def walked(steps: list[int], *, room: bool = True) -> Walk:
    walk = Walk()
    walk.events.append(e.Event(0, NOW, e.Source.ENVIRONMENT, e.ConversationCreated()))
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
    for event in walk.events:
        if type(event.body) in e.PAIRED_ACTIONS:
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


def test_what_was_archived_in_error_is_stopped_when_it_is_taken_out() -> None:
    walk = walked([])
    for command in (c.Start(), c.RunTimeFailed("no image"), c.Archive(), c.Unarchive()):
        walk.give(command)
    assert status_of(walk.state) is Status.STOPPED


def test_k29_a_late_report_of_a_dead_run_is_refused() -> None:
    walk = walked([])
    walk.give(COMMANDS[0])
    walk.report(0)
    run: Any = walk.running
    walk.report(1)
    for late in (c.Record(run, (e.ThinkAction("late"),)), c.EndRun(run, e.RunOutcome.WAITING)):
        with pytest.raises(RunOver):
            decide(walk.state, walk.live, late)
