"""The sandbox that confines nothing: a plain child process, for machines on which bubblewrap does not work.

What lives here: how such a child is started, and the warning that goes with it. What must not: an attempt to
look safer than it is. The child has a clean environment and ends with its shell, with a stop and with the
server (the watchdog sees to that, and says where its reach ends), but it is the server's user: it reads the
data folder, the server's own files and, through /proc, the environment that the server was started with.
"""

from functools import partial
from pathlib import Path

from actors.sandbox.child import Launch
from actors.sandbox.environment import clean_environment, shell_command
from actors.sandbox.port import SandboxKind
from actors.sandbox.process_sandbox import ProcessSandbox

__all__ = ["LOCAL_WARNING", "local_process"]

LOCAL_WARNING = (
    "Commands run as plain processes of the server's user, without a sandbox: they can read and change "
    "whatever that user can, the server's data and secrets included. Install bubblewrap to confine them."
)


def local_process(workspace: Path, *, timeout_seconds: float) -> ProcessSandbox:
    """A sandbox whose commands start in `workspace` as plain processes."""
    return ProcessSandbox(
        kind=SandboxKind.LOCAL,
        working_dir=str(workspace),
        warning=LOCAL_WARNING,
        timeout_seconds=timeout_seconds,
        launch=partial(_launch, workspace),
    )


def _launch(workspace: Path, script: str) -> Launch:
    return Launch(shell_command(script), workspace, clean_environment(str(workspace)))
