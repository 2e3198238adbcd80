"""Understudy: the agent that needs no model, steps in when none is configured, and does what it is told.

What lives here: performing directives, each in a few lines, with a recorder and a sandbox. What must not:
reading them (`grammar` is pure and knows all limits of size) or writing the log. A run is a straight line:
for each message its directive, for each action its record before its effect and its observation after it
(K30).
"""

import itertools
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
    ThinkAloud,
    parse,
)
from actors.agent.port import Outcome, Recorder
from actors.domain.events import (
    ErrorObservation,
    FinishAction,
    MessageAction,
    RunAction,
    RunMetadata,
    RunObservation,
    RunOutcome,
    ThinkAction,
    ThinkObservation,
)
from actors.sandbox.errors import SandboxError
from actors.sandbox.output import Output
from actors.sandbox.port import Sandbox

__all__ = ["BATCH_BYTES_MAX", "BATCH_MESSAGES_MAX", "Understudy"]

BATCH_MESSAGES_MAX = 64
"""A burst is recorded in batches: one sync for so many messages, and others get a turn in between."""

BATCH_BYTES_MAX = 256 * 1024
"""The same for bursts of large messages: a batch is held in memory whole; one message of this size is one
batch."""

_WAITING = Outcome(RunOutcome.WAITING)


@attrs.frozen
class Understudy:
    """The built-in agent; `docs/understudy.md` says what it understands. It keeps nothing between runs."""

    name: str = "understudy"

    def answers(self, content: str) -> bool:
        """See `Agent.answers`: everything but a note starts a run."""
        return not isinstance(parse(content), Note)

    async def run(self, messages: tuple[int, ...], recorder: Recorder, sandbox: Sandbox) -> Outcome:
        """Answer each message, in order, and end as the last of them does, or FAILED if one of them failed.

        Raises CrashedOnPurpose when told to; lets RunOver pass.
        """
        outcome = _WAITING
        for message_id in messages:
            message = await recorder.message(message_id)
            latest = await _Answer(message_id, recorder, sandbox).give(parse(message.content))
            outcome = outcome if outcome.kind is RunOutcome.FAILED else latest
        return outcome


@attrs.frozen
class _Answer:
    """What comes of one message, whose id is the cause of what is recorded for it first."""

    message_id: int
    recorder: Recorder
    sandbox: Sandbox

    async def give(self, directive: Directive) -> Outcome:
        match directive:
            case RunCommand():
                await self._run_command(directive.command)
            case ThinkAloud():
                await self._think(directive.text)
            case Sleep():
                await self._sleep(directive.seconds)
            case Burst():
                await self._burst(directive)
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

    async def _run_command(self, command: str) -> None:
        """The action is durable before anything runs, and whatever ends the command, its output is kept
        (K30)."""
        action = await self._act(RunAction(command=command))
        output = Output()
        observation: RunObservation | ErrorObservation | None = None
        try:
            observation = await self._observe(command, output)
        finally:
            cut_off = _cut_off(command, output, self.sandbox.working_dir)
            self.recorder.leave(action, cut_off if observation is None else observation)
        await self.recorder.record(observation, cause=action)

    async def _observe(self, command: str, output: Output) -> RunObservation | ErrorObservation:
        try:
            result = await self.sandbox.run(command, output)
        except SandboxError as error:
            return ErrorObservation(str(error))
        metadata = RunMetadata(exit_code=result.exit_code, working_dir=self.sandbox.working_dir)
        return RunObservation(content=result.output, command=command, metadata=metadata)

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

    async def _finish(self, text: str) -> Outcome:
        await self._act(FinishAction(final_thought=text))
        return Outcome(RunOutcome.FINISHED)

    async def _fail(self, reason: str) -> Outcome:
        await self.recorder.record(ErrorObservation(reason), cause=self.message_id)
        return Outcome(RunOutcome.FAILED, reason)

    async def _say(self, text: str) -> None:
        await self._act(MessageAction(text, wait_for_response=True))

    async def _act(self, action: RunAction | ThinkAction | FinishAction | MessageAction) -> int:
        (action_id,) = await self.recorder.record(action, cause=self.message_id)
        return action_id


def _cut_off(command: str, output: Output, working_dir: str) -> RunObservation:
    """The observation of a command that did not come to its end, with what it had printed by then."""
    text = output.text()
    sentence = "[The command was stopped before its end.]"
    content = f"{text}\n{sentence}" if text else sentence
    return RunObservation(content=content, command=command, metadata=RunMetadata(working_dir=working_dir))


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
