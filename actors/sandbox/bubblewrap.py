"""The sandbox that confines: bubblewrap, from Linux namespaces.

What lives here: what a command inside sees, as bubblewrap's arguments, and the probe that tells whether
bubblewrap works on this machine. What must not: trust in its mere presence, since containers and hardened
kernels often refuse namespaces; the probe runs a command.

Inside there are the system's own folders, read-only; `/workspace`, the conversation's files, writable and the
home; a private /tmp; a /proc of the command's own processes; a minimal /dev; no capability and no way to gain
a privilege. The rest of the machine is not hidden, it is not there: folders are allowed, not forbidden. The
network is shared in this version, since what agents do without one is little and an allow-list of hosts needs
a proxy.
"""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from actors.sandbox import watchdog
from actors.sandbox.child import Launch
from actors.sandbox.environment import clean_environment, shell_command
from actors.sandbox.errors import SandboxError, SandboxUnavailable
from actors.sandbox.port import SandboxKind
from actors.sandbox.process_sandbox import ProcessSandbox

__all__ = ["WORKSPACE", "bubblewrap", "bubblewrap_trouble"]

WORKSPACE = "/workspace"
"""Where a command finds its files (contract §6, workspace_mount_path_in_sandbox)."""

PROBE_TIMEOUT_SECONDS = 10.0
"""The probe takes 20 ms; a machine on which it takes this long is in no state to run commands."""

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix", "/gnu")

_ALWAYS_HIDDEN = ("/root", "/home", "/etc/shadow", "/etc/gshadow", "/etc/ssh")
"""Homes, where a distribution links them into the system's folders, and what only a server run as root can
read."""

_NAMESPACES = (
    "--die-with-parent",
    "--new-session",
    "--unshare-user-try",
    "--unshare-pid",
    "--unshare-ipc",
    "--cap-drop",
    "ALL",
)

_OWN_FOLDERS = ("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--symlink", "../tmp", "/var/tmp")  # noqa: S108  a private /tmp inside

_KERNEL_KNOBS = ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/acpi", "/proc/scsi")
"""The machine's own settings: the kernel lets uid 0 write them without any capability (core_pattern is a
program that the kernel runs outside), and bubblewrap leaves /proc/sys writable when the server runs as root
(tried, 0.8)."""


def bubblewrap(workspace: Path, *, timeout_seconds: float, hidden_paths: Iterable[Path] = ()) -> ProcessSandbox:
    """A sandbox whose commands see the system read-only and `workspace`, an existing folder, as /workspace.

    `hidden_paths` (the data folder, the configuration file) are masked where they lie in a system folder.
    Raises SandboxUnavailable when bubblewrap is not installed.
    """
    program = shutil.which("bwrap")
    if program is None:
        raise SandboxUnavailable("bubblewrap is not installed (no bwrap on the PATH)")
    return ProcessSandbox(
        kind=SandboxKind.BUBBLEWRAP,
        working_dir=WORKSPACE,
        warning="",
        timeout_seconds=timeout_seconds,
        launch=partial(_launch, program, workspace, tuple(hidden_paths)),
    )


async def bubblewrap_trouble() -> str:
    """Why bubblewrap does not work here, in words for a log; empty when a command has really run in it."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            sandbox = bubblewrap(Path(folder), timeout_seconds=PROBE_TIMEOUT_SECONDS)
            result = await sandbox.run("true")
        except SandboxError as error:
            return str(error)
    if result.exit_code == 0:
        return ""
    return result.output.strip() or f"`true` exits with {result.exit_code}"


def _launch(program: str, workspace: Path, hidden_paths: tuple[Path, ...], script: str) -> Launch:
    hidden = (*map(Path, _ALWAYS_HIDDEN), Path.home(), *hidden_paths)
    argv = (
        program,
        *_NAMESPACES,
        *_system_folders(),
        *_masks(hidden),
        *_OWN_FOLDERS,
        *_read_only_knobs(),
        *_resolver(),
        *("--bind", str(workspace.resolve()), WORKSPACE),
        *("--remount-ro", "/"),
        *("--chdir", WORKSPACE, "--"),
        *shell_command(script),
    )
    return Launch(argv, workspace, clean_environment(WORKSPACE), asked=watchdog.ASK_INNER)


def _system_folders() -> Iterator[str]:
    """The same tree as outside, links as links, since a folder bound twice would show a masked path again."""
    for folder in map(Path, _SYSTEM):
        if folder.is_symlink():
            yield from ("--symlink", str(folder.readlink()), str(folder))
        elif folder.is_dir():
            yield from ("--ro-bind", str(folder), str(folder))


def _read_only_knobs() -> Iterator[str]:
    for path in _KERNEL_KNOBS:
        yield from ("--ro-bind-try", path, path)


def _masks(paths: Iterable[Path]) -> Iterator[str]:
    """Something empty over each path that a system folder would show; elsewhere there is nothing to cover."""
    covered: list[Path] = []
    for path in sorted({path.resolve() for path in paths}):  # a folder comes before what lies in it
        if not _lies_in_any(path, map(Path, _SYSTEM)) or _lies_in_any(path, covered):
            continue
        covered.append(path)
        if path.is_dir():
            yield from ("--tmpfs", str(path), "--remount-ro", str(path))
        elif path.exists():
            yield from ("--ro-bind", os.devnull, str(path))


def _lies_in_any(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _resolver() -> Iterator[str]:
    """/etc/resolv.conf is often a link into /run, which is not there; without its target no name resolves."""
    target = Path("/etc/resolv.conf").resolve()
    if target.is_relative_to("/run") and target.is_file():
        yield from ("--ro-bind", str(target), str(target))
