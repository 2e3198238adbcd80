"""What understudy understands: from the text of a message to one directive. Pure.

What lives here: the grammar, its limits and the sentences that explain it; `docs/understudy.md` shows it to
users, and the demo, the bench and the fault kit build on it. What must not: performing. Every text is a
directive, and a malformed one is the directive to explain, never an exception, since anybody may write
anything.
"""

import re
from collections.abc import Callable
from typing import TypeAlias

import attrs

__all__ = [
    "BURST_BYTES_MAX",
    "BURST_MESSAGES_MAX",
    "BURST_MESSAGE_BYTES_DEFAULT",
    "BURST_MESSAGE_BYTES_MAX",
    "SLEEP_SECONDS_MAX",
    "Burst",
    "Crash",
    "Directive",
    "Explain",
    "Fail",
    "FinishTask",
    "Note",
    "Repeat",
    "RunCommand",
    "Sleep",
    "Stream",
    "ThinkAloud",
    "parse",
]

SLEEP_SECONDS_MAX = 3600.0
"""An hour: longer than any deadline that a test waits for, shorter than a conversation forgotten for a
weekend."""

BURST_MESSAGES_MAX = 100_000
"""Ten times the history that clients are promised to get whole."""

BURST_MESSAGE_BYTES_DEFAULT = 64
"""The size of a short sentence."""

BURST_MESSAGE_BYTES_MAX = 256 * 1024
"""A quarter of what a Socket.IO client takes in one message by default (1,000,000 bytes)."""

BURST_BYTES_MAX = 64 * 1024 * 1024
"""What one message may add to a log, so that a typing error does not fill the disk."""


@attrs.frozen
class RunCommand:
    """`$ script`: run it in the workspace."""

    command: str


@attrs.frozen
class Note:
    """`/note text`: stored and echoed, no run."""

    text: str


@attrs.frozen
class FinishTask:
    """`/finish text`: declare the task done."""

    text: str


@attrs.frozen
class ThinkAloud:
    """`/think text`: a thought, kept."""

    text: str


@attrs.frozen
class Sleep:
    """`/sleep seconds`: do nothing for a while, busily."""

    seconds: float


@attrs.frozen
class Burst:
    """`/burst n [bytes]`: this many agent messages of this many bytes each."""

    messages: int
    message_bytes: int


@attrs.frozen
class Stream:
    """`/stream text`: say it word by word."""

    text: str


@attrs.frozen
class Fail:
    """`/error text`: report an error and fail."""

    text: str


@attrs.frozen
class Crash:
    """`/crash`: raise an exception in the run."""


@attrs.frozen
class Repeat:
    """Anything else: say it back, letter for letter."""

    text: str


@attrs.frozen
class Explain:
    """A directive that cannot be followed; `text` says how it is written."""

    text: str


Directive: TypeAlias = (
    RunCommand | Note | FinishTask | ThinkAloud | Sleep | Burst | Stream | Fail | Crash | Repeat | Explain
)

_WORD = re.compile(r"(\$|/[a-z]+)(?:\s+(.*))?", re.DOTALL)
_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_BURST = re.compile(r"([0-9]{1,9})(?:\s+([0-9]{1,9}))?")

_BURST_GRAMMAR = (
    f"Write `/burst n [bytes]`: 1 to {BURST_MESSAGES_MAX} messages of 1 to {BURST_MESSAGE_BYTES_MAX} bytes each, "
    f"{BURST_BYTES_MAX} bytes together at most."
)


def parse(content: str) -> Directive:
    """The directive that a message is; any text is one. White space around it does not count."""
    match = _WORD.fullmatch(content.strip())
    if match is None or match[1] not in _PARSERS:
        return Repeat(content)
    return _PARSERS[match[1]](match[2] or "")


def _run_command(rest: str) -> Directive:
    return RunCommand(rest) if rest else Explain("Write `$ command`: a shell script of one line or several.")


def _sleep(rest: str) -> Directive:
    if not _SECONDS.fullmatch(rest) or float(rest) > SLEEP_SECONDS_MAX:
        return Explain(f"Write `/sleep seconds`: a number from 0 to {SLEEP_SECONDS_MAX:g}, such as 2 or 0.5.")
    return Sleep(float(rest))


def _burst(rest: str) -> Directive:
    match = _BURST.fullmatch(rest)
    if match is None:
        return Explain(_BURST_GRAMMAR)
    burst = Burst(int(match[1]), int(match[2] or BURST_MESSAGE_BYTES_DEFAULT))
    return burst if _is_within_limits(burst) else Explain(_BURST_GRAMMAR)


def _is_within_limits(burst: Burst) -> bool:
    return (
        1 <= burst.messages <= BURST_MESSAGES_MAX
        and 1 <= burst.message_bytes <= BURST_MESSAGE_BYTES_MAX
        and burst.messages * burst.message_bytes <= BURST_BYTES_MAX
    )


def _stream(rest: str) -> Directive:
    return Stream(rest) if rest else Explain("Write `/stream text`: what is to be said, word by word.")


def _crash(rest: str) -> Directive:
    return Explain("Write `/crash` and nothing behind it.") if rest else Crash()


_PARSERS: dict[str, Callable[[str], Directive]] = {
    "$": _run_command,
    "/note": Note,
    "/finish": FinishTask,
    "/think": ThinkAloud,
    "/sleep": _sleep,
    "/burst": _burst,
    "/stream": _stream,
    "/error": Fail,
    "/crash": _crash,
}
