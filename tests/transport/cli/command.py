"""The command as a process: piped, or on a terminal of its own; and a data folder with a conversation in it."""

import os
import pty
import subprocess
import sys
from pathlib import Path

from actors.domain import events as e
from actors.domain.codec import encode
from storage.layout import FORMAT_BYTES
from storage.record import encode_batch

__all__ = ["events_of", "on_terminal", "run", "write_conversation"]

NOW = "2026-11-24T10:00:00.000000Z"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Piped, with nothing to read."""
    command = [sys.executable, "-m", "transport.cli", *arguments]
    return subprocess.run(command, input="", env=environment, capture_output=True, text=True, timeout=60, check=False)


def on_terminal(*arguments: str, typed: str = "") -> tuple[int, str]:
    """Exit status, and all that the terminal showed; `typed` is typed ahead."""
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "transport.cli", *arguments]
    environment = {"TERM": "xterm", "PATH": os.environ["PATH"]}
    process = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, env=environment)
    os.close(follower)
    os.write(leader, typed.encode())
    shown = b""
    try:
        while piece := os.read(leader, 65536):
            shown += piece
    except OSError:
        pass  # how a terminal says that nobody is left at its other end
    os.close(leader)
    return process.wait(60), shown.decode()


def events_of(count: int) -> list[bytes]:
    """A conversation's first events: created, and notes that nobody answers."""
    bodies: list[e.Body] = [e.ConversationCreated(), *(e.MessageAction(f"/note {n}") for n in range(1, count))]
    sources = [e.Source.ENVIRONMENT, *[e.Source.USER] * (count - 1)]
    pairs = enumerate(zip(sources, bodies, strict=True))
    return [encode(e.Event(number, NOW, source, body)) for number, (source, body) in pairs]


def write_conversation(data: Path, conversation_id: str, count: int = 10) -> Path:
    """A data folder with this conversation in it; where its log is."""
    folder = data / "conversations" / conversation_id
    (folder / "files").mkdir(parents=True)
    (data / "format.json").write_bytes(FORMAT_BYTES)
    log = folder / "events.jsonl"
    log.write_bytes(b"".join(line for n, event in enumerate(events_of(count)) for line in encode_batch(n, 1, [event])))
    return log
