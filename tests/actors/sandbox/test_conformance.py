"""What every sandbox promises, the scripted one of the other tests included, so that it cannot drift."""

from pathlib import Path

import pytest
import trio

from actors.sandbox.errors import SandboxClosed
from actors.sandbox.output import Output
from actors.sandbox.port import EXIT_CODE_UNKNOWN, Sandbox, SandboxKind, SandboxStatistics
from tests.actors.sandbox.conftest import open_sandbox, why_no_bubblewrap
from tests.fakes.scripted_sandbox import Reply, ScriptedSandbox

pytestmark = pytest.mark.wallclock

SCRIPT = {
    "echo hello": Reply("hello\n"),
    "echo one; echo two >&2; exit 3": Reply("one\ntwo\n", 3),
    "echo begun; sleep 70": Reply("begun\n", seconds=70),
}


@pytest.fixture(params=["bubblewrap", "local", "scripted"])
def sandbox(request: pytest.FixtureRequest, workspace: Path) -> Sandbox:
    if request.param == "scripted":
        return ScriptedSandbox(dict(SCRIPT))
    if request.param == "bubblewrap" and why_no_bubblewrap():
        pytest.skip(f"bubblewrap cannot run here: {why_no_bubblewrap()}")
    return open_sandbox(SandboxKind(request.param), workspace)


async def wait_until_printed(output: Output) -> None:
    with trio.fail_after(20):
        while not output.characters:
            await trio.sleep(0.01)


async def test_output_and_exit_code(sandbox: Sandbox) -> None:
    result = await sandbox.run("echo hello")
    assert (result.output, result.exit_code, result.timed_out, result.truncated) == (
        "hello\n",
        0,
        False,
        False,
    )


async def test_both_streams_in_order_and_the_code_of_a_failure(sandbox: Sandbox) -> None:
    result = await sandbox.run("echo one; echo two >&2; exit 3")
    assert (result.output, result.exit_code) == ("one\ntwo\n", 3)


async def test_an_unknown_program_is_a_result(sandbox: Sandbox) -> None:
    result = await sandbox.run("no-such-program-here")
    assert result.exit_code == 127
    assert "no-such-program-here" in result.output


async def test_what_a_cancelled_command_printed_is_there_to_read(sandbox: Sandbox) -> None:
    output = Output()
    async with trio.open_nursery() as nursery:
        began = trio.current_time()
        nursery.start_soon(sandbox.run, "echo begun; sleep 70", output)
        await wait_until_printed(output)
        found = sandbox.statistics()
        assert found.running_since is not None
        assert found.times_out_at is not None
        assert began <= found.running_since <= trio.current_time() < found.times_out_at
        nursery.cancel_scope.cancel()
    assert output.text() == "begun\n"
    assert sandbox.statistics() == SandboxStatistics(commands_started=1, commands_running=0, closed=False)


async def test_a_command_that_takes_too_long_is_ended(sandbox: Sandbox) -> None:
    sandbox.timeout_seconds = 1.0  # type: ignore[attr-defined]  # all three have it; the port need not
    result = await sandbox.run("echo begun; sleep 70")
    assert (result.exit_code, result.timed_out) == (EXIT_CODE_UNKNOWN, True)
    assert result.output.startswith("begun\n")


async def test_closing_ends_what_runs_and_refuses_what_comes(sandbox: Sandbox) -> None:
    output = Output()

    async def expect_closed() -> None:
        with pytest.raises(SandboxClosed):
            await sandbox.run("echo begun; sleep 70", output)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(expect_closed)
        await wait_until_printed(output)
        await sandbox.close()
    with pytest.raises(SandboxClosed):
        await sandbox.run("echo hello")
    await sandbox.close()
    assert sandbox.statistics().closed
    assert sandbox.statistics().commands_started == 1
