"""The table of `greenroom ps`. Pure.

What lives here: a row of each actor as `/api/admin/actors` shows it, and how wide the columns are. What must not: their
order, which is the server's: who is in trouble stands first.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from transport.cli.words import plain, span

__all__ = ["table"]

HEAD = ("ID", "STATUS", "WHERE", "AGENT", "INC", "RESTARTS", "MAILBOX", "NOW", "NEXT", "REASON")

REASON_CHARACTERS_MAX = 60
"""The rest is for `greenroom explain`."""

Actor = Mapping[str, Any]


def table(actors: Sequence[Actor]) -> Iterator[str]:
    """A line for the head and one for each actor, in the order that they came in."""
    rows = [HEAD, *map(_row, actors)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _row(actor: Actor) -> tuple[str, ...]:
    return (
        actor["conversation_id"],
        actor["status"] or "-",
        actor["residency"],
        actor["agent_state"] or "-",
        str(actor["incarnation"] or "-"),
        str(actor["restarts"]),
        _mailbox(actor["mailbox"]),
        _now(actor),
        _next(actor["next"]),
        _reason(actor),
    )


def _mailbox(found: Mapping[str, Any] | None) -> str:
    """`1+12 3.2 s`: how much in control and in work, and how long the oldest waits."""
    if found is None:
        return "-"
    lanes = (found["control"], found["work"])
    ages = [lane["oldest"]["seconds_ago"] for lane in lanes if lane["oldest"] is not None]
    depths = "+".join(str(lane["messages"]) for lane in lanes)
    return f"{depths} {span(max(ages))}" if ages else depths


def _now(actor: Actor) -> str:
    """The turn, which waits for the disk; else what the run-time is at."""
    turn, run_time = actor["turn"], actor["run_time"]
    if turn is not None:
        commands = ",".join(name if number == 1 else f"{number} {name}" for name, number in turn["commands"].items())
        return f"{commands} {span(turn['seconds_ago'])}"
    if run_time is None or run_time["activity"] == "resting":
        return "-"
    what = run_time["activity"] if run_time["run"] is None else f"{run_time['activity']} {run_time['run']}"
    return f"{what} {span(run_time['since']['seconds_ago'])}"


def _next(found: Mapping[str, Any] | None) -> str:
    return "-" if found is None else f"{found['what']} in {span(found['in_seconds'])}"


def _reason(actor: Actor) -> str:
    text = actor["reason"]
    if not text and actor["retry"] is not None:
        text = actor["last_failure"]
    if not text and actor["disk_refuses"] is not None:
        text = "the disk takes nothing"
    text = plain(text)
    return text if len(text) <= REASON_CHARACTERS_MAX else f"{text[: REASON_CHARACTERS_MAX - 1]}…"
