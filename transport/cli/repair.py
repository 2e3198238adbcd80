"""`greenroom repair`: what would be lost is shown, somebody says yes, and the log is cut before its damage.

What lives here: the command, its question, and its two ways: on a folder whose server is stopped, or through the
server that runs on it. What must not: what a repair is (`actors.conversation.mending`, `storage.repair`).
"""

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import attrs

from actors.conversation.mending import make_plan, mend
from actors.conversation.surroundings import utc_now
from storage.committer import Durability
from storage.disk import Disk, Held
from storage.errors import ConversationNotFound, NothingToRepair, StorageError, StoreLocked
from storage.layout import LOCK
from storage.past import note_of
from storage.verify import conversations_of
from transport.cli.folder import open_folder
from transport.cli.server import ServerError, WrongKey, address, ask_server, key_headers
from transport.cli.told import plan_lines
from transport.cli.words import count

__all__ = ["repair"]

DONE, LEFT_AS_IT_WAS = 0, 1
"""Exit statuses; 2 is said of whatever keeps the command from running."""

REPAIR_TIMEOUT_SECONDS = 600.0
"""A log of gigabytes is read, copied and read again."""

_SERVER_RUNS = """a server runs on this folder, and only it may change a log of its own; have it do so:
greenroom repair {conversation_id} --url http://ADDRESS:PORT"""


class _Mender(Protocol):
    """Either way of repairing. Both raise `NothingToRepair`, `StorageError` and `OSError`."""

    def plan(self) -> dict[str, Any]:
        """See `actors.conversation.mending.RepairPlan.told`."""

    def repair(self) -> None:
        """Do what was planned last."""


def repair(arguments: argparse.Namespace) -> int:
    """The exit status. Raises `StorageError`, `ConfigError`, `OSError`."""
    with _mender(arguments) as mender:
        try:
            plan = mender.plan()
        except NothingToRepair as whole:
            print(f"{arguments.conversation}: {whole}")
            return DONE
        print("\n".join(plan_lines(plan)), flush=True)
        if not arguments.yes and not _is_wanted():
            print(f"{arguments.conversation} is left as it was")
            return LEFT_AS_IT_WAS
        mender.repair()
    print(f"repaired: {arguments.conversation} keeps {count(plan['keep_events'], 'event')} and goes on")
    return DONE


def _is_wanted() -> bool:
    if not sys.stdin.isatty():
        raise StorageError("nobody is there to say yes: --yes says it beforehand")
    print("Cut it there? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


@contextmanager
def _mender(arguments: argparse.Namespace) -> Iterator[_Mender]:
    if arguments.url is not None:
        headers = key_headers(arguments.key or os.environ.get("SESSION_API_KEY"))
        yield _Remote(address(arguments.url), headers, arguments.conversation)
        return
    disk = open_folder(arguments)
    try:
        with disk.lock(LOCK) as held:
            yield _Local(disk, arguments.conversation, held)
    except StoreLocked as failure:
        raise StorageError(" ".join(_SERVER_RUNS.split()).format(conversation_id=arguments.conversation)) from failure


@attrs.define
class _Local:
    """On a folder that is locked for us. What the last holder left in the lock is for the next server, and stays."""

    disk: Disk
    conversation_id: str
    held: Held

    def plan(self) -> dict[str, Any]:
        if self.conversation_id not in conversations_of(self.disk):
            raise ConversationNotFound(f"there is no conversation {self.conversation_id}")
        return make_plan(self.disk, self.conversation_id).told()

    def repair(self) -> None:
        # Until it is done, what lies there may not be on the disk: whoever comes next is to look (K15).
        if not self.held.left:
            self.held.note(note_of(self.disk, Durability.SYNC))
        mend(self.disk, make_plan(self.disk, self.conversation_id), utc_now())
        self.held.note(self.held.left)


@attrs.define
class _Remote:
    """Through the server that holds the folder."""

    url: str
    headers: Mapping[str, str]
    conversation_id: str
    _keep_events: int = 0

    def plan(self) -> dict[str, Any]:
        plan = self._ask("GET")
        self._keep_events = plan["keep_events"]
        return plan

    def repair(self) -> None:
        self._ask("POST", {"keep_events": self._keep_events})

    def _ask(self, method: str, body: Any = None) -> dict[str, Any]:
        path = f"/api/admin/conversations/{self.conversation_id}/repair"
        try:
            return ask_server(
                self.url, method, path, body, headers=self.headers, timeout_seconds=REPAIR_TIMEOUT_SECONDS
            )
        except WrongKey:
            raise
        except ServerError as failure:
            if failure.code == "nothing_to_repair":
                raise NothingToRepair(str(failure)) from failure
            raise ServerError(f"no repair by {self.url}: {failure}") from failure
