"""`greenroom verify`: everything is read, nothing is changed, and what is wrong is told with its place.

What lives here: the command, its progress bar, and its two forms, words and JSON. What must not: what is looked for
(`storage.verify`, `storage.surroundings`). It takes no lock and works beside a running server.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import attrs
import click
import orjson

from actors.agent.understudy import Understudy
from actors.conversation.witness import Replayed
from storage import verify as verifying
from storage.disk import Disk
from storage.errors import ConversationNotFound
from storage.findings import Finding
from storage.layout import CONVERSATIONS, LOG, QUARANTINE, TRASH
from storage.surroundings import Kept, look_around, put_aside
from storage.verify import Checked
from transport.cli.folder import open_folder
from transport.cli.told import advice, sentence
from transport.cli.words import count, size

__all__ = ["verify"]

PAUSE_SECONDS = 1.0
"""After which a write that was under way has gone on, or has ended, on a disk that works at all."""

ALL_GOOD, DAMAGE_FOUND = 0, 1
"""Exit statuses; 2 is said of whatever keeps the command from running."""


@attrs.frozen
class _Report:
    """`conversations` and `findings` hold everything, what is fine and what is not."""

    data: str
    conversations: Sequence[Checked]
    findings: Sequence[Finding]
    quarantine: Sequence[Kept]
    trash: Sequence[Kept]
    seconds: float

    @property
    def damaged(self) -> int:
        """How many conversations and other files are damaged."""
        others = [finding for finding in self.findings if finding.conversation_id is None and finding.code.is_damage]
        return sum(checked.is_damaged for checked in self.conversations) + len(others)


def verify(arguments: argparse.Namespace) -> int:
    """The exit status. Raises `StorageError`, `ConfigError`, `OSError`."""
    report = _look(open_folder(arguments), arguments.conversations)
    print(orjson.dumps(_as_json(report)).decode() if arguments.json else "\n".join(_as_words(report)))
    return DAMAGE_FOUND if report.damaged else ALL_GOOD


def _look(disk: Disk, named: Sequence[str]) -> _Report:
    began, there = time.monotonic(), verifying.conversations_of(disk)
    for name in named:
        if name not in there:
            raise ConversationNotFound(f"there is no conversation {name}")
    chosen = named or there
    with _progress(_bytes_of(disk, chosen)) as told:
        checked = list(verifying.verify(disk, chosen, _witness, told=told, pause=_pause))
    around = [] if named else list(look_around(disk))
    findings = [finding for one in checked for finding in one.findings]
    return _Report(
        str(disk.real_path("")),
        checked,
        (*around, *findings),
        put_aside(disk, QUARANTINE),
        put_aside(disk, TRASH),
        time.monotonic() - began,
    )


def _witness() -> Replayed:
    return Replayed(Understudy().answers)


def _pause() -> None:
    time.sleep(PAUSE_SECONDS)


def _bytes_of(disk: Disk, conversation_ids: Sequence[str]) -> int:
    paths = (f"{CONVERSATIONS}/{conversation_id}/{LOG}" for conversation_id in conversation_ids)
    return sum(disk.size(path) for path in paths if disk.exists(path))


@contextmanager
def _progress(total_bytes: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, and nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with click.progressbar(length=total_bytes, label="verifying", file=sys.stderr) as bar:
        yield bar.update


def _as_words(report: _Report) -> Iterator[str]:
    for finding in report.findings:
        yield sentence(finding)
        if text := advice(finding):
            yield f"    {text}"
    if report.quarantine:
        kept_bytes = sum(kept.size_bytes for kept in report.quarantine)
        yield f"{QUARANTINE}/: {count(len(report.quarantine), 'file')} kept aside, {size(kept_bytes)}"
    if report.trash:
        yield f"{TRASH}/: {count(len(report.trash), 'deleted conversation')} on the way out"
    events = sum(checked.events for checked in report.conversations)
    bytes_read = sum(checked.size_bytes for checked in report.conversations)
    yield (
        f"{count(len(report.conversations), 'conversation')}, {count(events, 'event')}, {size(bytes_read)}, "
        f"{report.seconds:.1f} s: {f'{report.damaged} damaged' if report.damaged else 'all good'}"
    )


def _as_json(report: _Report) -> dict[str, Any]:
    told = [
        {
            "conversation_id": checked.conversation_id,
            "damaged": checked.is_damaged,
            "events": checked.events,
            "bytes": checked.size_bytes,
            "unknown_events": checked.unknown_events,
        }
        for checked in report.conversations
    ]
    return {
        "data": report.data,
        "damaged": report.damaged,
        "conversations": told,
        "findings": [attrs.asdict(finding) | {"damage": finding.code.is_damage} for finding in report.findings],
        "quarantine": [attrs.asdict(kept) for kept in report.quarantine],
        "trash": [attrs.asdict(kept) for kept in report.trash],
    }
