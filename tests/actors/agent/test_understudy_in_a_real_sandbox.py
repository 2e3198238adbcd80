"""Stop during a command, with a real one: the processes are gone, and what they printed is kept (K29, K30)."""

from pathlib import Path

import pytest
import trio

from actors.agent.hands import SandboxHands
from actors.agent.understudy import Understudy
from actors.domain.events import RunObservation
from actors.sandbox.choose import choose
from tests.actors.sandbox.processes import unique_seconds, wait_until_seen, who_runs
from tests.fakes.recorder import ListRecorder

pytestmark = pytest.mark.wallclock


async def test_k29_a_stopped_run_leaves_its_output_and_no_process(tmp_path: Path) -> None:
    mark = unique_seconds()
    recorder = ListRecorder.of(f"$ echo $((40+2)); sleep {mark}")
    sandbox = (await choose()).make(tmp_path)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Understudy().run, (0,), recorder, SandboxHands(recorder, sandbox))
        await wait_until_seen("sleep", mark)
        nursery.cancel_scope.cancel()
    assert who_runs(mark) == {}
    ending = recorder.ending_of(1)
    assert isinstance(ending, RunObservation)
    assert ending.content.startswith("42\n")
    assert ending.content.endswith("[The command was stopped before its end.]")
    assert ending.metadata.exit_code == -1
