"""A sandbox made of real processes, one tree for each command.

What lives here: the port as both kinds of process sandbox fill it: what a command may look like, what its end
means to an agent, and closing. What must not: how a command is confined, which comes in as a function from a
script to a `Launch`, or how a process is followed, which is `child`'s business.
"""

from collections.abc import Callable

import attrs
import trio

from actors.sandbox.child import Launch, run_child
from actors.sandbox.errors import CommandUnusable, SandboxClosed
from actors.sandbox.output import Output
from actors.sandbox.port import EXIT_CODE_UNKNOWN, CommandResult, SandboxKind, SandboxStatistics

__all__ = ["COMMAND_BYTES_MAX", "ProcessSandbox"]

COMMAND_BYTES_MAX = 128 * 1024 - 1
"""Linux takes no longer single argument (MAX_ARG_STRLEN, its closing zero byte included)."""


@attrs.define(eq=False, repr=False)
class ProcessSandbox:
    """A `Sandbox` in which every command is a process tree of its own; see the port for what that promises.

    `launch` says how to start a script; `timeout_seconds` (SANDBOX_TIMEOUT) is how long a command may take.
    """

    kind: SandboxKind
    working_dir: str
    warning: str
    timeout_seconds: float
    _launch: Callable[[str], Launch]
    _commands_started: int = attrs.field(default=0, init=False)
    _running: dict[trio.CancelScope, float] = attrs.field(factory=dict, init=False)
    """The commands that run, each with the time of its start."""
    _all_ended: trio.Condition = attrs.field(factory=trio.Condition, init=False)
    _closed: bool = attrs.field(default=False, init=False)

    async def run(self, command: str, output: Output | None = None) -> CommandResult:
        """See `Sandbox.run`."""
        _check_usable(command)
        output = Output() if output is None else output
        status = await self._run_until_closed(self._launch(command), output)
        if status is None:
            return _timed_out(output, self.timeout_seconds)
        return CommandResult(output.text(), status, characters_left_out=output.characters_left_out)

    async def _run_until_closed(self, launch: Launch, output: Output) -> int | None:
        self._check_open()
        self._commands_started += 1
        with trio.CancelScope() as scope:
            self._running[scope] = trio.current_time()
            try:
                return await run_child(launch, output, timeout_seconds=self.timeout_seconds)
            finally:
                del self._running[scope]
                await self._tell_that_one_ended()
        raise SandboxClosed("The sandbox was closed while the command ran.")

    def _check_open(self) -> None:
        if self._closed:
            raise SandboxClosed("The sandbox is closed.")

    async def _tell_that_one_ended(self) -> None:
        # The lock is held for no longer than it takes to look at a set, so this shield does not wait either.
        with trio.CancelScope(shield=True):
            async with self._all_ended:
                self._all_ended.notify_all()

    async def close(self) -> None:
        """See `Sandbox.close`."""
        self._closed = True
        for scope in self._running:
            scope.cancel()
        async with self._all_ended:
            while self._running:
                await self._all_ended.wait()

    def statistics(self) -> SandboxStatistics:
        since = min(self._running.values(), default=None)
        times_out_at = None if since is None else since + self.timeout_seconds
        return SandboxStatistics(self._commands_started, len(self._running), self._closed, since, times_out_at)

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"running={len(self._running)}"
        return f"<ProcessSandbox {self.kind.value} {state} started={self._commands_started}>"


def _check_usable(command: str) -> None:
    if "\0" in command:
        raise CommandUnusable("A command cannot contain a zero character.")
    try:
        size = len(command.encode())
    except UnicodeEncodeError:
        raise CommandUnusable("The command contains half a character, which is no text.") from None
    if size > COMMAND_BYTES_MAX:
        raise CommandUnusable(f"The command is {size} bytes long; the longest that can run has {COMMAND_BYTES_MAX}.")


def _timed_out(output: Output, timeout_seconds: float) -> CommandResult:
    sentence = f"[The command was ended, since it took longer than {timeout_seconds:g} s.]"
    text = output.text()
    return CommandResult(
        f"{text}\n{sentence}" if text else sentence,
        EXIT_CODE_UNKNOWN,
        timed_out=True,
        characters_left_out=output.characters_left_out,
    )
