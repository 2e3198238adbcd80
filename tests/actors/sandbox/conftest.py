"""The sandboxes of this machine, for suites that hold for each of them."""

from functools import cache
from pathlib import Path

import pytest
import trio

from actors.sandbox.bubblewrap import bubblewrap, bubblewrap_trouble
from actors.sandbox.local_process import local_process
from actors.sandbox.port import SandboxKind
from actors.sandbox.process_sandbox import ProcessSandbox


@cache
def why_no_bubblewrap() -> str:
    return trio.run(bubblewrap_trouble)


@pytest.fixture(params=[SandboxKind.BUBBLEWRAP, SandboxKind.LOCAL], ids=lambda kind: kind.value)
def kind(request: pytest.FixtureRequest) -> SandboxKind:
    """Both kinds of process sandbox, bubblewrap only where it can run."""
    wanted = SandboxKind(request.param)
    if wanted is SandboxKind.BUBBLEWRAP and why_no_bubblewrap():
        pytest.skip(f"bubblewrap cannot run here: {why_no_bubblewrap()}")
    return wanted


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "conversations" / "c1" / "files"
    folder.mkdir(parents=True)
    return folder


def open_sandbox(kind: SandboxKind, workspace: Path, *, timeout_seconds: float = 30.0) -> ProcessSandbox:
    if kind is SandboxKind.BUBBLEWRAP:
        return bubblewrap(workspace, timeout_seconds=timeout_seconds)
    return local_process(workspace, timeout_seconds=timeout_seconds)


@pytest.fixture
def sandbox(kind: SandboxKind, workspace: Path) -> ProcessSandbox:
    return open_sandbox(kind, workspace)
