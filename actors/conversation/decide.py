"""What a command leads to: events, effects, or a typed refusal. Pure.

`decide` takes the state as the log tells it and `Live`, what is true of this process only. It returns drafts of
events (ids and times are put on by the actor), effects to be had once these are durable (K8), and the next `Live`.
Which pairs of status and command are legal is `table`'s; what happens then is in `running`, `confirming` and `closing`.
"""

from typing import assert_never

import attrs

from actors.conversation import closing, confirming, running
from actors.conversation.decision import Cancelling, Decision, Draft, Live, NotifyTitle, Wish
from actors.conversation.errors import Refused
from actors.conversation.state import State, status_of
from actors.conversation.table import Trigger, require
from actors.conversation.terms import recall, with_key
from actors.domain import commands as c
from actors.domain import events as e

__all__ = ["decide"]


def decide(state: State, live: Live, command: c.Command) -> Decision:  # noqa: C901, PLR0911, PLR0912 - one flat table
    """Raises `Refused`."""
    match command:
        case c.AddMessage():
            return running.add_message(state, live, command)
        case c.SetAgentState():
            return _set_agent_state(state, live, command)
        case c.Start():
            require(status_of(state), Trigger.START)
            return running.wake(state, live, Wish.ANSWERS)
        case c.Join():
            return running.join(state, live)
        case c.Pause():
            return closing.pause(state, live)
        case c.Resume():
            return _go_on(state, live)
        case c.Close():
            require(status_of(state), Trigger.STOP)
            return closing.close(state, live)
        case c.Shut():
            return closing.shut(state, live, command)
        case c.KeepAlive():
            return closing.keep_alive(live)
        case c.Archive():
            return closing.archive(state, live)
        case c.Unarchive():
            return closing.unarchive(state, live)
        case c.Rename():
            return Decision((Draft(e.TitleChanged(command.title), e.Source.USER),), (NotifyTitle(command.title),), live)
        case c.OnTerms():
            return _decide_on_terms(state, live, command)
        case c.Recover():
            return running.recover(state, live, command)
        case c.RunTimeReady():
            return running.ready(state, live)
        case c.RunTimeFailed():
            return running.failed(state, command)
        case c.RunTimeClosed():
            return closing.closed(state, live)
        case c.Record():
            return running.record(state, live, command)
        case c.Forbid():
            return confirming.forbid(state, live, command)
        case c.AskUser():
            return confirming.ask_user(state, live, command)
        case c.EndRun():
            return running.end_run(state, live, command)
        case _:
            assert_never(command)


def _decide_on_terms(state: State, live: Live, asked: c.OnTerms) -> Decision:
    replayed = recall(state, asked)
    if replayed is not None:
        return Decision(live=live, replayed=replayed)
    return with_key(state, live, asked, decide(state, live, asked.command))


def _set_agent_state(state: State, live: Live, command: c.SetAgentState) -> Decision:
    """What a client may have the agent be (contract §2.5); the request is an event as well."""
    asked = Draft(e.ChangeAgentStateAction(command.agent_state), e.Source.USER)
    shifted = attrs.evolve(state, next_id=state.next_id + 1)
    match command.agent_state:
        case e.AgentState.STOPPED:
            decision = closing.stop_run(shifted, live, e.AgentState.STOPPED, Cancelling.STOP)
        case e.AgentState.PAUSED:
            decision = closing.pause(shifted, live)
        case e.AgentState.RUNNING:
            decision = _go_on(shifted, live)
        case e.AgentState.USER_CONFIRMED:
            decision = confirming.confirm(shifted, live)
        case e.AgentState.USER_REJECTED:
            decision = confirming.reject(shifted, live)
        case _:
            raise Refused("illegal_agent_state", f"the agent cannot be told to be {command.agent_state} now")
    return attrs.evolve(decision, drafts=(asked, *decision.drafts))


def _go_on(state: State, live: Live) -> Decision:
    require(status_of(state), Trigger.START)
    if state.pending is not None:
        raise Refused("awaiting_confirmation", "an action awaits confirmation; confirm or reject it first")
    return running.wake(state, live, Wish.GO_ON)
