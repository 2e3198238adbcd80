"""What can go wrong with a sandbox, as opposed to what a command does in it.

What lives here: the errors that callers of this room may catch, one leaf for each thing that they can do
about it. What must not: a command that fails, times out or is killed. That is a result with an exit code,
since the agent is meant to read it. A run that meets one of these errors reports it and goes on (K30); it
does not crash.
"""

__all__ = ["CommandUnusable", "SandboxClosed", "SandboxError", "SandboxLost", "SandboxUnavailable"]


class SandboxError(Exception):
    """Base of everything that a sandbox raises on purpose; its text may be shown to the user."""


class SandboxUnavailable(SandboxError):
    """The sandbox cannot start a command at all: no workspace, no program, no process to be had."""


class SandboxClosed(SandboxError):
    """The sandbox was closed before or during the command."""


class SandboxLost(SandboxError):
    """The watchdog of a command was killed from outside; what became of the command is unknown."""


class CommandUnusable(SandboxError):
    """No process can be given this text as its command; nothing was started."""
