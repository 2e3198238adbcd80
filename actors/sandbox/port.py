"""What a sandbox is to those who use one.

What lives here: the port, the result of a command and the words for kinds of sandbox. What must not: a
process. Agents see this module and the errors beside it, nothing else of this room, so that a container or a
remote machine can take the place of a local process without their noticing.
"""

from enum import StrEnum
from typing import Protocol

import attrs

from actors.sandbox.output import Output

__all__ = ["EXIT_CODE_UNKNOWN", "CommandResult", "Sandbox", "SandboxKind", "SandboxStatistics"]

EXIT_CODE_UNKNOWN = -1
"""The exit code of a command that did not end by itself (contract §3.3)."""


class SandboxKind(StrEnum):
    """Which sandbox to use; the values are those of the configuration."""

    AUTO = "auto"  # bubblewrap where it works, else local
    BUBBLEWRAP = "bubblewrap"
    LOCAL = "local"


@attrs.frozen
class CommandResult:
    """How a command ended.

    `output` is both streams in the order they came, at most `OUTPUT_CHARACTERS_MAX` characters of it and a
    sentence where something is to be said; `exit_code` is 128 + n after signal n, and -1 after a timeout.
    """

    output: str
    exit_code: int
    timed_out: bool = False
    characters_left_out: int = 0

    @property
    def truncated(self) -> bool:
        """Whether the middle of the output is missing."""
        return self.characters_left_out > 0


@attrs.frozen
class SandboxStatistics:
    """`commands_started` since the sandbox exists, `commands_running` now. The oldest of these runs since
    `running_since`, and is ended for taking too long at `times_out_at`: both in `trio.current_time()` seconds, None
    when none runs."""

    commands_started: int
    commands_running: int
    closed: bool
    running_since: float | None = None
    times_out_at: float | None = None


class Sandbox(Protocol):
    """A place with a folder in which shell commands run, one process tree for each.

    Nothing that a command starts outlives it: background children end with their shell.
    """

    @property
    def working_dir(self) -> str:
        """The folder in which commands start, as they see it."""
        ...

    @property
    def warning(self) -> str:
        """What the user should know about how well this sandbox confines; empty if it confines."""
        ...

    async def run(self, command: str, output: Output | None = None) -> CommandResult:
        """Run a shell script to its end.

        The caller may bring the `output` to be filled: what a cancelled command printed is then there to
        read. When cancelled, every process of the command is gone before this returns (K29), within a second.
        Raises SandboxUnavailable, SandboxClosed, SandboxLost or CommandUnusable.
        """
        ...

    async def close(self) -> None:
        """End what is running and refuse what comes; running commands raise SandboxClosed. May be called
        again."""
        ...

    def statistics(self) -> SandboxStatistics: ...
