"""What a conversation is told and what follows, step after step, with a crash at every event (K18, K24)."""

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.conversation.decide import decide
from actors.conversation.decision import Draft, Live, RunTimePhase
from actors.conversation.errors import Refused
from actors.conversation.running import NOT_EXECUTED_ERROR
from actors.conversation.state import EMPTY, State, apply, dump_state, load_state, status_of
from actors.conversation.step import stamp
from actors.conversation.table import Status
from actors.domain import commands as c
from actors.domain import events as e
from actors.domain.codec import decode, encode
from actors.runtime.testing import Decider
from tests.actors.conversation.test_decide import COMMANDS, CONFIRM, NOW, REJECT, walked


def conversation(live: Live) -> Decider[State, c.Command, Draft]:
    """A conversation whose run-time is as told. Events are drafts here: they are stamped on their way to the log."""

    def apply_draft(state: State, draft: Draft) -> State:
        [event] = stamp([draft], state.next_id, NOW)
        return apply(state, event, answered=getattr(draft.body, "content", "") != "note")

    def reread(draft: Draft) -> Draft:
        [event] = stamp([draft], 0, NOW)
        again = decode(encode(event))
        return Draft(again.body, again.source, again.cause)

    def reload(state: State) -> State:
        return load_state(dump_state(state)) or EMPTY

    return Decider(EMPTY, lambda state, command: decide(state, live, command).drafts, apply_draft, reread, reload)


CLOSED, OPEN = conversation(Live()), conversation(Live(RunTimePhase.OPEN))


def became(state: e.AgentState, reason: str = "") -> Draft:
    return Draft(e.AgentStateChanged(state, reason))


CREATED = Draft(e.ConversationCreated(title="it"))
RUNNING = (
    CREATED,
    Draft(e.MessageAction("hello"), e.Source.USER),
    became(e.AgentState.LOADING),
    Draft(e.RunStarted((1,)), cause=1),
    became(e.AgentState.RUNNING),
)
REMOVE = e.RunAction("rm", security_risk=2)
NOT_DONE = attrs.evolve(REMOVE, confirmation_state=e.ConfirmationState.REJECTED)


def test_what_was_archived_in_error_is_stopped_when_it_is_taken_out() -> None:
    told = (
        CLOSED.given(CREATED)
        .when(c.Start())
        .then(became(e.AgentState.LOADING))
        .when(c.RunTimeFailed("no image"))
        .then(became(e.AgentState.ERROR, "no image"))
        .when(c.Archive())
        .then(Draft(e.Archived(), e.Source.USER))
    )
    assert told.when(c.Start()).then_refused(Refused).code == "illegal_transition"
    told = told.when(c.Unarchive()).then(Draft(e.Unarchived(), e.Source.USER), became(e.AgentState.STOPPED))
    assert status_of(told.state) is Status.STOPPED


def test_a_forbidden_action_is_written_down_with_the_reason_and_the_run_goes_on() -> None:
    told = (
        OPEN.given(*RUNNING)
        .when(c.Forbid(3, REMOVE, "high risk: it removes files", 1))
        .then(
            Draft(NOT_DONE, e.Source.AGENT, 1),
            Draft(e.ErrorObservation("Not done: high risk: it removes files.", NOT_EXECUTED_ERROR), cause=5),
        )
    )
    assert (told.state.run, told.state.open_actions) == (3, ())


def test_when_nothing_waits_a_rejected_action_leaves_the_word_to_the_user() -> None:
    told = (
        OPEN.given(*RUNNING)
        .when(c.AskUser(3, REMOVE, "high risk", 1))
        .then(
            became(e.AgentState.AWAITING_USER_CONFIRMATION, "high risk"),
            Draft(attrs.evolve(REMOVE, confirmation_state=e.ConfirmationState.AWAITING), e.Source.AGENT, 1),
            Draft(e.RunEnded(3, e.RunOutcome.WAITING, "high risk")),
        )
        .when(REJECT)
        .then(
            Draft(e.ChangeAgentStateAction(e.AgentState.USER_REJECTED), e.Source.USER),
            Draft(NOT_DONE, e.Source.AGENT, 6),
            became(e.AgentState.USER_REJECTED),
            Draft(e.UserRejectObservation("The user did not want this to be done."), e.Source.AGENT, 9),
            became(e.AgentState.AWAITING_USER_INPUT),
        )
    )
    for again in (CONFIRM, REJECT):
        assert told.when(again).then_refused(Refused).code == "nothing_to_confirm"


@settings(max_examples=50)
@given(st.lists(st.integers(0, 200), max_size=15), st.sampled_from(COMMANDS))
def test_k18_wherever_a_conversation_is_a_crash_at_any_event_of_a_command_loses_nothing(
    steps: list[int], command: c.Command
) -> None:
    walk = walked(steps)
    past = [Draft(event.body, event.source, event.cause) for event in walk.events]
    told = conversation(walk.live).given(*past).when(command)
    decision = walk.give(command)
    if decision is None:
        told.then_refused(Refused)
    else:
        told.then(*decision.drafts)
