"""Understudy: the agent that needs no model, steps in when none is configured, and does what it is told.

What lives here: performing directives, each in a few lines, with a recorder and hands. What must not:
reading them (`grammar` is pure and knows all limits of size) or writing the log. A run is a straight line:
for each message its directive, for each action its record before its effect and its observation after it
(K30).
"""

import itertools
import re
from collections.abc import Iterator
from typing import assert_never

import attrs
import trio

from actors.agent.errors import CrashedOnPurpose
from actors.agent.grammar import (
    Burst,
    Crash,
    Directive,
    Explain,
    Fail,
    FinishTask,
    Note,
    Repeat,
    RunCommand,
    Sleep,
    Stream,
    ThinkAloud,
    parse,
)
from actors.agent.port import Hands, Outcome, Recorder
from actors.domain.events import (
    ErrorObservation,
    FinishAction,
    MessageAction,
    RunOutcome,
    ThinkAction,
    ThinkObservation,
)

__all__ = ["BATCH_BYTES_MAX", "BATCH_MESSAGES_MAX", "Understudy"]

BATCH_MESSAGES_MAX = 64
"""A burst is recorded in batches: one sync for so many messages, and others get a turn in between."""

BATCH_BYTES_MAX = 256 * 1024
"""The same for bursts of large messages: a batch is held in memory whole; one message of this size is one
batch."""

STREAM_PAUSE_SECONDS = 0.05
"""Between two words: about the pace of a model."""

_WAITING = Outcome(RunOutcome.WAITING)


@attrs.frozen
class Understudy:
    """The built-in agent; `docs/understudy.md` says what it understands. It keeps nothing between runs."""

    name: str = "understudy"

    def answers(self, content: str) -> bool:
        """See `Agent.answers`: everything but a note starts a run."""
        return not isinstance(parse(content), Note)

    async def run(self, messages: tuple[int, ...], recorder: Recorder, hands: Hands) -> Outcome:
        """Answer each message, in order, and end as the last of them does, or FAILED if one of them failed.

        Raises CrashedOnPurpose when told to; lets RunOver pass.
        """
        outcome = _WAITING
        for message_id in messages:
            message = await recorder.message(message_id)
            latest = await _Answer(message_id, recorder, hands).give(parse(message.content))
            outcome = outcome if outcome.kind is RunOutcome.FAILED else latest
        return outcome


@attrs.frozen
class _Answer:
    """What comes of one message, whose id is the cause of what is recorded for it first."""

    message_id: int
    recorder: Recorder
    hands: Hands

    async def give(self, directive: Directive) -> Outcome:  # noqa: C901 - one flat table
        match directive:
            case RunCommand():
                await self.hands.run_command(directive.command, cause=self.message_id)
            case ThinkAloud():
                await self._think(directive.text)
            case Sleep():
                await self._sleep(directive.seconds)
            case Burst():
                await self._burst(directive)
            case Stream():
                await self._stream(directive.text)
            case FinishTask():
                return await self._finish(directive.text)
            case Fail():
                return await self._fail(directive.text or "an error, as asked for")
            case Crash():
                raise CrashedOnPurpose("understudy was told to crash")
            case Repeat() | Explain():
                await self._say(directive.text)
            case Note():
                pass  # it starts no run; in the queue of one that other messages started, it needs no answer
            case _:
                assert_never(directive)
        return _WAITING

    async def _think(self, thought: str) -> None:
        action = await self._act(ThinkAction(thought))
        noted = ThinkObservation("The thought is noted.")
        self.recorder.leave(action, noted)
        await self.recorder.record(noted, cause=action)

    async def _sleep(self, seconds: float) -> None:
        action = await self._act(ThinkAction(f"Sleeping for {seconds:g} s."))
        self.recorder.leave(action, ThinkObservation(f"The sleep of {seconds:g} s was cut short."))
        await trio.sleep(seconds)
        await self.recorder.record(ThinkObservation(f"Slept for {seconds:g} s."), cause=action)

    async def _burst(self, burst: Burst) -> None:
        for batch in _batches(burst):
            await self.recorder.record(*batch, cause=self.message_id)

    async def _stream(self, text: str) -> None:
        for word in re.findall(r"\s*\S+", text):
            await self.recorder.draft(word)
            await trio.sleep(STREAM_PAUSE_SECONDS)
        await self._say(text)

    async def _finish(self, text: str) -> Outcome:
        await self._act(FinishAction(final_thought=text))
        return Outcome(RunOutcome.FINISHED)

    async def _fail(self, reason: str) -> Outcome:
        await self.recorder.record(ErrorObservation(reason), cause=self.message_id)
        return Outcome(RunOutcome.FAILED, reason)

    async def _say(self, text: str) -> None:
        await self._act(MessageAction(text, wait_for_response=True))

    async def _act(self, action: ThinkAction | FinishAction | MessageAction) -> int:
        (action_id,) = await self.recorder.record(action, cause=self.message_id)
        return action_id


def _batches(burst: Burst) -> Iterator[tuple[MessageAction, ...]]:
    size = max(1, min(BATCH_MESSAGES_MAX, BATCH_BYTES_MAX // burst.message_bytes))
    messages = (_burst_message(number, burst) for number in range(1, burst.messages + 1))
    while batch := tuple(itertools.islice(messages, size)):
        yield batch


def _burst_message(number: int, burst: Burst) -> MessageAction:
    """Numbered, so that a reader sees what is missing; a message too small for its number is only filled."""
    label = f"{number}/{burst.messages} "
    content = label.ljust(burst.message_bytes, ".") if len(label) <= burst.message_bytes else "." * burst.message_bytes
    return MessageAction(content, wait_for_response=number == burst.messages)
