"""One command as a real process: start it behind a watchdog, follow its output, see it to its end.

What lives here: the performing part that both process sandboxes share, from an argument vector to an exit
status. What must not: how a command is confined (`bubblewrap`, `local_process` say that, as a `Launch`) or
what its result looks like to an agent (`process_sandbox`). Whatever way the block is left, the process tree
is gone first (K29).
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import structlog
import trio

from actors.sandbox import watchdog
from actors.sandbox.errors import SandboxLost, SandboxUnavailable
from actors.sandbox.output import Output

__all__ = ["GRACE_SECONDS", "STOP_SECONDS", "Launch", "run_child"]

log = structlog.get_logger(__name__)

GRACE_SECONDS = 0.3
"""Between SIGTERM and SIGKILL: enough for a trap to clean up, short enough for a stop within a second
(K29)."""

STOP_SECONDS = GRACE_SECONDS + 2.7
"""The watchdog needs milliseconds beyond the grace. It gets seconds, since on a starved machine killing it
early would spare those whom it was about to kill; then it is killed all the same, and its command's shell
dies with it."""

KILL_SECONDS = 1.0
"""A killed watchdog is reaped in microseconds, unless the machine itself is stuck; then we do not hang with
it."""

DRAIN_SECONDS = 0.25
"""How long the output may stay open after the end: somebody outside the process tree holds it, who is not
waited for."""


@attrs.frozen
class Launch:
    """How to start one command: the whole argument vector, the folder and environment it starts with.

    `asked` is one of the watchdog's words: who gets SIGTERM when the command is stopped.
    """

    argv: tuple[str, ...]
    folder: Path
    environment: dict[str, str] = attrs.field(repr=False)
    asked: str = watchdog.ASK_ALL


async def run_child(launch: Launch, output: Output, *, timeout_seconds: float) -> int | None:
    """Run to the end and return the exit status, or None after a timeout. Output goes to `output` as it
    comes.

    Cancelling ends the process tree first, in a shielded scope with a deadline (K29). Raises
    SandboxUnavailable when nothing could be started, SandboxLost when the watchdog was killed by others.
    """
    with _lifeline() as lifeline:
        process = await _open(launch, lifeline)
        try:
            with trio.move_on_after(timeout_seconds) as limit:
                await _follow(process, output)
        finally:
            await _end(process, output)
    if limit.cancelled_caught:
        return None
    return _status(process)


@contextmanager
def _lifeline() -> Iterator[int]:
    """The read end of a pipe whose write end closes here, or by the kernel when this process dies."""
    read_end, write_end = os.pipe()
    try:
        yield read_end
    finally:
        os.close(write_end)
        os.close(read_end)


async def _open(launch: Launch, lifeline: int) -> trio.Process:
    guard = (sys.executable, "-I", "-S", watchdog.__file__, str(lifeline), str(GRACE_SECONDS), launch.asked)
    try:
        return await trio.lowlevel.open_process(
            [*guard, *launch.argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=launch.folder,
            env=launch.environment,
            pass_fds=(lifeline,),
            start_new_session=True,  # a terminal's ^C is for the server, not for its commands
        )
    except OSError as error:
        raise SandboxUnavailable(f"No command can be started: {error.strerror}.") from error


async def _follow(process: trio.Process, output: Output) -> None:
    """Read until the process has ended and its output with it; a cancelled read loses nothing."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_pump, process, output)
        await process.wait()
        nursery.cancel_scope.deadline = trio.current_time() + DRAIN_SECONDS


async def _pump(process: trio.Process, output: Output) -> None:
    assert process.stdout is not None  # noqa: S101  asked for in `_open`
    async for chunk in process.stdout:
        output.feed(chunk)


async def _end(process: trio.Process, output: Output) -> None:
    """Leave no process behind; what it prints while it ends still counts."""
    if process.returncode is None:
        with trio.move_on_after(STOP_SECONDS, shield=True):
            process.terminate()
            await _follow(process, output)
    if process.returncode is None:
        log.warning("sandbox_watchdog_killed", pid=process.pid, waited_seconds=STOP_SECONDS)
        with trio.move_on_after(KILL_SECONDS, shield=True):
            process.kill()
            await process.wait()
    if process.stdout is not None:
        with trio.CancelScope(shield=True):  # closing a pipe does not wait; it is a checkpoint all the same
            await process.stdout.aclose()


def _status(process: trio.Process) -> int:
    if process.returncode is None or process.returncode < 0:
        raise SandboxLost("The command's watchdog was killed; what became of the command is unknown.")
    return process.returncode
