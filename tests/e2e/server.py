"""The server as a process of its own, as its user starts it: started on a free port, killed, started again."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.servers import Server

__all__ = ["ServerProcess", "free_port"]

START_SECONDS = 15.0


class ServerProcess:
    """One data folder, one life after the other on the same port. `module` is what is run instead of the command."""

    def __init__(
        self,
        data: Path,
        environment: Mapping[str, str] | None = None,
        module: str = "transport.cli",
        host: str = "",
    ) -> None:
        self.data = data
        self.environment = dict(environment or {})
        self._module = module
        self._host = host
        self.url = ""
        self._port = 0
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        environment |= self.environment
        command = [sys.executable, "-m", self._module, "serve", "--port", str(self._port or free_port())]
        command += ["--host", self._host] if self._host else []
        with (self.data.parent / "server.log").open("a") as log:
            self._process = subprocess.Popen(
                [*command, "--data", str(self.data)], stdout=subprocess.PIPE, stderr=log, text=True, env=environment
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if " on " not in line:
            raise AssertionError(f"the server did not start: {line} {(self.data.parent / 'server.log').read_text()}")
        self.url = line.rpartition(" on ")[2].strip()
        self._port = urlsplit(self.url).port or 0

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        return self._end(signal.SIGTERM)

    def send(self, number: signal.Signals) -> None:
        """Send it, and wait for nothing."""
        assert self._process is not None
        self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(number)
        status = process.wait(30)
        assert process.stdout is not None
        process.stdout.close()
        return status

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def cpu_seconds(self) -> float:
        """User and system time of the server so far."""
        assert self._process is not None
        used = Server("it", self.url, self._process.pid).cpu_seconds()
        assert used is not None
        return used

    def memory_bytes(self) -> int:
        """Resident at this moment."""
        return self._status_bytes("VmRSS")

    def peak_memory_bytes(self) -> int:
        """The most that was resident since the start, or since `forget_peak`."""
        return self._status_bytes("VmHWM")

    def forget_peak(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")  # see proc(5)

    def _status_bytes(self, name: str) -> int:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        [found] = [line for line in lines if line.startswith(f"{name}:")]
        return int(found.split()[1]) * 1024

    def log(self) -> str:
        """What it has written to stderr, in all of its lives."""
        return (self.data.parent / "server.log").read_text()

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON answer; raises `urllib.error.HTTPError` for a status of 400 and above."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        if "SESSION_API_KEY" in self.environment:
            headers["X-Session-API-Key"] = self.environment["SESSION_API_KEY"]
        request = urllib.request.Request(self.url + path, data, headers, method=method)  # noqa: S310 - our own server
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - as above
            return json.load(answer)

    def create(self, first_message: str | None = None) -> str:
        body = {} if first_message is None else {"initial_user_msg": first_message}
        return str(self.request("POST", "/api/conversations", body)["conversation_id"])

    def events(self, conversation_id: str, start: int = 0) -> list[dict[str, Any]]:
        """Every event from this id on, page by page."""
        found: list[dict[str, Any]] = []
        more = True
        while more:
            path = f"/api/conversations/{conversation_id}/events?limit=100&start_id={start + len(found)}"
            page = self.request("GET", path)
            found += page["events"]
            more = page["has_more"]
        return found

    def wait_for(self, conversation_id: str, observation: str, seconds: float = 10.0) -> dict[str, Any]:
        """The first event with this observation, waited for."""
        return self.wait_until(conversation_id, lambda event: event.get("observation") == observation, seconds)

    def wait_until(
        self, conversation_id: str, wanted: Callable[[dict[str, Any]], bool], seconds: float = 10.0
    ) -> dict[str, Any]:
        """The first event that is wanted, waited for."""
        deadline, seen = time.monotonic() + seconds, 0
        while time.monotonic() < deadline:
            # Each is looked at once: asking for all of them again would keep the server from what is waited for.
            for event in self.events(conversation_id, seen):
                seen = event["id"] + 1
                if wanted(event):
                    return event
            time.sleep(0.05)
        raise AssertionError(f"it did not come within {seconds} s: {self.events(conversation_id)}")


def free_port() -> int:
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
