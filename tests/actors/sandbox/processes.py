"""Looking for processes from outside, by a number in their arguments that occurs nowhere else on the
machine."""

import itertools
import os
import secrets
from pathlib import Path

import trio

__all__ = ["unique_seconds", "wait_until_gone", "wait_until_seen", "who_runs"]

_counter = itertools.count(1)


def unique_seconds() -> str:
    """An argument for `sleep`, over a minute long, that marks every process which was given it."""
    return f"77.{os.getpid()}{next(_counter)}{secrets.randbelow(10**9):09}"


def who_runs(mark: str) -> dict[int, str]:
    """Every process with `mark` in its arguments, the watchdog and the wrapper included; zombies have
    none."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            arguments = _arguments_of(folder)
            if mark in arguments:
                found[int(folder.name)] = arguments
    return found


def _arguments_of(folder: Path) -> str:
    try:
        return (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""  # it has ended meanwhile


async def wait_until_seen(program: str, mark: str) -> None:
    """Until a process that *is* `program`, and no mere wrapper around it, runs with the mark."""
    with trio.fail_after(20):
        while not any(arguments.startswith(program) for arguments in who_runs(mark).values()):
            await trio.sleep(0.01)


async def wait_until_gone(mark: str, *, seconds: float) -> None:
    with trio.move_on_after(seconds):
        while who_runs(mark):
            await trio.sleep(0.01)
    assert who_runs(mark) == {}
