"""The echo example as a process of its own, as its user starts it: on a free port, stopped, started again."""

import queue
import signal
import subprocess
import sys
import threading

__all__ = ["EchoProcess"]


class EchoProcess:
    """`left` are the lines that it prints about who has left, in order."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self._process: subprocess.Popen[str] | None = None
        self._reader = threading.Thread()
        self.port = 0
        self.left: queue.Queue[str] = queue.Queue()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "examples.echo", "--port", str(self.port), *self._options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith("echo on http://127.0.0.1:"), line
        self.port = int(line.rpartition(":")[2])
        self._reader = threading.Thread(target=self._read, args=(self._process,))
        self._reader.start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self.left.put(line.strip().removeprefix("left "))

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """The exit status."""
        assert self._process is not None
        self._process.send_signal(number)
        status = self._process.wait(30)
        self._reader.join()
        return status
