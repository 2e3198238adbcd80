"""The kind of sandbox is decided once, by trying, and a sandbox that does not confine says so."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from actors.sandbox.choose import DEFAULT_TIMEOUT_SECONDS, choose
from actors.sandbox.errors import SandboxUnavailable
from actors.sandbox.local_process import LOCAL_WARNING
from actors.sandbox.port import SandboxKind
from tests.actors.sandbox.conftest import why_no_bubblewrap

pytestmark = pytest.mark.wallclock

BROKEN_BUBBLEWRAP = "#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n"


@pytest.fixture
def broken_bubblewrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bwrap that is installed and refused its namespaces, as in most containers."""
    program = tmp_path / "bin" / "bwrap"
    program.parent.mkdir()
    program.write_text(BROKEN_BUBBLEWRAP)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")


async def test_bubblewrap_is_chosen_where_it_works(workspace: Path) -> None:
    if why_no_bubblewrap():
        pytest.skip(f"bubblewrap cannot run here: {why_no_bubblewrap()}")
    with capture_logs() as logs:
        maker = await choose()
    assert (maker.kind, maker.warning, logs) == (SandboxKind.BUBBLEWRAP, "", [])
    sandbox = maker.make(workspace)
    assert (sandbox.kind, sandbox.timeout_seconds) == (SandboxKind.BUBBLEWRAP, DEFAULT_TIMEOUT_SECONDS)
    assert (await sandbox.run("pwd")).output == "/workspace\n"


@pytest.mark.usefixtures("broken_bubblewrap")
async def test_plain_processes_come_with_a_warning_and_the_reason(workspace: Path) -> None:
    with capture_logs() as logs:
        maker = await choose(timeout_seconds=7)
    assert (maker.kind, maker.warning) == (SandboxKind.LOCAL, LOCAL_WARNING)
    assert [(line["log_level"], line["event"], line["bubblewrap"]) for line in logs] == [
        ("warning", "sandbox_does_not_confine", "bwrap: No permissions to create new namespace")
    ]
    sandbox = maker.make(workspace)
    assert (sandbox.kind, sandbox.warning, sandbox.timeout_seconds) == (SandboxKind.LOCAL, LOCAL_WARNING, 7)


@pytest.mark.usefixtures("broken_bubblewrap")
async def test_bubblewrap_asked_for_by_name_is_never_replaced() -> None:
    with pytest.raises(SandboxUnavailable, match="No permissions"):
        await choose(SandboxKind.BUBBLEWRAP)


async def test_local_asked_for_by_name_warns_too() -> None:
    with capture_logs() as logs:
        maker = await choose(SandboxKind.LOCAL)
    assert maker.kind is SandboxKind.LOCAL
    assert logs[0]["bubblewrap"] == "not asked for"
