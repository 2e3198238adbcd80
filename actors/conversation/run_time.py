"""The run-time of one conversation: its sandbox and the run of its agent, in tasks of their own (K29).

It is not owned by the actor's task: a run that crashes is caught by the supervisor's guard and reported as a command,
like everything else that comes of it. The actor tells it what to do without waiting.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import attrs
import structlog
import trio

from actors.agent.port import Agent, Outcome
from actors.conversation.errors import Refused, RunOver
from actors.domain.commands import Command, EndRun, Record, RunTimeClosed, RunTimeFailed, RunTimeReady
from actors.domain.events import Body, MessageAction, RunOutcome
from actors.runtime import ActorError, Lane, Promise, Ref, RegistryClosed, guarded
from actors.sandbox.errors import SandboxError
from actors.sandbox.port import Sandbox
from storage.errors import StorageError

__all__ = ["MakeSandbox", "ReadMessage", "RunTime"]

logger = structlog.get_logger(__name__)

REPORT_RETRY_SECONDS = 0.5
"""A report that the disk refused is tried again: the run is over whether the disk is full or not."""

REPORT_TRIES_MAX = 120
"""One minute; then the report is left to recovery, which comes to the same end (K30)."""

MakeSandbox = Callable[[Path], Awaitable[Sandbox]]
ReadMessage = Callable[[int], Awaitable[MessageAction]]


@attrs.define
class _Recorder:
    """What the agent may do (see `actors.agent.port.Recorder`)."""

    run: int
    ref: Ref[Command]
    read_message: ReadMessage
    left: dict[int, Body] = attrs.field(factory=dict)

    async def record(self, *bodies: Body, cause: int | None = None) -> tuple[int, ...]:
        promise = Promise()
        await self.ref.tell_waiting(Record(self.run, bodies, cause), reply=promise)
        ids: tuple[int, ...] = await promise.wait()
        return ids

    async def message(self, message_id: int) -> MessageAction:
        return await self.read_message(message_id)

    def leave(self, cause: int, body: Body) -> None:
        self.left[cause] = body


class RunTime:
    """All methods are synchronous and start something that reports by command."""

    def __init__(
        self,
        *,
        ref: Ref[Command],
        agent: Agent,
        make_sandbox: MakeSandbox,
        workspace: Path,
        read_message: ReadMessage,
        nursery: trio.Nursery,
        start_deadline_seconds: float,
    ) -> None:
        self._ref = ref
        self._agent = agent
        self._make_sandbox = make_sandbox
        self._workspace = workspace
        # Set anew by every incarnation that takes this run-time over.
        self.read_message = read_message
        self._nursery = nursery
        self._start_deadline_seconds = start_deadline_seconds
        self._sandbox: Sandbox | None = None
        self._opening = trio.CancelScope()
        self._opened = trio.Event()
        self._opened.set()
        self._run_scope: trio.CancelScope | None = None

    def open(self) -> None:
        self._opening, self._opened = trio.CancelScope(), trio.Event()
        self._nursery.start_soon(self._open, self._opening, self._opened)

    def start_run(self, run: int, messages: tuple[int, ...]) -> None:
        self._run_scope = trio.CancelScope()
        self._nursery.start_soon(self._run, run, messages, self._run_scope)

    def cancel_run(self) -> None:
        if self._run_scope is not None:
            self._run_scope.cancel()

    def close(self) -> None:
        self._nursery.start_soon(self._close)

    def abandon(self) -> None:
        """The actor is gone: end everything and report nothing that would be believed."""
        self.cancel_run()
        self._nursery.start_soon(self._close_sandbox)

    async def _open(self, scope: trio.CancelScope, opened: trio.Event) -> None:
        reason = f"the run-time did not open within {self._start_deadline_seconds:g} s"
        with scope, trio.move_on_after(self._start_deadline_seconds):
            reason = await self._try_to_open()
        opened.set()
        if scope.cancelled_caught:
            return  # it is being closed, and that is what is reported
        if reason:
            logger.warning("run_time_failed", conversation_id=self._ref.key, reason=reason)
            await self._report(RunTimeFailed(reason))
        else:
            await self._report(RunTimeReady())

    async def _try_to_open(self) -> str:
        """Why it could not be opened; empty when it is."""
        try:
            self._sandbox = await self._make_sandbox(self._workspace)
        except (SandboxError, OSError) as failure:
            return str(failure)
        return ""

    async def _run(self, run: int, messages: tuple[int, ...], scope: trio.CancelScope) -> None:
        assert self._sandbox is not None  # noqa: S101 - runs are started on an open run-time only
        recorder = _Recorder(run, self._ref, self.read_message)
        outcomes: list[Outcome] = []
        failure: Exception | None = None
        with scope:
            work = partial(self._perform, messages, recorder, outcomes)
            failure = await guarded(work, "run_crashed", conversation_id=self._ref.key, run=run)
        outcome = outcomes[0] if outcomes else _without_outcome(failure)
        logger.info("run_ended", conversation_id=self._ref.key, run=run, outcome=outcome.kind.value)
        await self._report(EndRun(run, outcome.kind, outcome.reason, tuple(recorder.left.items())))

    async def _perform(self, messages: tuple[int, ...], recorder: _Recorder, outcomes: list[Outcome]) -> None:
        assert self._sandbox is not None  # noqa: S101 - as above
        try:
            outcomes.append(await self._agent.run(messages, recorder, self._sandbox))
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
            await self._sandbox.close()

    async def _report(self, command: Command) -> None:
        for _ in range(REPORT_TRIES_MAX):
            try:
                await self._ref.ask(command, lane=Lane.CONTROL)
            except (Refused, RegistryClosed):
                return  # the run was over already (K29), or the server is: recovery comes to the same end (K30)
            except (StorageError, ActorError) as failure:
                logger.warning("report_failed", conversation_id=self._ref.key, error=str(failure))
                await trio.sleep(REPORT_RETRY_SECONDS)
            else:
                return


def _without_outcome(failure: Exception | None) -> Outcome:
    if failure is None:
        return Outcome(RunOutcome.STOPPED)
    return Outcome(RunOutcome.CRASHED, f"The agent crashed ({type(failure).__name__}).")
