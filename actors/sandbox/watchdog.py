"""The process between the server and one command: it ends the command's whole tree when told or orphaned.

What lives here: a script of the standard library alone, started once for each command (it costs 13 ms). What
must not: an import of ours, since it runs with `python -I -S` outside the package. It holds the read end of a
pipe, the lifeline, whose write end only the server has: end of file means that the server is gone, even by
kill -9, and everything is killed at once. SIGTERM from the server means stop: SIGTERM to all, a grace, SIGKILL
(K29). When the watchdog exits, nothing of the command is left.

It is the command's parent for a reason. `PR_SET_PDEATHSIG`, and so bubblewrap's `--die-with-parent`, fires
when the parent *thread* ends, and trio starts processes from worker threads that end after ten idle seconds:
a sandbox started straight from the server dies with a sleeping thread. The watchdog has one thread and lives
as long.

On Linux it is also a subreaper: a child that leaves the group with setsid is adopted here and ended too.
Elsewhere only the process group is ended, and a child that leaves it escapes. So does the group (not the
shell itself) when somebody kills the watchdog with -9; bubblewrap's process namespace has neither gap.
"""

import ctypes
import math
import os
import select
import signal
import sys
import time

__all__ = ["ASK_ALL", "ASK_INNER", "EXEC_FAILED_STATUS", "main"]

ASK_ALL = "all"
"""A stop sends SIGTERM to every process of the command."""
ASK_INNER = "inner"
"""A stop spares the outermost process, a wrapper whose own end would leave those inside no grace."""

EXEC_FAILED_STATUS = 127
"""What a shell answers when there is no such program."""

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def main(arguments: list[str]) -> int:
    """Run `arguments[3:]` with arguments: lifeline descriptor, grace in seconds, ASK_ALL or ASK_INNER.

    The result is the command's exit status, 128 + n after signal n.
    """
    lifeline, grace_seconds, asked = int(arguments[0]), float(arguments[1]), arguments[2]
    os.set_inheritable(lifeline, False)  # noqa: FBT003  positional in the standard library
    bell = _hang_bell()
    _control_process(_PR_SET_CHILD_SUBREAPER, 1)
    leader = _start(arguments[3:])
    _let_go_of_output()
    _watch(leader, lifeline, bell, grace_seconds, asked)
    return _end_everything(leader)


def _hang_bell() -> int:
    """A descriptor that becomes readable, with the signal's number, when a child ends or a stop is asked
    for."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    return read_end


def _control_process(option: int, value: int) -> None:
    """prctl(2), where there is one; what it adds is named in the module's docstring."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _start(command: list[str]) -> int:
    watchdog = os.getpid()
    leader = os.fork()
    if leader == 0:
        try:
            _become(command, watchdog)
        finally:  # whatever went wrong, there must not be a second watchdog
            os._exit(EXEC_FAILED_STATUS)
    return leader


def _become(command: list[str], watchdog: int) -> None:
    """In the child: be the command, in a session of its own. Returns only when that fails."""
    os.setsid()
    _control_process(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != watchdog:
        return  # orphaned before the kernel was asked to see to it
    # Python ignores these at start, and an ignored signal stays ignored: `yes | head` would complain.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606  the argument vector is the caller's, no shell parses it here
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())


def _let_go_of_output() -> None:
    """The output ends when the command's last process does, so the watchdog must not hold it open."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)


def _watch(leader: int, lifeline: int, bell: int, grace_seconds: float, asked: str) -> None:
    """Return when all is to be killed: the leader has ended, a grace is over, the server is gone."""
    poller = select.poll()
    poller.register(lifeline, select.POLLIN)
    poller.register(bell, select.POLLIN)
    deadline = math.inf
    while not _has_ended(leader) and time.monotonic() < deadline:
        ready = {descriptor for descriptor, _ in poller.poll(_milliseconds_until(deadline))}
        if lifeline in ready:
            return
        if bell in ready and signal.SIGTERM in os.read(bell, 512) and deadline == math.inf:
            deadline = time.monotonic() + grace_seconds
            _ask_to_end(leader, asked)
        _reap_orphans(leader)


def _milliseconds_until(deadline: float) -> int | None:
    if deadline == math.inf:
        return None
    return max(0, math.ceil((deadline - time.monotonic()) * 1000))


def _has_ended(leader: int) -> bool:
    """Look without reaping: while the leader is a zombie, its process group's number cannot be given away."""
    return os.waitid(os.P_PID, leader, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _ask_to_end(leader: int, asked: str) -> None:
    if asked == ASK_ALL:
        _signal_group(leader, signal.SIGTERM)
    for pid in _descendants(os.getpid()):
        if pid != leader:
            _signal(pid, signal.SIGTERM)


def _end_everything(leader: int) -> int:
    """SIGKILL to the group, then to whoever was adopted, until there is nobody; the leader's exit status."""
    _signal_group(leader, signal.SIGKILL)
    _signal(leader, signal.SIGKILL)
    _, status = os.waitpid(leader, 0)
    while orphans := _children(os.getpid()):
        for pid in orphans:
            _signal(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _reap_orphans(leader: int) -> None:
    for pid in _children(os.getpid()):
        if pid != leader:
            os.waitpid(pid, os.WNOHANG)


def _descendants(pid: int) -> list[int]:
    found = _children(pid)
    for child in found:
        found.extend(_children(child))  # the list grows while it is walked: breadth first
    return found


def _children(pid: int) -> list[int]:
    """The children of a process, of all its threads; none where the kernel does not tell."""
    folder = f"/proc/{pid}/task"
    try:
        threads = os.listdir(folder)  # noqa: PTH208  pathlib would add 8 ms to the start
    except OSError:
        return []
    return [child for thread in threads for child in _children_of_thread(f"{folder}/{thread}/children")]


def _children_of_thread(path: str) -> list[int]:
    try:
        with open(path, encoding="ascii") as listing:  # noqa: PTH123  as above
            return [int(word) for word in listing.read().split()]
    except OSError:
        return []  # the thread has ended meanwhile


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return  # it is gone, or it is a setuid program that is not ours to end


def _signal_group(leader: int, number: int) -> None:
    try:
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):
        return  # as above; a child that has not come to setsid yet has no group and is signalled by itself


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
