"""Each checker finds what it is there to find, and nothing in a run in which all went well."""

from collections.abc import Sequence
from typing import Any

import attrs
import orjson
import pytest

from bench.checkers import Violation
from storage.record import encode_batch
from tests.simulation.checkers import (
    CHECKERS,
    AcknowledgedStays,
    ActionsHaveOneEnd,
    AtRest,
    Checker,
    DraftView,
    Evidence,
    LogsAreWhole,
    NothingIsRewritten,
    RunsNest,
    SendersKeepTheirOrder,
    View,
    ViewsHaveNoGaps,
)
from tests.simulation.ledger import Command, Outcome

Event = dict[str, Any]

KEY = "a"


def said(text: str) -> Event:
    return {"source": "user", "action": "message", "args": {"content": text}}


def observed(kind: str, cause: int | None = None) -> Event:
    return {"source": "agent", "observation": kind, "extras": {}, **({} if cause is None else {"cause": cause})}


RAN = {"source": "agent", "action": "run", "args": {"command": "ls"}}
BEGUN, ENDED = observed("greenroom.run_started"), observed("greenroom.run_ended")


def log(*batches: Sequence[Event], epoch: int = 1) -> bytes:
    lines: list[bytes] = []
    for batch in batches:
        ids = range(len(lines), len(lines) + len(batch))
        payloads = [orjson.dumps({"id": event_id, **event}) for event_id, event in zip(ids, batch, strict=True)]
        lines += encode_batch(len(lines), epoch, payloads)
    return b"".join(lines)


GOOD = log([observed("greenroom.created")], [said("one"), BEGUN, RAN], [observed("run", 3), ENDED], [said("two")])


def told(text: str, outcome: Outcome) -> Command:
    return Command("voice", KEY, text, outcome=outcome)


def evidence(data: bytes = GOOD, *, before: bytes = b"", commands: Sequence[Command] = (), **view: Any) -> Evidence:
    views = [View("voice", KEY, view["after"], view["events"])] if view else []
    return Evidence({KEY: data}, {KEY: before} if before else {}, commands, views)


def shown(*ids: int) -> list[Event]:
    events = [orjson.loads(line)["event"] for line in GOOD.splitlines()]
    return [events[event_id] for event_id in ids]


def flipped() -> bytes:
    return GOOD.replace(b"one", b"ond")


WELL = evidence(
    before=GOOD[: GOOD.index(b"\n") + 1],
    commands=[told("one", Outcome.ACKNOWLEDGED), told("no", Outcome.REFUSED), told("two", Outcome.UNKNOWN)],
    after=-1,
    events=shown(1, 3, 4, 6),
)


@pytest.mark.parametrize("checker", [*CHECKERS, AtRest()], ids=lambda checker: type(checker).__name__)
def test_a_run_in_which_all_went_well_passes(checker: Checker) -> None:
    checker.check(WELL)


@pytest.mark.parametrize(
    ("checker", "broken"),
    [
        (LogsAreWhole(), evidence(flipped())),
        (LogsAreWhole(), evidence(GOOD[GOOD.index(b"\n") + 1 :])),
        (LogsAreWhole(), evidence(b"".join(GOOD.splitlines(keepends=True)[:2]))),
        (LogsAreWhole(), evidence(log([said("one")], epoch=2) + encode_batch(1, 1, [b'{"id":1}'])[0])),
        (NothingIsRewritten(), evidence(before=flipped())),
        (AcknowledgedStays(), evidence(commands=[told("three", Outcome.ACKNOWLEDGED)])),
        (AcknowledgedStays(), evidence(commands=[told("one", Outcome.REFUSED)])),
        (AcknowledgedStays(), evidence(log([said("one")], [said("one")]), commands=[told("one", Outcome.UNKNOWN)])),
        (AcknowledgedStays(), evidence(commands=[attrs.evolve(told("one", Outcome.ACKNOWLEDGED), event_id=0)])),
        (AcknowledgedStays(), evidence(commands=[attrs.evolve(told("one", Outcome.ACKNOWLEDGED), event_id=99)])),
        (SendersKeepTheirOrder(), evidence(commands=[told("two", Outcome.UNKNOWN), told("one", Outcome.UNKNOWN)])),
        (ViewsHaveNoGaps(), evidence(after=-1, events=shown(1, 4))),
        (ViewsHaveNoGaps(), evidence(after=-1, events=shown(1, 1))),
        (ViewsHaveNoGaps(), evidence(after=-1, events=[{"id": 7}])),
        (ActionsHaveOneEnd(), evidence(log([BEGUN, RAN], [observed("run", 1), observed("error", 1)]))),
        (RunsNest(), evidence(log([BEGUN], [BEGUN]))),
        (RunsNest(), evidence(log([BEGUN], [ENDED], [ENDED]))),
        (RunsNest(), evidence(log([BEGUN], [ENDED], [RAN]))),
        (AtRest(), evidence(log([BEGUN, RAN], [ENDED]))),
        (AtRest(), evidence(log([BEGUN]))),
        (AtRest(), evidence(commands=[told("one", Outcome.PENDING)])),
    ],
)
def test_what_is_broken_is_found(checker: Checker, broken: Evidence) -> None:
    with pytest.raises(Violation):
        checker.check(broken)


def test_a_conversation_that_was_deleted_owes_nothing() -> None:
    gone = Evidence({}, {}, WELL.commands, WELL.views)
    for checker in CHECKERS:
        checker.check(gone)


def test_a_second_answer_is_found() -> None:
    command = Command("voice", KEY, "one")
    command.settle(Outcome.ACKNOWLEDGED)
    with pytest.raises(Violation, match="twice"):
        command.settle(Outcome.REFUSED)


def agent_says(event_id: int, text: str) -> Event:
    return {"id": event_id, "source": "agent", "action": "message", "args": {"content": text}}


def test_k34_a_draft_that_becomes_what_is_said_is_as_it_should_be() -> None:
    view = DraftView()
    view.take_part(3, "once ")
    view.take_event({"id": 4, **said("meanwhile")})
    view.take_part(3, "upon")
    view.take_event(agent_says(5, "once upon a time"))
    view.take_part(5, "twice")
    view.take_event({"id": 6, **observed("agent_state_changed")})


def test_k34_a_part_after_what_supersedes_it_is_found() -> None:
    view = DraftView()
    view.take_part(3, "once ")
    view.take_event(agent_says(5, "once upon"))
    with pytest.raises(Violation, match="after event 5"):
        view.take_part(3, "upon")


def test_k34_a_draft_with_a_hole_or_with_something_that_is_not_said_is_found() -> None:
    view = DraftView()
    view.take_part(3, "once ")
    view.take_part(3, "a time")
    with pytest.raises(Violation, match="drafted was 'once a time'"):
        view.take_event(agent_says(5, "once upon a time"))


def test_k34_a_draft_that_the_user_has_stopped_becomes_nothing_and_what_another_run_says_is_no_violation() -> None:
    view = DraftView()
    view.take_part(3, "once ")
    view.take_event({"id": 4, "source": "user", "action": "change_agent_state", "args": {"agent_state": "stopped"}})
    assert not view.take_event(agent_says(7, "1/15"))
    view.take_part(7, "twice")
    with pytest.raises(Violation, match="drafted was 'twice'"):
        view.take_event(agent_says(8, "something else"))
