"""A sandbox that runs nothing: it answers each command with what it was told, on trio's clock."""

from pathlib import Path

import attrs
import trio

from actors.sandbox.errors import SandboxClosed, SandboxError
from actors.sandbox.output import Output
from actors.sandbox.port import EXIT_CODE_UNKNOWN, CommandResult, SandboxStatistics

__all__ = ["Reply", "ScriptedSandbox"]


@attrs.frozen
class Reply:
    """Print `output`, take `seconds`, then exit with `exit_code`, or raise `error` before anything."""

    output: str = ""
    exit_code: int = 0
    seconds: float = 0.0
    error: SandboxError | None = None


@attrs.define
class ScriptedSandbox:
    """Under the same conformance suite as the real ones. An unknown command is answered as bash would. `jams` is what
    its closing raises when everything is done."""

    replies: dict[str, Reply] = attrs.field(factory=dict)
    timeout_seconds: float = 120.0
    working_dir: str = "/workspace"
    warning: str = ""
    jams: Exception | None = None
    ran: list[str] = attrs.field(factory=list)
    _running: dict[trio.CancelScope, float] = attrs.field(factory=dict)
    _closed: bool = False

    @classmethod
    async def open(cls, _: Path) -> "ScriptedSandbox":
        """As `SandboxMaker.open`; the folder is not looked at."""
        await trio.lowlevel.checkpoint()
        return cls()

    async def run(self, command: str, output: Output | None = None) -> CommandResult:
        await trio.lowlevel.checkpoint()
        if self._closed:
            raise SandboxClosed("The sandbox is closed.")
        self.ran.append(command)
        reply = self.replies.get(command, Reply(f"bash: {command}: command not found\n", 127))
        if reply.error is not None:
            raise reply.error
        return await self._perform(reply, Output() if output is None else output)

    async def _perform(self, reply: Reply, output: Output) -> CommandResult:
        output.feed(reply.output.encode())
        with trio.CancelScope() as scope:
            self._running[scope] = trio.current_time()
            try:
                return await self._take_time(reply, output)
            finally:
                del self._running[scope]
        raise SandboxClosed("The sandbox was closed while the command ran.")

    async def _take_time(self, reply: Reply, output: Output) -> CommandResult:
        with trio.move_on_after(self.timeout_seconds) as limit:
            await trio.sleep(reply.seconds)
        code = EXIT_CODE_UNKNOWN if limit.cancelled_caught else reply.exit_code
        return CommandResult(output.text(), code, limit.cancelled_caught, output.characters_left_out)

    async def close(self) -> None:
        self._closed = True
        for scope in self._running:
            scope.cancel()
        await trio.lowlevel.checkpoint()
        if self.jams is not None:
            raise self.jams

    def statistics(self) -> SandboxStatistics:
        since = min(self._running.values(), default=None)
        times_out_at = None if since is None else since + self.timeout_seconds
        return SandboxStatistics(len(self.ran), len(self._running), self._closed, since, times_out_at)
