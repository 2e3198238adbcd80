"""What a listing shows is true of this process, whatever a killed one left in the log."""

from typing import Any

import attrs
import pytest

from actors.conversation.decision import Live, RunTimePhase
from actors.conversation.state import EMPTY
from actors.conversation.summary import Place, summarise
from actors.domain.events import AgentState
from actors.runtime import Residency

LEFT_RUNNING = [(AgentState.RUNNING, "RUNNING"), (AgentState.LOADING, "STARTING")]


@pytest.mark.parametrize("left", [left for left, _ in LEFT_RUNNING])
@pytest.mark.parametrize("residency", [Residency.COLD, Residency.ACTIVATING])
def test_k30_who_is_not_in_memory_runs_nothing(left: AgentState, residency: Residency) -> None:
    told = summarise("id", attrs.evolve(EMPTY, agent_state=left), Place(Live(), residency, 0)).lifecycle
    assert (told["status"], told["agent_state"], told["reason"]) == ("STOPPED", "stopped", "interrupted")


@pytest.mark.parametrize(("left", "status"), LEFT_RUNNING)
def test_who_is_in_memory_is_told_as_it_is(left: AgentState, status: str) -> None:
    place = Place(Live(RunTimePhase.OPEN), Residency.HOT, 1)
    told = summarise("id", attrs.evolve(EMPTY, agent_state=left), place).lifecycle
    assert (told["status"], told["agent_state"], told["reason"]) == (status, left, "")


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"agent_state": AgentState.ERROR, "reason": "out of cheese"}, "ERROR", "out of cheese"),
        ({"agent_state": AgentState.RUNNING, "archived": True}, "ARCHIVED", ""),
        ({"agent_state": AgentState.AWAITING_USER_CONFIRMATION, "reason": "high"}, "STOPPED", "high"),
    ],
)
def test_a_cold_one_that_rested_is_told_as_it_rests(changes: dict[str, Any], status: str, reason: str) -> None:
    told = summarise("id", attrs.evolve(EMPTY, **changes), Place(Live(), Residency.COLD, 0)).lifecycle
    assert (told["status"], told["reason"]) == (status, reason)


def test_an_actor_that_cannot_live_is_an_error_with_its_reason() -> None:
    state = attrs.evolve(EMPTY, agent_state=AgentState.RUNNING)
    told = summarise("id", state, Place(Live(), Residency.FAILED, 0, "log_corrupt"))
    assert (told.status, told.lifecycle["status"], told.lifecycle["reason"]) == ("ERROR", "ERROR", "log_corrupt")
