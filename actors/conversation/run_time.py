"""The run-time of one conversation: its sandbox and the run of its agent, in tasks of their own (K29).

It is not owned by the actor's task but by a supervisor of run-times: a run that crashes is caught by its guard and
reported as a command, like everything else that comes of it; so is a sandbox that cannot be opened or closed. The actor
tells it what to do without waiting.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, assert_never

import attrs
import structlog
import trio

from actors.agent.errors import NotRuledOn
from actors.agent.hands import SandboxHands
from actors.agent.port import Agent, Outcome
from actors.conversation.decision import StartRun
from actors.conversation.errors import Refused, RunOver
from actors.conversation.statistics import Activity, RunTimeStatistics
from actors.domain.commands import (
    AskUser,
    Command,
    EndRun,
    Forbid,
    Record,
    RunTimeClosed,
    RunTimeFailed,
    RunTimeReady,
)
from actors.domain.events import Body, MessageAction, RunAction, RunOutcome
from actors.runtime import ActorError, Child, Lane, Promise, Ref, RegistryClosed, Restart, Supervisor, guarded
from actors.sandbox.errors import SandboxError
from actors.sandbox.port import Sandbox
from actors.security.policy import Judge, Ruling
from storage.errors import ConversationNotFound, StorageError

__all__ = ["MakeSandbox", "ReadMessage", "RunTime"]

logger = structlog.get_logger(__name__)

REPORT_RETRY_SECONDS = 0.5
"""A report that the disk refused is tried again: the run is over whether the disk is full or not."""

REPORT_TRIES_MAX = 120
"""One minute; then the report is left to recovery, which comes to the same end (K30)."""

MakeSandbox = Callable[[Path], Awaitable[Sandbox]]
ReadMessage = Callable[[int], Awaitable[MessageAction]]
ShowDraft = Callable[[int, str], None]
"""Called with the run and what it goes on to write."""


@attrs.define
class _Recorder:
    """What the agent may tell (see `actors.agent.port.Recorder`). `unread` are messages that it has not looked at."""

    run: int
    ref: Ref[Command]
    read_message: ReadMessage
    show_draft: ShowDraft
    judge: Callable[[], Judge]
    unread: list[int]
    left: dict[int, Body] = attrs.field(factory=dict)
    asks: bool = False

    async def record(self, *bodies: Body, cause: int | None = None) -> tuple[int, ...]:
        if any(isinstance(body, RunAction) for body in bodies):
            raise NotRuledOn
        return await self._record(*bodies, cause=cause)

    async def _record(self, *bodies: Body, cause: int | None) -> tuple[int, ...]:
        ids: tuple[int, ...] = await self._tell(Record(self.run, bodies, cause))
        return ids

    async def act(self, action: RunAction, cause: int | None = None) -> int | None:
        verdict = self.judge().rule(action)
        ruled = attrs.evolve(action, security_risk=int(verdict.risk))
        if verdict.ruling is not Ruling.ALLOW:
            told = {"ruling": verdict.ruling.value, "reason": verdict.reason}
            logger.info("action_ruled", conversation_id=self.ref.key, run=self.run, **told)
        match verdict.ruling:
            case Ruling.ALLOW:
                [action_id] = await self._record(ruled, cause=cause)
                return action_id
            case Ruling.DENY:
                await self._tell(Forbid(self.run, ruled, verdict.reason, cause))
                return None
            case Ruling.CONFIRM:
                self.asks = True
                await self._tell(AskUser(self.run, ruled, verdict.reason, cause, tuple(self.unread)))
                await trio.sleep_forever()
                raise AssertionError("a run that asks the user is cancelled")
            case _:
                assert_never(verdict.ruling)

    async def _tell(self, command: Command) -> Any:
        promise = Promise()
        await self.ref.tell_waiting(command, reply=promise)
        return await promise.wait()

    async def draft(self, text: str) -> None:
        await trio.lowlevel.checkpoint()
        self.show_draft(self.run, text)

    async def message(self, message_id: int) -> MessageAction:
        message = await self.read_message(message_id)
        self.unread = [unread for unread in self.unread if unread != message_id]
        return message

    def leave(self, cause: int, body: Body) -> None:
        self.left[cause] = body


@attrs.frozen(eq=False)
class _UnderWay:
    activity: Activity
    since: float
    gives_up_at: float | None = None
    run: int | None = None


class RunTime:
    """All methods are synchronous and start something that reports by command."""

    def __init__(
        self,
        *,
        ref: Ref[Command],
        agent: Agent,
        make_sandbox: MakeSandbox,
        judge: Callable[[], Judge],
        workspace: Path,
        node: Supervisor,
        start_deadline_seconds: float,
    ) -> None:
        self._ref = ref
        self._agent = agent
        self._make_sandbox = make_sandbox
        self._judge = judge
        self._workspace = workspace
        self._node = node
        self._start_deadline_seconds = start_deadline_seconds
        self._sandbox: Sandbox | None = None
        self._opening = trio.CancelScope()
        self._opened = trio.Event()
        self._opened.set()
        self._run_scope: trio.CancelScope | None = None
        self._rests_since = trio.current_time()
        self._under_way: list[_UnderWay] = []

    def open(self) -> None:
        self._opening, self._opened = trio.CancelScope(), trio.Event()
        self._do("open", partial(self._open, self._opening, self._opened))

    def start_run(self, start: StartRun, read_message: ReadMessage, show_draft: ShowDraft) -> None:
        """`read_message` and `show_draft` are kept for the run alone: a run-time outlives incarnations of its actor,
        and must not hold on to what they held (K22)."""
        self._run_scope = trio.CancelScope()
        recorder = _Recorder(start.run, self._ref, read_message, show_draft, self._judge, list(start.messages))
        self._do(f"run {start.run}", partial(self._run, start, recorder, self._run_scope))

    def cancel_run(self) -> None:
        if self._run_scope is not None:
            self._run_scope.cancel()

    def close(self) -> None:
        self._do("close", self._close)

    def abandon(self) -> None:
        """The actor is gone: end everything and report nothing that would be believed."""
        self.cancel_run()
        self._do("abandon", self._close_sandbox)

    @contextmanager
    def _at(self, activity: Activity, *, run: int | None = None, seconds_max: float | None = None) -> Iterator[None]:
        since = trio.current_time()
        begun = _UnderWay(activity, since, None if seconds_max is None else since + seconds_max, run)
        self._under_way.append(begun)
        try:
            yield
        finally:
            self._under_way.remove(begun)
            self._rests_since = trio.current_time()

    def _do(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        async def named() -> None:
            # In a task of its own: whatever is logged on its way, in the sandbox too, says whose it is.
            structlog.contextvars.bind_contextvars(conversation_id=self._ref.key)
            await work()

        self._node.start(Child(f"{what} {self._ref.key}", named, Restart.TEMPORARY))

    async def _open(self, scope: trio.CancelScope, opened: trio.Event) -> None:
        reason = f"the run-time did not open within {self._start_deadline_seconds:g} s"
        seconds = self._start_deadline_seconds
        with self._at(Activity.OPENING, seconds_max=seconds), scope, trio.move_on_after(seconds):
            reason = await self._open_sandbox()
        opened.set()
        if scope.cancelled_caught:
            return  # it is being closed, and that is what is reported
        if reason:
            logger.warning("run_time_failed", conversation_id=self._ref.key, reason=reason)
            await self._report(RunTimeFailed(reason))
        else:
            await self._report(RunTimeReady())

    async def _open_sandbox(self) -> str:
        """Why it could not be opened; empty when it is."""
        failure = await guarded(self._make, "run_time_not_opened", conversation_id=self._ref.key)
        return "" if failure is None else _reason(failure)

    async def _make(self) -> None:
        self._sandbox = await self._make_sandbox(self._workspace)

    async def _run(self, start: StartRun, recorder: _Recorder, scope: trio.CancelScope) -> None:
        run = start.run
        outcomes: list[Outcome] = []
        failure: Exception | None = None
        with self._at(Activity.RUNNING, run=run), scope:
            work = partial(self._perform, start, recorder, outcomes)
            failure = await guarded(work, "run_crashed", conversation_id=self._ref.key, run=run)
        outcome = outcomes[0] if outcomes else _without_outcome(failure)
        told = "asked" if recorder.asks else outcome.kind.value
        logger.info("run_ended", conversation_id=self._ref.key, run=run, outcome=told)
        await self._report(EndRun(run, outcome.kind, outcome.reason, tuple(recorder.left.items())), run)

    async def _perform(self, start: StartRun, recorder: _Recorder, outcomes: list[Outcome]) -> None:
        assert self._sandbox is not None  # noqa: S101 - runs are started on an open run-time only
        hands = SandboxHands(recorder, self._sandbox)
        try:
            if start.first is not None:
                await hands.do(start.first.action_id, start.first.action)
            outcomes.append(await self._agent.run(start.messages, recorder, hands))
        except RunOver:
            return  # it was ended while it worked: no crash, and its own report will be refused as well

    async def _close(self) -> None:
        self.cancel_run()
        await self._close_sandbox()
        await self._report(RunTimeClosed())

    async def _close_sandbox(self) -> None:
        """Also one that is still being opened."""
        self._opening.cancel()
        await self._opened.wait()
        if self._sandbox is not None:
            with self._at(Activity.CLOSING):
                await guarded(self._sandbox.close, "run_time_not_closed", conversation_id=self._ref.key)

    async def _report(self, command: Command, run: int | None = None) -> None:
        with self._at(Activity.REPORTING, run=run):
            for _ in range(REPORT_TRIES_MAX):
                try:
                    await self._ref.ask(command, lane=Lane.CONTROL)
                except (ConversationNotFound, Refused, RegistryClosed):
                    return  # the run was over already (K29), or all is: recovery comes to the same end (K30)
                except (StorageError, ActorError) as failure:
                    logger.warning("report_failed", conversation_id=self._ref.key, error=str(failure))
                    await trio.sleep(REPORT_RETRY_SECONDS)
                else:
                    return

    def statistics(self) -> RunTimeStatistics:
        at = self._under_way[-1] if self._under_way else _UnderWay(Activity.RESTING, self._rests_since)
        runs = [begun.run for begun in self._under_way if begun.run is not None]
        sandbox = None if self._sandbox is None else self._sandbox.statistics()
        return RunTimeStatistics(at.activity, at.since, at.gives_up_at, runs[-1] if runs else None, sandbox)

    def __repr__(self) -> str:
        found = self.statistics()
        run = "" if found.run is None else f" run={found.run}"
        return f"<RunTime {self._ref.key} {found.activity}{run}>"


def _reason(failure: Exception) -> str:
    """What clients may know: our own words, or of which kind it was. The log has the rest, paths among it."""
    match failure:
        case SandboxError():
            return str(failure)
        case OSError():
            kind = failure.strerror or type(failure).__name__
        case _:
            kind = type(failure).__name__
    return f"the run-time could not be opened ({kind})"


def _without_outcome(failure: Exception | None) -> Outcome:
    if failure is None:
        return Outcome(RunOutcome.STOPPED)
    return Outcome(RunOutcome.CRASHED, f"The agent crashed ({type(failure).__name__}).")
