"""kill -9 of the server: nothing of its commands is left, and nothing needs to run afterwards to see to
it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actors.sandbox.port import SandboxKind
from tests.actors.sandbox.processes import unique_seconds, wait_until_gone, wait_until_seen

pytestmark = pytest.mark.wallclock

SERVER = """
import sys, trio
from pathlib import Path
from actors.sandbox.choose import choose
from actors.sandbox.port import SandboxKind

async def serve(kind, folder, command):
    maker = await choose(SandboxKind(kind))
    await maker.make(Path(folder)).run(command)

trio.run(serve, *sys.argv[1:])
"""


SHORT_LIVED_THREADS = """
from trio._core import _thread_cache

assert _thread_cache.IDLE_TIMEOUT == 10  # or trio has another name for it
_thread_cache.IDLE_TIMEOUT = 0.5
"""


@contextmanager
def server_running(
    kind: SandboxKind, workspace: Path, command: str, before: str = ""
) -> Iterator[subprocess.Popen[bytes]]:
    """A process of its own that runs one sandboxed command; killed at the latest when the test is over."""
    root = str(Path(__file__).parents[3])
    process = subprocess.Popen(
        [sys.executable, "-c", before + SERVER, kind.value, str(workspace), command],
        env={**os.environ, "PYTHONPATH": root},
        stdout=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    "script",
    [
        "sleep {mark}",
        "trap '' TERM; sleep {mark} & sleep {mark}",
        "setsid sleep {mark} & (setsid -f sleep {mark}) ; sleep {mark}",
    ],
    ids=["plain", "deaf to SIGTERM", "escaping"],
)
async def test_k29_kill_9_of_the_server_leaves_no_process(kind: SandboxKind, workspace: Path, script: str) -> None:
    mark = unique_seconds()
    with server_running(kind, workspace, script.format(mark=mark)) as server:
        await wait_until_seen("sleep", mark)
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
        await wait_until_gone(mark, seconds=5.0)


async def test_a_long_command_outlives_the_thread_that_started_it(kind: SandboxKind, workspace: Path) -> None:
    """Worker threads end after ten idle seconds, here after half a one; a child of theirs would die with them."""
    with server_running(kind, workspace, "sleep 1.5; echo done > finished", SHORT_LIVED_THREADS) as server:
        assert server.wait(timeout=60) == 0
    assert (workspace / "finished").read_text() == "done\n"
