"""What an operator is told of a data folder, in words. Pure.

What lives here: the table from what was found to a sentence, with what can be done about it. What must not: looking,
or the JSON form, which has the same facts without the words.
"""

from collections.abc import Iterator
from typing import Any

from storage.findings import Code, Finding
from transport.cli.words import count, size

__all__ = ["advice", "plan_lines", "sentence"]

_SAID = {
    Code.LOG_CORRUPT: "damaged",
    Code.LOG_TORN: "torn end",
    Code.LOG_MISSING: "missing",
    Code.LOG_SHORT: "events are missing",
    Code.EVENT_UNREADABLE: "an event cannot be read",
    Code.SNAPSHOT_WRONG: "wrong",
    Code.DOCUMENT_DAMAGED: "damaged",
    Code.UNREADABLE: "cannot be read",
    Code.BEING_WRITTEN: "being written",
    Code.SNAPSHOT_IGNORED: "not used",
    Code.HALF_MADE: "half made",
    Code.STRAY: "not ours",
}

_ADVICE = {
    Code.LOG_CORRUPT: "`greenroom repair {id}` shows what would be lost, and asks",
    Code.LOG_TORN: "the next opening cuts it and keeps it aside, or `greenroom repair {id}` does so now",
    Code.LOG_MISSING: "put the file back from a backup; or delete the conversation; or `greenroom repair {id}`",
    Code.LOG_SHORT: "put the file back from a backup; or the next opening goes on without, and tells clients",
    Code.EVENT_UNREADABLE: "start the version that wrote it; nothing cuts whole records",
    Code.SNAPSHOT_WRONG: "remove the file while the server is stopped: it is only a cache",
    Code.DOCUMENT_DAMAGED: "put it back from a backup, or remove it to begin without",
    Code.UNREADABLE: "look at the permissions, and at what the kernel says of the disk",
}


def sentence(finding: Finding) -> str:
    """One line."""
    where = "" if finding.event_id is None else f" event {finding.event_id} at byte {finding.offset}:"
    text = f"{finding.path}: {_SAID[finding.code]}:{where} {finding.why}"
    if finding.events_before is not None:
        text += f"; readable before it: {count(finding.events_before, 'event')}"
    if finding.events_behind is not None:
        text += f", whole behind it: {count(finding.events_behind, 'event')}"
    return text


def advice(finding: Finding) -> str:
    """What can be done about it; empty where nothing must be."""
    return _ADVICE.get(finding.code, "").format(id=finding.conversation_id)


def plan_lines(plan: dict[str, Any]) -> Iterator[str]:
    """What a repair would do, from the plan's JSON form, which a server sends as well."""
    place = f"event {plan['event_id']} at byte {plan['offset']:,}"
    yield f"{plan['conversation_id']}: {_SAID[Code(plan['code'])]}: {place}: {plan['why']}"
    yield f"stays: {_span(0, plan['keep_events'])}, {size(plan['keep_bytes'])}"
    yield f"goes:  {_lost(plan)}, {size(plan['cut_bytes'])}"
    yield from _readable_lines(plan["readable"])
    if plan["quarantine"]:
        yield f"The file as it is will be kept as {plan['quarantine']}."
    if plan["acknowledged"]:
        yield "Clients may have seen what goes: they will get everything from the start."


def _readable_lines(readable: dict[str, Any]) -> Iterator[str]:
    if not readable["events"]:
        return
    kinds = ", ".join(f"{number} {kind or 'of no kind'}" for kind, number in sorted(readable["kinds"].items()))
    yield f"Of that, {count(readable['events'], 'event')} can still be read, {size(readable['size_bytes'])}: {kinds};"
    yield f"from {readable['first_timestamp']} to {readable['last_timestamp']}:"
    for lost in readable["listed"]:
        yield f"  {lost['id']:>8}  {lost['timestamp']:<27}  {lost['kind']}  ({size(lost['size_bytes'])})"
    if unlisted := readable["events"] - len(readable["listed"]):
        yield f"  … and {unlisted:,} more"
    yield "Ids have no gaps, so none of these can stay in the log; they stay readable in the file that is kept."


def _lost(plan: dict[str, Any]) -> str:
    if plan["lost_events"] is None:
        return "what is after that, nobody knows how many events"
    return _span(plan["keep_events"], plan["lost_events"])


def _span(first_id: int, number: int) -> str:
    span = {0: "", 1: f" ({first_id})"}.get(number, f" ({first_id} to {first_id + number - 1})")
    return count(number, "event") + span
