"""What is not there for a command in bubblewrap: the data folder, homes, other processes, a way to more
rights."""

from pathlib import Path

import pytest

from actors.sandbox.bubblewrap import bubblewrap, bubblewrap_trouble
from actors.sandbox.errors import SandboxUnavailable
from actors.sandbox.process_sandbox import ProcessSandbox
from tests.actors.sandbox.conftest import why_no_bubblewrap


@pytest.fixture
def sandbox(workspace: Path) -> ProcessSandbox:
    if why_no_bubblewrap():
        pytest.skip(f"bubblewrap cannot run here: {why_no_bubblewrap()}")
    return bubblewrap(workspace, timeout_seconds=30)


@pytest.mark.wallclock
async def test_the_data_folder_is_not_there(sandbox: ProcessSandbox, workspace: Path) -> None:
    log = workspace.parent / "events.jsonl"
    log.write_text("the log")
    result = await sandbox.run(f"cat {log}; ls ..; ls {workspace.parents[2]}")
    assert "the log" not in result.output
    assert "events.jsonl" not in result.output.replace(f"cat: {log}: No such file or directory", "")


@pytest.mark.wallclock
@pytest.mark.parametrize("folder", ["/root", "/home", str(Path.home())])
async def test_homes_are_not_there(sandbox: ProcessSandbox, folder: str) -> None:
    assert (await sandbox.run(f"ls -A {folder} 2>/dev/null")).output == ""


@pytest.mark.wallclock
@pytest.mark.parametrize("folder", ["/", "/etc", "/usr", "/usr/bin"])
async def test_the_system_is_read_only(sandbox: ProcessSandbox, folder: str) -> None:
    result = await sandbox.run(f"mktemp -p {folder} && rm {folder}/tmp.*")
    assert "Read-only file system" in result.output


@pytest.mark.wallclock
@pytest.mark.parametrize("setting", ["kernel/hostname", "kernel/core_pattern", "vm/drop_caches"])
async def test_the_settings_of_the_kernel_are_read_only(sandbox: ProcessSandbox, setting: str) -> None:
    """Opened for writing and nothing written: a sandbox that fails this test must not change the machine."""
    result = await sandbox.run(f"exec 3>> /proc/sys/{setting}")
    assert result.exit_code != 0
    mounts = await sandbox.run("grep ' /proc/sys ' /proc/mounts")
    assert mounts.output.split()[3].startswith("ro,")


@pytest.mark.wallclock
async def test_tmp_is_private(sandbox: ProcessSandbox, tmp_path: Path) -> None:
    result = await sandbox.run(f"ls {tmp_path.parent}; ls -A /tmp; echo x > /tmp/x && cat /var/tmp/x")
    assert result.output.splitlines()[-1] == "x"
    assert len(result.output.splitlines()) == 2  # `ls` found no such folder, and /tmp was empty


@pytest.mark.wallclock
async def test_no_process_of_the_server_is_to_be_seen(sandbox: ProcessSandbox) -> None:
    result = await sandbox.run("cat /proc/[0-9]*/comm | sort -u")
    assert set(result.output.split()) <= {"bwrap", "bash", "sh", "cat", "sort"}


@pytest.mark.wallclock
async def test_there_is_no_way_to_more_rights(sandbox: ProcessSandbox) -> None:
    status = dict(line.split(":\t") for line in (await sandbox.run("cat /proc/self/status")).output.splitlines())
    assert status["NoNewPrivs"] == "1"
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0


@pytest.mark.wallclock
async def test_own_paths_within_system_folders_are_masked(workspace: Path) -> None:
    """Stand-ins that exist on every machine: a folder, one in it, and a file, which all would show otherwise."""
    if why_no_bubblewrap():
        pytest.skip(f"bubblewrap cannot run here: {why_no_bubblewrap()}")
    hidden = (Path("/etc/passwd"), Path("/usr/share/dpkg"), Path("/usr/share"), Path("/etc/no-such-file"))
    sandbox = bubblewrap(workspace, timeout_seconds=30, hidden_paths=hidden)
    assert (await sandbox.run("ls -A /usr/share")).output == ""
    assert "root:" not in (await sandbox.run("cat /etc/passwd")).output


@pytest.mark.wallclock
async def test_what_only_root_reads_is_masked(sandbox: ProcessSandbox) -> None:
    result = await sandbox.run("ls -A /etc/ssh 2>/dev/null; cat /etc/shadow /etc/gshadow 2>/dev/null")
    assert result.output == ""


@pytest.mark.wallclock
async def test_names_of_hosts_can_be_resolved_as_outside(sandbox: ProcessSandbox) -> None:
    assert "127.0.0.1" in (await sandbox.run("cat /etc/hosts")).output
    if Path("/etc/resolv.conf").is_file():
        assert (await sandbox.run("cat /etc/resolv.conf")).exit_code == 0


async def test_without_the_program_there_is_no_sandbox(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxUnavailable, match="not installed"):
        bubblewrap(workspace, timeout_seconds=1)
    assert "not installed" in await bubblewrap_trouble()
