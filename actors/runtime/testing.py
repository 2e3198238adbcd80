"""A kit for testing event-sourced actors: `decider.given(events).when(command).then(events)`. Pure.

It is for any pair of plain functions, `decide` and `apply`, whatever states, commands and events are, and needs neither
an actor nor a test framework: what does not hold raises `AssertionError` with what was seen. Every `then` also has the
actor crash at each event, so to speak: whatever a restart finds in the log must lead to the state that was lost.

What must not be here: anything that runs (`registry`), anything that knows what an event means.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, Generic, TypeVar

import attrs

__all__ = ["Decider", "Given", "When"]

S = TypeVar("S")
C = TypeVar("C")
E = TypeVar("E")
R = TypeVar("R", bound=Exception)


def _as_it_is(what: Any) -> Any:
    return what


@attrs.frozen
class Decider(Generic[S, C, E]):
    """An actor's decisions as two functions, and what a restart makes of their results.

    `decide` gives the events that a command leads to, or raises a refusal; `apply` gives the state after an event.
    `reread` is an event as its log gives it back, `reload` a state as its snapshot does: through bytes, in both cases.
    """

    empty: S
    decide: Callable[[S, C], Sequence[E]]
    apply: Callable[[S, E], S]
    reread: Callable[[E], E] = _as_it_is
    reload: Callable[[S], S] = _as_it_is

    def given(self, *events: E) -> "Given[S, C, E]":
        """An actor in whose log these events are."""
        return Given(self, events)

    def replay(self, events: Sequence[E]) -> S:
        """The state that a restart comes to."""
        state = self.begin()
        for event in events:
            state = self.apply(state, self.reread(event))
        return state

    def begin(self) -> S:
        """The state without any event, which an `apply` that changes states in place cannot spoil for the next one."""
        return deepcopy(self.empty)


@attrs.frozen
class Given(Generic[S, C, E]):
    """An actor with a past."""

    decider: Decider[S, C, E]
    events: tuple[E, ...]

    @property
    def state(self) -> S:
        return self.decider.replay(self.events)

    def when(self, command: C) -> "When[S, C, E]":
        """Say what it is told; nothing happens before it is said what follows."""
        return When(self, command)


@attrs.frozen
class When(Generic[S, C, E]):
    """An actor that is told something."""

    given: Given[S, C, E]
    command: C

    def then(self, *events: E) -> Given[S, C, E]:
        """Exactly these events follow, none if none are named, and no crash at any of them loses anything.

        Returns the actor with these events in its log, for what it is told next. Raises `AssertionError`, and what
        `decide` raises.
        """
        decider, past = self.given.decider, self.given.events
        state = self._state()
        found = tuple(decider.decide(state, self.command))
        _check("the events of the command", found, events)
        _check("the state after deciding, which must leave it alone", state, self.given.state)
        _check("the events when deciding anew after a restart", tuple(decider.decide(state, self.command)), found)
        _check_log(decider, past + found)
        _check_snapshots(decider, past + found)
        return Given(decider, past + found)

    def then_refused(self, error: type[R]) -> R:
        """It is refused with this error, which is returned, and so it is after a restart. Raises `AssertionError`."""
        state = self._state()
        refusal = self._refusal(state, error)
        _check("the state after a refusal, which must leave it alone", state, self.given.state)
        _check("the refusal after a restart", repr(self._refusal(state, error)), repr(refusal))
        return refusal

    def _state(self) -> S:
        state = self.given.state
        _check("the state replayed a second time", self.given.state, state)
        return state

    def _refusal(self, state: S, error: type[R]) -> R:
        try:
            found = self.given.decider.decide(state, self.command)
        except error as refusal:
            return refusal
        raise AssertionError(f"expected {error.__name__}, and these events follow: {tuple(found)!r}")


def _lived(decider: Decider[S, C, E], events: Sequence[E]) -> list[S]:
    """The state before any event and behind each, of an actor that never crashed."""
    states = [decider.begin()]
    for event in events:
        states.append(decider.apply(states[-1], event))
    return states


def _check_log(decider: Decider[S, C, E], events: Sequence[E]) -> None:
    for place, state in enumerate(_lived(decider, events)):
        _check(f"the state replayed after a crash behind {place} of the events", decider.replay(events[:place]), state)


def _check_snapshots(decider: Decider[S, C, E], events: Sequence[E]) -> None:
    """A snapshot holds the state, and all of it: what follows leads on to the same end."""
    lived = _lived(decider, events)
    for place, state in enumerate(lived):
        revived = decider.reload(state)
        _check(f"the state loaded from a snapshot behind {place} of the events", revived, state)
        for event in events[place:]:
            revived = decider.apply(revived, decider.reread(event))
        _check(f"the last state, on from a snapshot behind {place} of the events", revived, lived[-1])


def _check(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise AssertionError(f"{what}:\n  found    {found!r}\n  expected {expected!r}")
