"""The command line as a user meets it: one line and an exit status."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.transport.cli.command import run

pytestmark = pytest.mark.wallclock


def _assert_one_line(result: subprocess.CompletedProcess[str], status: int, says: str) -> None:
    assert result.returncode == status
    assert result.stderr.startswith("greenroom: ")
    assert result.stderr.count("\n") == 1
    assert says in result.stderr


@pytest.mark.parametrize("arguments", [(), ("dance",), ("serve", "--colour", "red")])
def test_how_it_was_called_is_status_2(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert "usage: greenroom" in result.stderr


def test_a_bad_value_is_named_with_its_source(tmp_path: Path) -> None:
    _assert_one_line(run("serve", "--port", "http"), 1, "flag --port: 'http' must be a whole number")
    _assert_one_line(run("serve", SANDBOX_TIMEOUT="soon"), 1, "environment SANDBOX_TIMEOUT")
    file = tmp_path / "green.toml"
    file.write_text("[sandbox]\ntimeout = -1\n")
    _assert_one_line(run("serve", "--config", str(file)), 1, f"file {file} [sandbox] timeout")
    file.write_text("= no toml")
    _assert_one_line(run("serve", "--config", str(file)), 1, f"file {file} is not TOML")
    missing = tmp_path / "none.toml"
    _assert_one_line(run("serve", "--config", str(missing)), 1, f"flag --config: '{missing}' cannot be read: No such")
    _assert_one_line(run("serve", FILE_STORE_PATH="~nosuch/x"), 1, "environment FILE_STORE_PATH: '~nosuch/x' lies in")


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = run("serve", "--port", port, "--data", str(tmp_path))
        _assert_one_line(result, 1, f"cannot listen on 127.0.0.1 port {port}: Address already in use")


def test_what_is_told_at_the_start_can_be_typed(tmp_path: Path) -> None:
    """By whoever has a program that is not on the PATH, as `make run` leaves it."""
    program = Path(sys.executable).with_name("greenroom")
    command = [str(program), "serve", "--port", "0", "--data", str(tmp_path)]
    with subprocess.Popen(command, env={"PATH": os.defpath}, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().split()[-1]
            talk = server.stdout.readline().strip().partition(" or ")[2]
            assert talk == f"{program} chat --url {url}"
            chat = subprocess.run(
                talk.split(), input="/note here\n", capture_output=True, text=True, timeout=30, check=True
            )
        finally:
            server.terminate()
    assert "user: /note here" in chat.stdout


def test_off_loopback_the_door_is_shut_unless_told_otherwise(tmp_path: Path) -> None:
    everywhere = ("serve", "--host", "0.0.0.0", "--data", str(tmp_path))  # noqa: S104
    _assert_one_line(run(*everywhere), 1, "flag --host: '0.0.0.0' lets others reach this server")
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))  # noqa: S104
        taken.listen()
        port = str(taken.getsockname()[1])
        # The door is not what these fail at.
        _assert_one_line(run(*everywhere, "--port", port, "--insecure"), 1, "use")
        _assert_one_line(run(*everywhere, "--port", port, SESSION_API_KEY="k"), 1, "use")


def test_a_data_folder_that_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    _assert_one_line(run("serve", "--port", "0", "--data", str(file)), 1, f"{file} is no folder")
    below = file / "data"
    _assert_one_line(run("serve", "--port", "0", "--data", str(below)), 1, f"{below}: Not a directory")
