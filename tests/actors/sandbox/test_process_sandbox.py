"""What a command sees and what is left of it, with real processes, in both kinds of process sandbox."""

from pathlib import Path

import pytest
import trio

from actors.sandbox.errors import CommandUnusable, SandboxLost, SandboxUnavailable
from actors.sandbox.output import OUTPUT_CHARACTERS_MAX, Output
from actors.sandbox.port import SandboxKind
from actors.sandbox.process_sandbox import COMMAND_BYTES_MAX, ProcessSandbox
from tests.actors.sandbox.conftest import open_sandbox
from tests.actors.sandbox.processes import unique_seconds, wait_until_seen, who_runs

pytestmark = pytest.mark.wallclock


async def test_files_stay_from_command_to_command(sandbox: ProcessSandbox, workspace: Path) -> None:
    await sandbox.run("mkdir notes && echo kept > notes/a.txt")
    assert (workspace / "notes" / "a.txt").read_text() == "kept\n"
    assert (await sandbox.run("cat notes/a.txt")).output == "kept\n"


async def test_a_command_starts_in_the_working_folder(sandbox: ProcessSandbox) -> None:
    assert (await sandbox.run("pwd; echo $HOME")).output == f"{sandbox.working_dir}\n" * 2


async def test_no_secret_of_the_server_is_in_the_environment(
    sandbox: ProcessSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_API_KEY", "sk-very-secret")
    result = await sandbox.run("env; cat /proc/self/environ /proc/$PPID/environ /proc/1/environ 2>&1 | tr '\\0' '\\n'")
    assert "very-secret" not in result.output
    names = {line.partition("=")[0] for line in (await sandbox.run("env")).output.splitlines()}
    assert names <= {"PATH", "HOME", "LANG", "TERM", "PWD", "OLDPWD", "SHLVL", "_"}


async def test_no_descriptor_of_the_server_reaches_a_command(sandbox: ProcessSandbox, workspace: Path) -> None:
    with (workspace.parent / "events.jsonl").open("w") as log, trio.socket.socket() as listener:
        assert log.fileno() > 2
        assert listener.fileno() > 2
        result = await sandbox.run("for fd in /proc/$$/fd/*; do [ -L $fd ] && echo ${fd##*/} $(readlink $fd); done")
    descriptors = dict(line.split(" ", 1) for line in result.output.splitlines())
    assert descriptors.keys() <= {"0", "1", "2", "255"}
    assert descriptors["0"] == "/dev/null"


async def test_a_script_of_several_lines_is_one_command(sandbox: ProcessSandbox) -> None:
    assert (await sandbox.run("x=4\nif true; then\n  echo $((x + 38))\nfi")).output == "42\n"


async def test_a_writer_without_reader_ends_quietly(sandbox: ProcessSandbox) -> None:
    result = await sandbox.run("set -o pipefail; yes | head -n 1")
    assert result.output == "y\n"
    assert result.exit_code == 128 + 13


async def test_much_output_is_cut_in_the_middle(sandbox: ProcessSandbox) -> None:
    result = await sandbox.run("echo first; head -c 3000000 /dev/zero | tr '\\0' x; echo; echo last")
    assert result.truncated
    assert len(result.output) < OUTPUT_CHARACTERS_MAX + 100
    assert result.output.startswith("first\n")
    assert result.output.endswith("\nlast\n")
    assert f"\n[... {result.characters_left_out} characters left out here ...]\n" in result.output


async def test_bytes_that_are_no_text_are_replaced(sandbox: ProcessSandbox) -> None:
    assert (await sandbox.run("printf 'a\\377b'")).output == "a\ufffdb"


async def test_a_timeout_is_said_in_the_output(kind: SandboxKind, workspace: Path) -> None:
    mark = unique_seconds()
    result = await open_sandbox(kind, workspace, timeout_seconds=0.5).run(f"sleep {mark}")
    assert result.output == "[The command was ended, since it took longer than 0.5 s.]"
    assert who_runs(mark) == {}


async def test_background_children_end_with_their_shell(sandbox: ProcessSandbox) -> None:
    mark = unique_seconds()
    with trio.fail_after(20):
        result = await sandbox.run(f"sleep {mark} & (sleep {mark} &) ; setsid sleep {mark} & echo started")
    assert (result.output, result.exit_code) == ("started\n", 0)
    assert who_runs(mark) == {}


@pytest.mark.parametrize(
    "script",
    [
        "sleep {mark}",
        "sleep {mark} & sleep {mark}",
        "trap '' TERM; sleep {mark}; sleep {mark}",
        "setsid sleep {mark} & (setsid -f sleep {mark}) ; sleep {mark}",
    ],
    ids=["plain", "background", "deaf to SIGTERM", "escaping"],
)
async def test_k29_nothing_is_left_a_second_after_a_stop(sandbox: ProcessSandbox, script: str) -> None:
    mark = unique_seconds()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sandbox.run, script.format(mark=mark))
        await wait_until_seen("sleep", mark)
        stopped_at = trio.current_time()
        nursery.cancel_scope.cancel()
    assert trio.current_time() - stopped_at < 1.0
    assert who_runs(mark) == {}


async def test_k29_a_command_may_say_its_last_words(sandbox: ProcessSandbox) -> None:
    mark, output = unique_seconds(), Output()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sandbox.run, f"trap 'echo cleaned up; exit' TERM; sleep {mark}; true", output)
        await wait_until_seen("sleep", mark)
        nursery.cancel_scope.cancel()
    assert "cleaned up\n" in output.text()


async def test_a_watchdog_killed_by_others_takes_the_shell_along(sandbox: ProcessSandbox) -> None:
    mark = unique_seconds()

    async def expect_lost() -> None:
        with pytest.raises(SandboxLost):
            await sandbox.run(f"exec sleep {mark}")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(expect_lost)
        await wait_until_seen("sleep", mark)
        watchdogs = [pid for pid, arguments in who_runs(mark).items() if "watchdog.py" in arguments]
        assert len(watchdogs) == 1
        (await trio.run_process(["kill", "-9", str(watchdogs[0])])).check_returncode()
    with trio.fail_after(5):
        while who_runs(mark):
            await trio.sleep(0.01)


async def test_many_commands_at_once_do_not_mix(sandbox: ProcessSandbox) -> None:
    outputs: dict[int, str] = {}

    async def run_one(number: int) -> None:
        outputs[number] = (await sandbox.run(f"echo {number}")).output

    async with trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(run_one, number)
    assert outputs == {number: f"{number}\n" for number in range(8)}
    assert repr(sandbox) == f"<ProcessSandbox {sandbox.kind.value} running=0 started=8>"


@pytest.mark.parametrize("command", ["echo a\0b", "echo \ud800", "#" * (COMMAND_BYTES_MAX + 1)])
async def test_a_text_that_can_be_no_command_is_refused(sandbox: ProcessSandbox, command: str) -> None:
    with pytest.raises(CommandUnusable):
        await sandbox.run(command)
    assert sandbox.statistics().commands_started == 0


async def test_the_longest_command_runs(sandbox: ProcessSandbox) -> None:
    assert (await sandbox.run("true " + "#" * (COMMAND_BYTES_MAX - 5))).exit_code == 0


async def test_a_workspace_that_is_gone_is_unavailable(sandbox: ProcessSandbox, workspace: Path) -> None:
    workspace.rmdir()
    with pytest.raises(SandboxUnavailable, match="No such file"):
        await sandbox.run("true")
