"""What a machine may lack: without it a test is skipped and says so, but never in CI, which installs it (`.ci/run`)."""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

__all__ = ["NPMS_CLIENT", "lacking", "need_npms_client"]

NPMS_CLIENT = Path(__file__).parent / "e2e" / "node"


def lacking(what: str) -> NoReturn:
    """End the test that cannot be done here; `what` says what to install."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing; .ci/run installs it")
    pytest.skip(f"needs {what}")


def need_npms_client() -> None:
    """Whoever runs `node client.mjs` in `NPMS_CLIENT` asks for it first."""
    if shutil.which("node") is None or not (NPMS_CLIENT / "node_modules").exists():
        lacking("Node.js, and npm ci in tests/e2e/node")
