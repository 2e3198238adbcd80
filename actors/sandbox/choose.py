"""Which sandbox this server uses: asked once at start, then one for each conversation.

What lives here: the one decision between bubblewrap and a plain process, and the maker of sandboxes that
follows from it. What must not: a second look later. A server that confined its commands yesterday must not
stop confining them because one probe timed out under load.
"""

from pathlib import Path

import attrs
import structlog
import trio

from actors.sandbox.bubblewrap import bubblewrap, bubblewrap_trouble
from actors.sandbox.errors import SandboxUnavailable
from actors.sandbox.local_process import LOCAL_WARNING, local_process
from actors.sandbox.port import SandboxKind
from actors.sandbox.process_sandbox import ProcessSandbox

__all__ = ["DEFAULT_TIMEOUT_SECONDS", "SandboxMaker", "choose"]

log = structlog.get_logger(__name__)

DEFAULT_TIMEOUT_SECONDS = 120.0
"""The contract's default for SANDBOX_TIMEOUT (§6)."""


@attrs.frozen
class SandboxMaker:
    """Makes the sandbox of one conversation after another, all of the same kind.

    `kind` is never AUTO; `warning` is for the user to see, empty when commands are confined.
    """

    kind: SandboxKind
    warning: str
    timeout_seconds: float
    hidden_paths: tuple[Path, ...] = ()

    async def open(self, workspace: Path) -> ProcessSandbox:
        """As `make`; opening one elsewhere, in a container, would take its time."""
        await trio.lowlevel.checkpoint()
        return self.make(workspace)

    def make(self, workspace: Path) -> ProcessSandbox:
        """A sandbox on an existing folder. Raises SandboxUnavailable when bubblewrap was removed
        meanwhile."""
        if self.kind is SandboxKind.BUBBLEWRAP:
            return bubblewrap(workspace, timeout_seconds=self.timeout_seconds, hidden_paths=self.hidden_paths)
        return local_process(workspace, timeout_seconds=self.timeout_seconds)


async def choose(
    kind: SandboxKind = SandboxKind.AUTO,
    *,
    hidden_paths: tuple[Path, ...] = (),
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
) -> SandboxMaker:
    """Bubblewrap where it works, else plain processes and a warning in the log; or the kind that is asked
    for.

    `hidden_paths` are the server's own: the data folder, the configuration file.
    Raises SandboxUnavailable when bubblewrap is asked for by name and does not work.
    """
    trouble = "" if kind is SandboxKind.LOCAL else await bubblewrap_trouble()
    if trouble and kind is SandboxKind.BUBBLEWRAP:
        raise SandboxUnavailable(f"The configured sandbox, bubblewrap, does not work here: {trouble}")
    if trouble or kind is SandboxKind.LOCAL:
        log.warning("sandbox_does_not_confine", warning=LOCAL_WARNING, bubblewrap=trouble or "not asked for")
        return SandboxMaker(SandboxKind.LOCAL, LOCAL_WARNING, timeout_seconds, hidden_paths)
    return SandboxMaker(SandboxKind.BUBBLEWRAP, "", timeout_seconds, hidden_paths)
