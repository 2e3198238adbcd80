"""The kit passes what is right and finds what is wrong: each wrong actor below is wrong in one way."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import pytest

from actors.runtime.testing import Decider


class Overdrawn(Exception):
    pass


def decide(balance: int, command: int) -> Sequence[int]:
    """Pay in or take out; a hundred and more comes in two events."""
    if balance + command < 0:
        raise Overdrawn(f"there are {balance}")
    return [100, command - 100] if command > 100 else [command] if command else []


def apply(balance: int, event: int) -> int:
    return balance + event


ACCOUNT: Decider[int, int, int] = Decider(0, decide, apply)


def test_what_is_right_passes_step_after_step() -> None:
    account = ACCOUNT.given(10).when(5).then(5).when(-15).then(-15).when(0).then().when(150).then(100, 50)
    assert account.state == 150
    assert account.events == (10, 5, -15, 100, 50)


def test_a_refusal_is_given_back() -> None:
    assert str(ACCOUNT.given(10).when(-11).then_refused(Overdrawn)) == "there are 10"


@pytest.mark.parametrize("events", [(), (6,), (5, 5)])
def test_other_events_are_told_with_those_that_there_are(events: tuple[int, ...]) -> None:
    with pytest.raises(AssertionError, match=r"found +\(5,\)\n +expected"):
        ACCOUNT.given().when(5).then(*events)


def test_what_should_be_refused_and_is_not_is_told_with_its_events() -> None:
    with pytest.raises(AssertionError, match=r"expected Overdrawn, .* \(5,\)"):
        ACCOUNT.given().when(5).then_refused(Overdrawn)


def test_another_refusal_is_nobodys_business_here() -> None:
    with pytest.raises(Overdrawn):
        ACCOUNT.given().when(-1).then_refused(LookupError)
    with pytest.raises(Overdrawn):
        ACCOUNT.given().when(-1).then()


@attrs.define
class Purse:
    """A state that can be changed in place, which it must not be."""

    coins: list[int] = attrs.field(factory=list)
    worn: int = attrs.field(default=0, eq=False)


def put(purse: Purse, event: int) -> Purse:
    return Purse([*purse.coins, event])


def put_in_place(purse: Purse, event: int) -> Purse:
    purse.coins.append(event)
    return purse


def decide_and_spend(purse: Purse, command: int) -> list[int]:
    purse.coins.clear()
    return [command]


def spend_and_refuse(purse: Purse, command: int) -> list[int]:
    purse.coins.clear()
    raise Overdrawn


def give_as_told(state: Any, command: int) -> list[int]:
    return [command]


def count_decisions() -> Callable[[Any, Any], list[int]]:
    numbers = itertools.count()

    def decide(state: Any, command: Any) -> list[int]:
        return [next(numbers)]

    return decide


def count_events() -> Callable[[Any, Any], int]:
    numbers = itertools.count()

    def apply(state: Any, event: Any) -> int:
        return next(numbers)

    return apply


def refuse_anew() -> Callable[[Any, Any], list[int]]:
    numbers = itertools.count()

    def decide(state: Any, command: Any) -> list[int]:
        raise Overdrawn(next(numbers))

    return decide


def wear(purse: Purse, event: int) -> Purse:
    return Purse([*purse.coins, event + purse.worn], purse.worn + 1)


WRONG: dict[str, tuple[Decider[Any, int, int], str]] = {
    "apply changes the state in place": (Decider(Purse(), give_as_told, put_in_place), "crash behind 0"),
    "decide changes the state": (Decider(Purse(), decide_and_spend, put), "after deciding, which must leave it alone"),
    "decide knows more than the state": (Decider(Purse(), count_decisions(), put), "deciding anew after a restart"),
    "apply knows more than the state": (Decider(0, give_as_told, count_events()), "replayed a second time"),
    "the log gives an event back changed": (Decider(0, decide, apply, reread=lambda event: min(event, 4)), "behind 3"),
    "the snapshot loses something": (Decider(0, decide, apply, reload=lambda state: state and 1), "from a snapshot"),
    "the snapshot loses what counts only later": (
        Decider(Purse(), give_as_told, wear, reload=lambda purse: Purse(purse.coins)),
        "the last state, on from a snapshot behind 1",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_a_restart_would_change_is_found(wrong: str) -> None:
    decider, told = WRONG[wrong]
    with pytest.raises(AssertionError, match=told):
        decider.given(2, 3).when(5).then(0 if "decide knows" in wrong else 5)


@pytest.mark.parametrize(("decide", "told"), [(spend_and_refuse, "after a refusal"), (refuse_anew(), "refusal after")])
def test_a_refusal_that_leaves_a_trace_is_found(decide: Callable[[Any, Any], list[int]], told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        Decider(Purse(), decide, put).given(2).when(5).then_refused(Overdrawn)
