"""What must hold of a run, whatever went wrong in it: one invariant a class, said from the outside. Pure.

Each `check` raises `Violation`. They look at the bytes of the logs, at what clients were told, and at nothing of the
server's own.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import attrs
import orjson

from bench.checkers import Violation, check_log, check_view
from tests.simulation.ledger import Command, Outcome

__all__ = ["CHECKERS", "AtRest", "Checker", "DraftView", "Evidence", "View"]

Event = dict[str, Any]


@attrs.frozen
class View:
    """What one client was shown of a conversation, since it last began at `after`."""

    client: str
    conversation_id: str
    after: int
    events: Sequence[Event]


@attrs.define
class DraftView:
    """What one connection is shown of what the agent writes, held against what docs/drafts.md says to clients. Raises
    `Violation` at once: nothing of it is left to be looked at afterwards."""

    after: int | None = None
    text: str = ""
    superseded_at: int = -1
    may_be_stopped: bool = False
    """The user has asked for another state since the draft began: of a run that is stopped nothing is said, and what is
    said next may be another run's."""

    def take_part(self, after: int, text: str) -> None:
        """More of a draft."""
        if self.superseded_at > after:
            raise Violation(f"more of the draft behind {after}, after event {self.superseded_at} had taken its place")
        if after != self.after:
            self.after, self.text, self.may_be_stopped = after, "", False
        self.text += text

    def take_event(self, event: Event) -> bool:
        """Whether it is what the draft has become."""
        if event["source"] == "user":
            self.may_be_stopped |= event.get("action") == "change_agent_state"
            return False
        is_it = self.after is not None and event.get("action") == "message" and not self.may_be_stopped
        if is_it and not event["args"]["content"].startswith(self.text):
            raise Violation(f"drafted was {self.text!r}, and said {event['args']['content']!r}")
        self.after, self.text, self.superseded_at = None, "", event["id"]
        return is_it


@attrs.frozen
class Evidence:
    """`logs` are the bytes of each `events.jsonl`, `records` what stands in their lines; `before` are the bytes that
    were durable at the last check."""

    logs: Mapping[str, bytes]
    before: Mapping[str, bytes]
    commands: Sequence[Command]
    views: Sequence[View]
    records: Mapping[str, list[dict[str, Any]]] = attrs.field(init=False)

    @records.default
    def _parse(self) -> dict[str, list[dict[str, Any]]]:
        return {key: [orjson.loads(line) for line in data.splitlines()] for key, data in self.logs.items()}

    def events(self, key: str) -> list[Event]:
        """Of a conversation, in order; none when it is not there."""
        return [record["event"] for record in self.records.get(key, [])]

    def messages(self, key: str) -> list[str]:
        """The texts of its users."""
        return [
            event["args"]["content"]
            for event in self.events(key)
            if event.get("action") == "message" and event["source"] == "user"
        ]


class Checker(Protocol):
    """One invariant."""

    def check(self, evidence: Evidence) -> None: ...


class LogsAreWhole:
    """K10: every line a record with a right checksum, ids dense from 0; batches whole; K2: epochs never fall."""

    def check(self, evidence: Evidence) -> None:
        for key, data in evidence.logs.items():
            check_log(data)
            records = evidence.records[key]
            epochs = [record["epoch"] for record in records]
            if epochs != sorted(epochs):
                raise Violation(f"{key}: an epoch fell: {epochs}")
            place = 0
            for record in records:
                if record["batch"][0] != place:
                    raise Violation(f"{key}: event {record['id']} is at place {record['batch'][0]}, due was {place}")
                place = (place + 1) % record["batch"][1]
            if place:
                raise Violation(f"{key}: the last batch is not whole")


class NothingIsRewritten:
    """What was once durable stays, byte by byte; logs only grow."""

    def check(self, evidence: Evidence) -> None:
        for key, before in evidence.before.items():
            if key in evidence.logs and not evidence.logs[key].startswith(before):
                raise Violation(f"{key}: what was there has changed")


class AcknowledgedStays:
    """K8, K11, K13: what was acknowledged is there, once, where it was said to be; what was refused is not; nothing is
    there twice, however often it was tried under its key."""

    def check(self, evidence: Evidence) -> None:
        texts = {key: Counter(evidence.messages(key)) for key in evidence.logs}
        for command in evidence.commands:
            count = texts.get(command.conversation_id, Counter[str]())[command.text]
            allowed = {
                Outcome.ACKNOWLEDGED: {1}, Outcome.REFUSED: {0}, Outcome.UNKNOWN: {0, 1}, Outcome.PENDING: {0, 1},
            }[command.outcome]  # fmt: skip
            if command.conversation_id in texts and count not in allowed:
                raise Violation(f"{command.text!r} is {command.outcome} and there {count} times")
            self._check_place(command, evidence)

    def _check_place(self, command: Command, evidence: Evidence) -> None:
        events = evidence.events(command.conversation_id)
        if command.event_id is not None and events:
            args = events[command.event_id].get("args", {}) if command.event_id < len(events) else {}
            if args.get("content") != command.text:
                raise Violation(f"{command.text!r} was said to be event {command.event_id}, and is not")


class SendersKeepTheirOrder:
    """K4: what one client has sent one after the other is there in that order."""

    def check(self, evidence: Evidence) -> None:
        sent: dict[tuple[str, str], list[str]] = defaultdict(list)
        for command in evidence.commands:
            if command.tries == 1:  # what was tried again may come after what was sent later
                sent[command.sender, command.conversation_id].append(command.text)
        for (sender, key), texts in sent.items():
            wanted = set(texts)
            found = [text for text in evidence.messages(key) if text in wanted]
            if found != [text for text in texts if text in set(found)]:
                raise Violation(f"{sender} in {key}: sent {texts}, there is {found}")


class ViewsHaveNoGaps:
    """K31, K32: a client's view is a contiguous run of the visible log, once and in order."""

    def check(self, evidence: Evidence) -> None:
        for view in evidence.views:
            if view.conversation_id not in evidence.logs:
                continue  # deleted, or never joined
            try:
                check_view(view.events, evidence.events(view.conversation_id), view.after)
            except Violation as violation:
                raise Violation(f"{view.client} in {view.conversation_id}: {violation}") from None


class ActionsHaveOneEnd:
    """K30: no action has two observations that end it."""

    def check(self, evidence: Evidence) -> None:
        for key in evidence.logs:
            for action, ends in _ends(evidence.events(key)).items():
                if ends > 1:
                    raise Violation(f"{key}: action {action} has {ends} ends")


class RunsNest:
    """K29, K30: one run at a time; nothing is recorded by a run that is over."""

    def check(self, evidence: Evidence) -> None:
        for key in evidence.logs:
            run: int | None = None
            for event in evidence.events(key):
                match event.get("observation"):
                    case "greenroom.run_started":
                        if run is not None:
                            raise Violation(f"{key}: run {event['id']} began during run {run}")
                        run = event["id"]
                    case "greenroom.run_ended":
                        if run is None:
                            raise Violation(f"{key}: event {event['id']} ends a run that is over")
                        run = None
                if event.get("action") in ("run", "think") and event["source"] == "agent" and run is None:
                    raise Violation(f"{key}: event {event['id']} is of no run")


CHECKERS: tuple[Checker, ...] = (
    LogsAreWhole(),
    NothingIsRewritten(),
    AcknowledgedStays(),
    SendersKeepTheirOrder(),
    ViewsHaveNoGaps(),
    ActionsHaveOneEnd(),
    RunsNest(),
)


class AtRest:
    """When nothing is under way any more: every action has its end (K30), every run is over, every command has an
    outcome."""

    def check(self, evidence: Evidence) -> None:
        for key in evidence.logs:
            events = evidence.events(key)
            open_actions = [action for action, ends in _ends(events).items() if ends == 0]
            if open_actions:
                raise Violation(f"{key}: actions without an end: {open_actions}")
            runs = Counter(event.get("observation") for event in events)
            if runs["greenroom.run_started"] != runs["greenroom.run_ended"]:
                raise Violation(f"{key}: a run never ended")
        for command in evidence.commands:
            if command.outcome is Outcome.PENDING:
                raise Violation(f"nobody was ever told what became of {command.text!r}")


def _ends(events: Sequence[Event]) -> dict[int, int]:
    """How many observations each action of an agent has that ends it; one that awaits the user's word is not begun."""
    ends: dict[int, int] = {}
    for event in events:
        if event.get("action") in ("run", "think"):
            if event["args"].get("confirmation_state") != "awaiting_confirmation":
                ends[event["id"]] = 0
        elif "observation" in event and event.get("cause") in ends:
            ends[event["cause"]] += 1
    return ends
