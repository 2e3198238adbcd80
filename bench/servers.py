"""Servers as processes: ours and the peers, started for the bench and ended with it, or one that is there already."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import attrs

__all__ = ["Server", "ServerError", "greenroom", "python_socketio"]

STOP_SECONDS_MAX = 30.0
"""Our own drain takes at most 25 s (K35)."""

REQUEST_SECONDS_MAX = 30.0


class ServerError(Exception):
    """A server could not be started or asked; the text says which."""


@attrs.frozen
class Server:
    """`pid` is None for a server on another machine: then nothing is said about its CPU time.

    `has_conversations` tells whether a client needs one to join; the echo peers need none.
    """

    name: str
    url: str
    pid: int | None = None
    has_conversations: bool = True

    def cpu_seconds(self) -> float | None:
        """User and system time so far, all threads, in seconds; resolution is the kernel's tick, 10 ms."""
        if self.pid is None:
            return None
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100  # utime and stime, see proc(5)

    def memory_bytes(self) -> int:
        """Resident, all of the process. Raises `ServerError` where that cannot be read."""
        if self.pid is None:
            raise ServerError(f"{self.name}: the memory of a process elsewhere is not known")
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE")

    def create_conversation(self) -> str:
        """Raises `ServerError`."""
        try:
            answer = self.request("POST", "/api/conversations", {})
        except ServerError as failure:
            raise ServerError(f"no conversation: {failure}") from failure
        match answer:
            case {"conversation_id": str(conversation_id)}:
                return conversation_id
        raise ServerError(f"{self.name}: no conversation: {answer}")

    def request(self, method: str, path: str, body: object = None) -> object:
        """The JSON answer of its REST API. Raises `ServerError`."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)  # noqa: S310 - the operator's
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_SECONDS_MAX) as answer:  # noqa: S310 - as above
                found: object = json.load(answer)
                return found
        except (OSError, ValueError) as failure:
            raise ServerError(f"{self.name}: {method} {path}: {failure}") from failure


@contextmanager
def greenroom(data: Path, *options: str, settings: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Our server, with its data in this folder and the default durability, open to us: no key, and no limit of rate or
    of connections, which one address that is a crowd would meet. `settings` are further variables."""
    command = [sys.executable, "-m", "transport.cli", "serve", "--port", "0", "--data", str(data), *options]
    open_door = {"SESSION_API_KEY": "", "GREENROOM_RATE_LIMIT": "0", "GREENROOM_CONNECTIONS_PER_ADDRESS": "1000000"}
    environment = {**os.environ, **open_door, **(settings or {})}
    with _process("greenroom", command, data.with_suffix(".log"), environment) as server:
        yield server


@contextmanager
def python_socketio(log: Path, *options: str) -> Iterator[Server]:
    """The echo peer; with `--to-all` everybody who is connected is told."""
    command = [sys.executable, "-m", "bench.peers.python_socketio_echo", *options]
    with _process("python-socketio", command, log) as server:
        yield attrs.evolve(server, has_conversations=False)


@contextmanager
def _process(
    name: str, command: list[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """The program's first line ends with ` on URL`."""
    with log.open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
    with process:
        try:
            assert process.stdout is not None  # noqa: S101 - it is a pipe; tells mypy
            url = process.stdout.readline().rpartition(" on ")[2].strip()
            if not url.startswith("http"):
                raise ServerError(f"{name} did not start: {log.read_text()[-500:]}")
            yield Server(name, url, process.pid)
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
