"""The data folder as a whole: its lock (K3), its format, its conversations. Where they lie is in `layout`."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import uuid4

import trio

from storage.catalogue import Catalogue, Entry
from storage.committer import Committer, Durability
from storage.disk import Disk
from storage.distrust import Distrust
from storage.errors import (
    ConversationExists,
    ConversationNotFound,
    OutcomeUnknown,
    StorageDegraded,
    StorageError,
)
from storage.event_log import EventLog, LogView
from storage.health import Health, Refusing
from storage.histogram import Histogram
from storage.layout import (
    CONVERSATIONS,
    FORMAT_BYTES,
    FORMAT_PATH,
    HALF_MADE,
    LOCK,
    LOG,
    QUARANTINE,
    TRASH,
    check_format,
    is_conversation_id,
)
from storage.past import Past, look_back, note_of
from storage.record import decode, encode_batch

__all__ = ["Describe", "Store", "open_store"]

FIRST_RECORD_BYTES = 4096
"""The first record of nearly every log fits into one page."""

Describe = Callable[[str, bytes], Entry | None]
"""From a conversation's id and its first event to its entry; None when that is not a first event."""


class Store:
    """Made by `open_store`."""

    def __init__(
        self,
        disk: Disk,
        catalogue: Catalogue,
        *,
        committer: Committer,
        durability: Durability,
        past: Past,
        nursery: trio.Nursery,
    ) -> None:
        self.disk = disk
        self.durability = durability
        self.catalogue = catalogue
        self.power_cuts = past.power_cuts
        """How many may have taken what was acknowledged."""
        self._committer = committer
        self._nursery = nursery
        self._creating: set[str] = set()
        self._left_over: set[str] = set()
        """Failed creations that could not be undone."""

    def logs(self) -> Iterator[str]:
        """The paths of all logs."""
        return (f"{CONVERSATIONS}/{entry}/{LOG}" for entry in self.catalogue)

    # --- conversations -------------------------------------------------------------------------------------------

    def exists(self, conversation_id: str) -> bool:
        return conversation_id in self.catalogue

    async def create(self, entry: Entry, events: Sequence[bytes]) -> None:
        """Bring a conversation into being with its first batch, durably and as a whole.

        Raises `ConversationExists`, `StorageDegraded` (nothing of it is there) or `OutcomeUnknown`; after that one,
        nothing more is created until what it left is gone, so that who tries again does not find two of them one day.
        """
        if self.exists(entry.conversation_id) or entry.conversation_id in self._creating:
            raise ConversationExists(entry.conversation_id)
        if not is_conversation_id(entry.conversation_id):
            raise ConversationNotFound(entry.conversation_id)
        self._creating.add(entry.conversation_id)
        try:
            with self.health.writing(sum(map(len, events))):
                await self.disk.run(partial(self._create, entry.conversation_id, events))
            self.catalogue.add(entry)  # nobody hears of it before it is durable (K8)
        finally:
            self._creating.discard(entry.conversation_id)

    def _create(self, conversation_id: str, events: Sequence[bytes]) -> None:
        hidden, target = _names(conversation_id)
        self._undo_left_over()
        try:
            self._make(hidden, events)
            self.disk.rename(hidden, target)
            self.disk.sync_folder(CONVERSATIONS)
        except OSError as failure:
            raise self._unmake(conversation_id, failure) from failure

    def _undo_left_over(self) -> None:
        for left in tuple(self._left_over):
            try:
                self._undo(left)
            except OSError as failure:
                raise StorageDegraded(f"what a failed creation left cannot be removed: {failure}") from failure
            self._left_over.discard(left)

    def _unmake(self, conversation_id: str, failure: OSError) -> StorageError:
        try:
            self._undo(conversation_id)
        except OSError as second:
            self._left_over.add(conversation_id)
            return OutcomeUnknown(f"a failed creation could not be undone: {failure}; {second}")
        return StorageDegraded(f"the creation failed and was undone: {failure}")

    def _undo(self, conversation_id: str) -> None:
        """The catalogue had no such conversation, so whatever is under its names is ours.

        It goes as it came, by one rename: a crash within the removal must not leave half a conversation.
        """
        hidden, target = _names(conversation_id)
        if self.disk.exists(target):
            self.disk.rename(target, hidden)
            self.disk.sync_folder(CONVERSATIONS)
        self.disk.remove_tree(hidden)

    def _make(self, hidden: str, events: Sequence[bytes]) -> None:
        self.disk.remove_tree(hidden)
        self.disk.make_folder(f"{hidden}/files")
        file = self.disk.open_append(f"{hidden}/{LOG}")
        try:
            file.write(b"".join(encode_batch(0, 1, events)))
            file.sync()
        finally:
            file.close()
        self.disk.sync_folder(hidden)

    async def open_log(self, conversation_id: str) -> EventLog:
        """The log for its one writer. Raises `ConversationNotFound`, and what `EventLog.open` does."""
        path = self._path(conversation_id, LOG)
        return await EventLog.open(self.disk, path, self._committer, QUARANTINE)

    async def view(self, conversation_id: str) -> LogView:
        """The log for reading only. Raises `ConversationNotFound`, `OutcomeUnknown`."""
        return await LogView.open(self.disk, self._path(conversation_id, LOG), self._committer.distrust)

    async def view_to_damage(self, conversation_id: str) -> LogView:
        """As `view`, with every byte verified: what can be read of a log in which somebody has met damage (K16)."""
        path = self._path(conversation_id, LOG)
        return await LogView.open(self.disk, path, self._committer.distrust, from_snapshot=False)

    def forget_doubts(self, conversation_id: str) -> None:
        """Its log is another file now, on the disk and whole: what was held against the one before is over."""
        self._committer.distrust.forget(self._path(conversation_id, LOG))

    async def delete(self, conversation_id: str) -> None:
        """Have the conversation gone, durably; its bytes are removed afterwards. A full disk is no reason to refuse.

        Raises `ConversationNotFound`, `StorageDegraded` (it is still there) or `OutcomeUnknown` (a power cut may bring
        it back).
        """
        grave = f"{TRASH}/{conversation_id}-{uuid4().hex}"
        source = self._path(conversation_id)
        unsure = await self.disk.run(partial(self._bury, source, grave))
        self.catalogue.remove(conversation_id)
        self._committer.distrust.forget(f"{source}/{LOG}")
        if unsure is not None:
            raise unsure  # and what a power cut may bring back must come back whole, so nothing of it is removed yet
        self._nursery.start_soon(self.disk.run, partial(self._decay, grave))

    def _decay(self, grave: str) -> None:
        """What cannot be removed now, or when the store closes first, is removed at the next start."""
        with suppress(OSError):
            self.disk.remove_tree(grave)

    def _bury(self, source: str, grave: str) -> OutcomeUnknown | None:
        try:
            self.disk.rename(source, grave)
        except OSError as failure:
            raise StorageDegraded(f"{source} could not be deleted: {failure}") from failure
        try:
            self.disk.sync_folder(CONVERSATIONS)
            self.disk.sync_folder(TRASH)
        except OSError as failure:
            return OutcomeUnknown(f"the deletion may not survive a power cut: {failure}")
        return None

    def workspace(self, conversation_id: str) -> Path | None:
        """The real folder of the conversation's files, if this disk has real folders."""
        return self.disk.real_path(self._path(conversation_id, "files"))

    def _path(self, conversation_id: str, name: str = "") -> str:
        if conversation_id not in self.catalogue:
            raise ConversationNotFound(conversation_id)
        return f"{CONVERSATIONS}/{conversation_id}/{name}".rstrip("/")

    @property
    def append_times(self) -> Histogram:
        return self._committer.append_times

    @property
    def health(self) -> Health:
        """Whether the disk takes writes (K14)."""
        return self._committer.health

    def refusing(self, conversation_id: str) -> Refusing | None:
        """Whether the disk takes no events of this conversation, and since when (K14)."""
        return self.health.refusing(f"{CONVERSATIONS}/{conversation_id}/{LOG}")

    @property
    def owed_seconds(self) -> float:
        """For how long the oldest acknowledged write is on no disk yet; 0 in mode `sync`."""
        return self._committer.arrears.age_seconds

    @property
    def sync_times(self) -> Histogram:
        return self._committer.sync_times

    def statistics(self) -> dict[str, int]:
        return {"conversations": len(self.catalogue), **self._committer.statistics(), **self.health.statistics()}

    def __repr__(self) -> str:
        return f"<Store {self.disk!r} {self.durability} {len(self.catalogue)} conversations>"


def _names(conversation_id: str) -> tuple[str, str]:
    """Of its folder while it is being made, and afterwards."""
    return f"{CONVERSATIONS}/{HALF_MADE}{conversation_id}", f"{CONVERSATIONS}/{conversation_id}"


class _Start:
    """What is done before anything is served."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.catalogue = Catalogue()

    def prepare(self, describe: Describe) -> Catalogue:
        """Check the format, clear away what a crash left half made, and list what there is."""
        if self.disk.exists(FORMAT_PATH):
            check_format(self.disk)
        else:
            self.disk.replace(FORMAT_PATH, FORMAT_BYTES)
        for folder in (CONVERSATIONS, QUARANTINE, TRASH):
            self.disk.make_folder(folder)
        # Names that only the cache has, of folders just made or of a process that was killed before its sync, must not
        # be built upon; and nothing in the trash may come back once it is removed.
        for folder in (CONVERSATIONS, TRASH, "."):
            self.disk.sync_folder(folder)
        for name in self.disk.list_folder(TRASH):
            self.disk.remove_tree(f"{TRASH}/{name}")
        found: list[Entry] = []
        for name in self.disk.list_folder(CONVERSATIONS):
            if name.startswith(HALF_MADE):
                self.disk.remove_tree(f"{CONVERSATIONS}/{name}")
            elif is_conversation_id(name):
                found.append(self._entry(name, describe))
        for entry in sorted(found, key=lambda entry: entry.key):  # the youngest claims are remembered
            self.catalogue.add(entry)
        return self.catalogue

    def _entry(self, conversation_id: str, describe: Describe) -> Entry:
        """A conversation whose first record cannot be read is listed all the same."""
        record = decode(self._first_line(f"{CONVERSATIONS}/{conversation_id}/{LOG}"))
        entry = describe(conversation_id, record.event) if record is not None else None
        if entry is not None:
            return entry
        modified = self.disk.modified_at(f"{CONVERSATIONS}/{conversation_id}")
        return Entry(conversation_id, datetime.fromtimestamp(modified, UTC).isoformat().replace("+00:00", "Z"))

    def _first_line(self, path: str) -> bytes:
        length = FIRST_RECORD_BYTES
        try:
            data = self.disk.read(path, 0, length)
            while b"\n" not in data and len(data) == length:
                length *= 8
                data = self.disk.read(path, 0, length)
        except OSError:
            return b""
        return data.partition(b"\n")[0]


@asynccontextmanager
async def open_store(disk: Disk, describe: Describe, durability: Durability = Durability.SYNC) -> AsyncIterator[Store]:
    """The store, locked for this process for the block (K3). Raises `StoreLocked`, `UnknownFormat`."""
    with disk.lock(LOCK) as held:
        # Before the nursery, which would wrap what is raised into a group.
        catalogue = await disk.run(partial(_Start(disk).prepare, describe))
        past = await look_back(disk, held.left)
        held.note(note_of(disk, durability))
        committer = Committer(disk, durability, Distrust(inherited=not past.ended_in_peace))
        async with trio.open_nursery() as nursery:
            store = Store(disk, catalogue, committer=committer, durability=durability, past=past, nursery=nursery)
            nursery.start_soon(committer.run)
            yield store
            nursery.cancel_scope.cancel()
        # Nothing is owed any more; but what was not looked at in the media is the next one's to look at.
        in_peace = not committer.distrust.is_to_be_inherited(store.logs())
        held.note("" if in_peace else note_of(disk, Durability.SYNC))
