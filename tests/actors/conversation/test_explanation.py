"""Every state of a conversation is explained: why, who holds it, what it waits for, what then, and what to do."""

from typing import Any

import attrs
import pytest

from actors.conversation.decision import Cancelling, Live, RunTimePhase
from actors.conversation.explanation import Explanation, Fact, explain
from actors.conversation.idle import IdleLimits, Sitting
from actors.conversation.seen import Deadline, Seen, What, deadlines
from actors.conversation.state import EMPTY, Pending, State
from actors.conversation.statistics import Activity, ConversationStatistics, RunTimeStatistics
from actors.conversation.summary import Place, summarise
from actors.domain.events import AgentState, RunAction
from actors.runtime import CellStatistics, MailboxStatistics, Residency, TurnStatistics
from actors.sandbox.port import SandboxStatistics
from storage.health import Refusing

NOW = 1000.0
LIMITS = IdleLimits(close_delay_seconds=3600, hibernate_after_seconds=300)
EMPTY_BOX = MailboxStatistics(0, None, 0, None, 0, 0)
HOT = CellStatistics(
    key="id", residency=Residency.HOT, since=NOW - 50, gives_up_at=None, incarnation=3, crashes=0, restarts=1,
    last_failure="", reason="", turn=None, retry_at=None, suspects=0, mailbox=EMPTY_BOX,
)  # fmt: skip
WAKING = attrs.evolve(
    HOT, residency=Residency.ACTIVATING, since=NOW - 2, mailbox=MailboxStatistics(0, None, 1, 998, 9, 0)
)
CRASHED = attrs.evolve(
    HOT, residency=Residency.COLD, since=NOW, crashes=2, last_failure="KeyError('x')", retry_at=NOW + 0.1
)
FAILED = attrs.evolve(HOT, residency=Residency.FAILED, crashes=6, last_failure="KeyError('x')")

RESTING = AgentState.AWAITING_USER_INPUT
IDLE_SANDBOX = SandboxStatistics(4, 0, closed=False)
BUSY_SANDBOX = SandboxStatistics(5, 1, closed=False, running_since=NOW - 7, times_out_at=NOW + 113)
REST = RunTimeStatistics(Activity.RESTING, NOW - 20, None, None, IDLE_SANDBOX)
ASKING = Pending(8, RunAction("rm -rf secret-folder"), "it removes files")


def inside(
    agent_state: AgentState = RESTING,
    *,
    phase: RunTimePhase = RunTimePhase.OPEN,
    activity: Activity = Activity.RESTING,
    connections: int = 0,
    run: int | None = None,
    **changes: Any,
) -> ConversationStatistics:
    """A conversation in memory that was active 20 s ago. `changes` are of the state, the run-time, and what is here."""
    state = attrs.evolve(EMPTY, agent_state=agent_state, run=run, **{n: changes.pop(n) for n in STATE & changes.keys()})
    run_time = attrs.evolve(REST, activity=activity, run=run, **{n: changes.pop(n) for n in RUN_TIME & changes.keys()})
    busy = activity is not Activity.RESTING
    sitting = Sitting(NOW - 20, changes.pop("keep_until", 0.0), connections, busy=busy, open=phase is RunTimePhase.OPEN)
    live = Live(phase, cancelling=changes.pop("cancelling", Cancelling.NOT), room=changes.pop("room", True))
    return ConversationStatistics(state, live, sitting, changes.pop("behind", 0), run_time, **changes)


STATE = {"unanswered", "pending", "archived", "reason"}
RUN_TIME = {"since", "gives_up_at", "sandbox"}
RUNNING: dict[str, Any] = {"activity": Activity.RUNNING, "since": NOW - 9, "run": 12}


def look(
    residency: Residency,
    actor: CellStatistics | None = None,
    inner: ConversationStatistics | None = None,
    *,
    failure: str = "",
    limits: IdleLimits = LIMITS,
    disk: Refusing | None = None,
    **state: Any,
) -> tuple[State, Seen, str]:
    """What is seen, the state as the log has it, and why no actor can live."""
    logged = attrs.evolve(EMPTY, **{"agent_state": RESTING, **state}) if inner is None else inner.state
    return logged, Seen("id", NOW, residency, actor, inner, limits, disk=disk), failure


def explained(state: State, seen: Seen, failure: str = "") -> Explanation:
    connections = 0 if seen.inside is None else seen.inside.sitting.connections
    place = Place(seen.live, seen.residency, connections, failure)
    return explain(summarise("id", state, place), state, seen)


def codes(facts: tuple[Fact, ...]) -> str:
    return " ".join(fact.code for fact in facts)


R = Residency
CASES = {
    "cold": (look(R.COLD), "agent residency", "nobody", "message", "revived", ""),
    "cold, with a message that nobody answered": (
        look(R.COLD, unanswered=(4,)), "agent residency", "nobody", "unanswered", "revived", "",
    ),
    "waiting for its turn to wake": (
        look(R.ACTIVATING, WAKING), "agent residency", "actor", "place_to_wake mailbox", "", "",
    ),
    "waking": (
        look(R.ACTIVATING, attrs.evolve(WAKING, gives_up_at=NOW + 28)),
        "agent residency", "actor", "log mailbox", "waking_given_up", "",
    ),
    "hot and idle": (
        look(R.HOT, HOT, inside()), "agent residency", "actor run_time", "message", "hibernate close", "",
    ),
    "idle with clients": (
        look(R.HOT, HOT, inside(connections=2, behind=1)),
        "agent residency", "actor run_time clients", "message", "hibernate close_held_off", "",
    ),
    "never closed": (
        look(R.HOT, HOT, inside(), limits=IdleLimits(0, 0)),
        "agent residency", "actor run_time", "message", "never_closed", "",
    ),
    "kept alive": (
        look(R.HOT, HOT, inside(keep_until=NOW + 9000)),
        "agent residency", "actor run_time kept_alive", "message", "hibernate close", "",
    ),
    "being started": (
        look(R.HOT, HOT, inside(
            AgentState.LOADING, phase=RunTimePhase.OPENING, activity=Activity.OPENING, gives_up_at=NOW + 40,
            sandbox=None, unanswered=(1,),
        )),
        "agent residency", "actor run_time", "sandbox_opening queued", "start_given_up", "",
    ),
    "the agent thinks": (
        look(R.HOT, HOT, inside(AgentState.RUNNING, **RUNNING)),
        "agent residency", "actor run_time run", "agent_work", "", "stop",
    ),
    "a command runs": (
        look(R.HOT, HOT, inside(AgentState.RUNNING, **RUNNING, sandbox=BUSY_SANDBOX, unanswered=(13, 14))),
        "agent residency", "actor run_time run command", "command_end queued", "command_timeout", "stop",
    ),
    "its run is being stopped": (
        look(R.HOT, HOT, inside(AgentState.RUNNING, **RUNNING, cancelling=Cancelling.PAUSE)),
        "agent residency", "actor run_time run", "run_end", "", "stop",
    ),
    "its run cannot report": (
        look(R.HOT, HOT, inside(
            AgentState.RUNNING, activity=Activity.REPORTING, run=12,
        ), disk=Refusing(NOW - 4, NOW + 2, everybody=True)),
        "agent residency", "actor run_time run", "disk_refuses report", "disk_tried", "look_at_disk stop",
    ),
    "its file takes nothing": (
        look(R.HOT, HOT, inside(), disk=Refusing(NOW - 4, NOW + 2, everybody=False)),
        "agent residency", "actor run_time", "disk_refuses", "hibernate close", "look_at_disk",
    ),
    "in a turn": (
        look(R.HOT, attrs.evolve(
            HOT, turn=TurnStatistics(("AddMessage", "AddMessage"), NOW - 3), suspects=1,
            mailbox=MailboxStatistics(1, NOW - 1, 5, NOW - 2, 50, 0),
        ), inside()),
        "agent residency", "actor run_time", "disk mailbox", "hibernate close", "",
    ),
    "waiting for the user's word": (
        look(R.HOT, HOT, inside(AgentState.AWAITING_USER_CONFIRMATION, pending=ASKING, reason="it removes files")),
        "agent residency", "actor run_time", "confirmation", "hibernate close", "decide",
    ),
    "waiting for the user's word in the cold": (
        look(R.COLD, agent_state=AgentState.AWAITING_USER_CONFIRMATION, pending=ASKING),
        "agent residency", "nobody", "confirmation", "revived", "decide",
    ),
    "hibernated": (
        look(R.HIBERNATED, None, inside()), "agent residency", "run_time", "message", "close", "",
    ),
    "leaving memory": (
        look(R.PASSIVATING, attrs.evolve(HOT, residency=R.PASSIVATING, gives_up_at=NOW + 9), inside()),
        "agent residency", "actor run_time", "snapshot", "leaving_given_up", "",
    ),
    "closing": (
        look(R.HOT, HOT, inside(AgentState.STOPPED, phase=RunTimePhase.CLOSING, activity=Activity.CLOSING)),
        "agent residency", "actor run_time", "sandbox_closing", "", "",
    ),
    "archived": (look(R.COLD, archived=True), "archived residency", "nobody", "operator", "nothing", "unarchive"),
    "no room": (
        look(R.HOT, HOT, inside(AgentState.STOPPED, phase=RunTimePhase.CLOSED, room=False, connections=1)),
        "agent residency", "actor clients", "room", "hibernate", "make_room",
    ),
    "the agent failed": (
        look(R.HOT, HOT, inside(AgentState.ERROR, reason="out of cheese")),
        "agent residency", "actor run_time", "message", "hibernate close", "start_again",
    ),
    "crashed": (look(R.COLD, CRASHED), "crashed agent residency", "nobody", "restart", "restart", ""),
    "log_corrupt": (look(R.FAILED, FAILED, failure="log_corrupt"), "failed", "nobody", "operator", "nothing", "repair"),
    "log_corrupt, found by who looked": (
        look(R.FAILED, failure="log_corrupt"), "failed", "nobody", "operator", "nothing", "repair",
    ),
    "crash_loop": (
        look(R.FAILED, FAILED, failure="crash_loop"), "failed", "nobody", "operator", "nothing", "start_again",
    ),
    "activation_timeout": (
        look(R.FAILED, FAILED, failure="activation_timeout"), "failed", "nobody", "operator", "nothing", "start_again",
    ),
    "storage_failing": (
        look(R.FAILED, FAILED, failure="storage_failing"),
        "failed", "nobody", "operator", "nothing", "look_at_disk start_again",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_state_is_explained(case: tuple[tuple[State, Seen, str], str, str, str, str, str]) -> None:
    seen, *told = case
    found = explained(*seen)
    assert [codes(getattr(found, field.name)) for field in attrs.fields(Explanation)] == told


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_no_fact_holds_what_a_command_holds(case: tuple[tuple[State, Seen, str], str, str, str, str, str]) -> None:
    assert "secret-folder" not in repr(explained(*case[0]))


def test_the_facts_say_how_many_and_since_when() -> None:
    state, seen, _ = CASES["in a turn"][0]
    disk, mailbox = explained(state, seen).waits_for
    assert (disk.at, disk.about) == (NOW - 3, {"commands": {"AddMessage": 2}})
    assert (mailbox.at, mailbox.about) == (NOW - 2, {"control": 1, "work": 5, "suspects": 1})
    state, seen, _ = CASES["crashed"][0]
    crashed, *_ = explained(state, seen).because
    assert crashed.about == {"crashes": 2, "last_failure": "KeyError('x')"}
    assert explained(state, seen).next[0].at == NOW + 0.1


@pytest.mark.parametrize(
    ("seen", "following"),
    [
        (look(R.HOT, HOT, inside())[1], [(What.HIBERNATE, NOW + 280), (What.CLOSE, NOW + 3580)]),
        (look(R.HIBERNATED, None, inside())[1], [(What.CLOSE, NOW + 3580)]),
        (look(R.HOT, HOT, inside(), limits=IdleLimits(100, 300))[1], [(What.CLOSE, NOW + 80)]),
        (look(R.HOT, HOT, inside(keep_until=NOW + 9000))[1], [(What.HIBERNATE, NOW + 280), (What.CLOSE, NOW + 9000)]),
        (look(R.HOT, HOT, inside(AgentState.RUNNING, **RUNNING, sandbox=BUSY_SANDBOX))[1],
         [(What.COMMAND_TIMEOUT, NOW + 113)]),
    ],
)  # fmt: skip
def test_the_deadlines_are_those_of_the_rules(seen: Seen, following: list[tuple[What, float]]) -> None:
    assert [attrs.astuple(deadline) for deadline in deadlines(seen)] == following


def test_whoever_was_too_busy_to_look_at_the_clock_looks_when_it_rings_again() -> None:
    seen = attrs.evolve(look(R.HOT, HOT, inside(), limits=IdleLimits(100, 10))[1], alarm_at=NOW + 10)
    assert deadlines(seen) == (Deadline(What.HIBERNATE, NOW + 10), Deadline(What.CLOSE, NOW + 80))
